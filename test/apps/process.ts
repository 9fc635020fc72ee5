// A program in a process of its own, which a test reads, asks to end, and kills.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";

export class Program {
	readonly #child: ChildProcess;
	/** What it has printed so far. */
	text = "";
	#onText = () => {};
	/** Resolves with its exit code, or the signal that ended it, when its output is complete. */
	readonly ended: Promise<unknown>;

	constructor(command: string, args: readonly string[], options: { cwd: string; env?: Record<string, string> }) {
		const env = { ...process.env, ...options.env };
		this.#child = spawn(command, args, { cwd: options.cwd, env });
		for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
			stream.setEncoding("utf8").on("data", (text: string) => {
				this.text += text;
				this.#onText();
			});
		}
		this.ended = once(this.#child, "close").then(([code, signal]) => signal ?? code);
	}

	/** Resolves with the first match in the output. Rejects if the process ends without one. */
	async printed(pattern: RegExp): Promise<RegExpExecArray> {
		for (let isOver = false;;) {
			const match = pattern.exec(this.text);
			if (match !== null) return match;
			if (isOver) throw new Error(`${pattern} was not printed:\n${this.text}`);
			const text = new Promise<boolean>((resolve) => this.#onText = () => resolve(false));
			isOver = await Promise.race([text, this.ended.then(() => true)]);
		}
	}

	/** Sends a signal, and resolves with how the process has ended. */
	async end(signal: "SIGTERM" | "SIGKILL"): Promise<unknown> {
		this.#child.kill(signal);
		return await this.ended;
	}
}

// The main example as a separate process, in the runtime of the test.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { ServerStatus } from "../examples/outbox/api.ts";

const file = fileURLToPath(new URL("../examples/outbox.ts", import.meta.url));
const prefix = "Deno" in globalThis ? ["run", "--allow-all", "--no-lock", "--no-check", file] : [file];

export class OutboxProcess {
	readonly #child: ChildProcess;
	/** The output so far. */
	text = "";
	errors = "";
	#onText = () => {};
	/** Resolves with the exit code, or the signal that ended the process, when its output is complete. */
	readonly ended: Promise<unknown>;

	constructor(args: readonly string[]) {
		this.#child = spawn(process.execPath, [...prefix, ...args]);
		this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => {
			this.text += text;
			this.#onText();
		});
		this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.errors += text);
		this.#child.stdin!.on("error", () => {}); // the process may end before it reads all of its input
		this.ended = once(this.#child, "close").then(([code, signal]) => signal ?? code);
	}

	/** Resolves with the first match in the output. Rejects if the process ends without a match. */
	async printed(pattern: RegExp): Promise<RegExpExecArray> {
		for (let isOver = false;;) {
			const match = pattern.exec(this.text);
			if (match !== null) return match;
			if (isOver) throw new Error(`${pattern} was not printed:\n${this.text}\n${this.errors}`);
			const text = new Promise<boolean>((resolve) => this.#onText = () => resolve(false));
			isOver = await Promise.race([text, this.ended.then(() => true)]);
		}
	}

	/** Resolves with the address of the page, which ends with a slash. */
	async url(): Promise<string> {
		return (await this.printed(/^Listening on (\S+)\n/m))[1]!;
	}

	async status(): Promise<ServerStatus> {
		return await (await fetch(`${await this.url()}messages`)).json();
	}

	write(text: string): void {
		this.#child.stdin!.write(text);
	}

	/** Does not use `child.kill`: Deno would then report the signal, even if the process handles it and exits by itself. */
	interrupt(): void {
		process.kill(this.#child.pid!, "SIGINT");
	}

	/** Has no effect if the process has ended. */
	async kill(): Promise<void> {
		this.#child.kill("SIGKILL");
		await this.ended;
	}
}

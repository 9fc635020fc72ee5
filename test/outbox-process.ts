// The main example as its users run it: a process of its own, in the runtime that runs the test.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { ServerStatus } from "../examples/outbox/api.ts";

const file = fileURLToPath(new URL("../examples/outbox.ts", import.meta.url));
const prefix = "Deno" in globalThis ? ["run", "--allow-all", "--no-lock", "--no-check", file] : [file];

export class OutboxProcess {
	readonly #child: ChildProcess;
	/** What it has printed. */
	text = "";
	errors = "";
	#onText = () => {};
	/** Its exit code, or the signal that ended it, once all that it printed is there. */
	readonly ended: Promise<unknown>;

	constructor(args: readonly string[]) {
		this.#child = spawn(process.execPath, [...prefix, ...args]);
		this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => {
			this.text += text;
			this.#onText();
		});
		this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.errors += text);
		this.#child.stdin!.on("error", () => {}); // it may be gone before it has read everything
		this.ended = once(this.#child, "close").then(([code, signal]) => signal ?? code);
	}

	/** Resolves with the first match of what it prints; rejects if it ends without one. */
	async printed(pattern: RegExp): Promise<RegExpExecArray> {
		for (let isOver = false;;) {
			const match = pattern.exec(this.text);
			if (match !== null) return match;
			if (isOver) throw new Error(`${pattern} was not printed:\n${this.text}\n${this.errors}`);
			const text = new Promise<boolean>((resolve) => this.#onText = () => resolve(false));
			isOver = await Promise.race([text, this.ended.then(() => true)]);
		}
	}

	/** The address of the page, with a slash at its end. */
	async url(): Promise<string> {
		return (await this.printed(/^Listening on (\S+)\n/m))[1]!;
	}

	async status(): Promise<ServerStatus> {
		return await (await fetch(`${await this.url()}messages`)).json();
	}

	write(text: string): void {
		this.#child.stdin!.write(text);
	}

	/** Not by `child.kill`: Deno then reports the signal, even if the process has handled it and ended by itself. */
	interrupt(): void {
		process.kill(this.#child.pid!, "SIGINT");
	}

	/** Harmless if it has ended. */
	async kill(): Promise<void> {
		this.#child.kill("SIGKILL");
		await this.ended;
	}
}

// The command line in a process of its own, in the runtime that runs the test.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";

const file = fileURLToPath(new URL("../../src/cli/cli.ts", import.meta.url));
const prefix = "Deno" in globalThis ? ["run", "--quiet", "--allow-all", "--no-lock", "--no-check", file] : [file];

export interface CliOptions {
	readonly env?: Record<string, string> | undefined;
	/** The width of the terminal of the process. @default 0, which is a pipe */
	readonly columns?: number | undefined;
}

/** A process that runs the command line, optionally in a terminal. */
export class CliProcess {
	readonly #child: ChildProcess;
	text = "";
	errors = "";
	#onText = () => {};
	/** Its exit code, or the signal that ended it. */
	readonly ended: Promise<unknown>;

	constructor(
		args: readonly string[],
		{ env = {}, columns = 0 }: CliOptions = {},
	) {
		const { NO_COLOR: _1, UPKEEP_DB: _2, FORCE_COLOR: _3, ...rest } = process.env;
		const command = [process.execPath, ...prefix, ...args];
		const line = `stty cols ${columns} rows 20; exec ${command.map((word) => `'${word}'`).join(" ")}`;
		const [program, ...words] = columns === 0 ? command : ["script", "-qefc", line, "/dev/null"];
		this.#child = spawn(program!, words, { env: { ...rest, TERM: "xterm", ...env } });
		this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => {
			this.text += text;
			this.#onText();
		});
		this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
			this.errors += text;
			this.#onText();
		});
		this.#child.stdin!.on("error", () => {}); // the process may end before it reads its input
		this.ended = once(this.#child, "close").then(([code, signal]) => {
			this.#onText();
			return signal ?? code;
		});
	}

	/** Resolves when a match is printed. Rejects if the process ends without a match. */
	async printed(pattern: RegExp): Promise<void> {
		await this.#wait(pattern, () => this.text);
	}

	/** The same for the error output. */
	async noted(pattern: RegExp): Promise<void> {
		await this.#wait(pattern, () => this.errors);
	}

	async #wait(pattern: RegExp, read: () => string): Promise<void> {
		for (let isOver = false; !pattern.test(read());) {
			if (isOver) throw new Error(`${pattern} was not printed:\n${this.text}\n${this.errors}`);
			const text = new Promise<boolean>((resolve) => this.#onText = () => resolve(false));
			isOver = await Promise.race([text, this.ended.then(() => true)]);
		}
	}

	write(text: string): void {
		this.#child.stdin!.write(text);
	}

	/** Ends the input of the process. */
	end(): void {
		this.#child.stdin!.end();
	}

	/** Closes the read end of the output. */
	leave(): void {
		this.#child.stdout!.destroy();
	}

	/** Does not use `child.kill`: Deno would then report the signal, even if the process handles it and exits by itself. */
	interrupt(): void {
		process.kill(this.#child.pid!, "SIGINT");
	}

	/** Has no effect if the process has ended. */
	kill(): void {
		this.#child.kill("SIGKILL");
	}
}

/** Runs the command line to its end without input. */
export async function run(args: readonly string[], options?: CliOptions): Promise<[unknown, string, string]> {
	const cli = new CliProcess(args, options);
	cli.end();
	const code = await cli.ended;
	return [code, cli.text, cli.errors];
}

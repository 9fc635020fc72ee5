// Runs a program for the checks and returns its output. The test runner has its own module, test/child.ts, which can
// interrupt groups of processes.
import { execFile } from "node:child_process";
import { delimiter, join } from "node:path";
import process from "node:process";
import { root } from "./project.ts";

export interface CommandOptions {
	/** The folder to run in. */
	cwd?: string;
	/** In milliseconds; a program that takes longer is killed and counts as failed. */
	timeout?: number;
}

// The runtimes in devDependencies come before those of the machine.
const path: string = join(root, "node_modules", ".bin") + delimiter + process.env["PATH"];

/** Thrown if a program fails; the message contains all of its output. */
export class CommandError extends Error {
	override readonly name = "CommandError";
	/** Its output, without its error output. */
	readonly output: string;

	constructor(message: string, output: string) {
		super(message);
		this.output = output;
	}
}

/** Resolves with the output of the program, without its error output; rejects with a CommandError if it fails. */
export function execute(
	program: string,
	args: string[],
	{ cwd = root, timeout = 0 }: CommandOptions = {},
): Promise<string> {
	const env = { ...process.env, FORCE_COLOR: undefined, NO_COLOR: "1", PATH: path };
	const options = { cwd, env, timeout, killSignal: "SIGKILL", maxBuffer: Infinity } as const;
	return new Promise((resolve, reject) => {
		const child = execFile(program, args, options, (error, output, errorOutput) => {
			if (error === null) return resolve(output);
			const why: string = error.killed ? `was killed after ${timeout} ms` : `ended with ${error.code ?? error.signal}`;
			reject(new CommandError(`${program} ${why}\n${output}${errorOutput}`.trimEnd(), output));
		});
		child.stdin?.end();
	});
}

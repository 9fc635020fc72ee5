/** The process: its signals and its output. */

import process from "node:process";
import { line } from "./words.ts";

const { stdout, env } = process;
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
let onClosed = (): void => {};
let isClosed = false;

/** Whether to draw a table. */
export const isLive: boolean = stdout.isTTY === true && env["TERM"] !== "dumb" &&
	["", "0", "false"].includes(env["CI"] ?? "");

stdout.on("error", (error: Error & { code?: string }) => {
	// A reader that closes the pipe (`| head`) is no error; a full disk is.
	if (error.code !== "EPIPE" && !isClosed) {
		console.error(`output: ${line(error.message)}`);
		process.exitCode = 1;
	}
	isClosed = true;
	onClosed();
});

export function output(text: string): void {
	if (!isClosed) stdout.write(text);
}

/** Aborts `end` at the first signal, and when the output is closed. Exits at the second signal. */
export function whenInterrupted(end: AbortController): void {
	let interruptedAt = Infinity;
	const onSignal = () => {
		// Under npm, one Ctrl-C may arrive twice: from the terminal and from npm.
		if (performance.now() - interruptedAt > 300) process.exit(130);
		interruptedAt = Math.min(interruptedAt, performance.now());
		end.abort();
	};
	onClosed = () => end.abort();
	for (const signal of signals) process.on(signal, onSignal); // listeners do not keep the process alive
}

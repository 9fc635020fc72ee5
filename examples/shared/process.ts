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
	// A reader that has seen enough (`| head`) is no fault; a full disk is.
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

/** Aborts `end` at the first signal, and when nobody reads the output; at the second signal it exits. */
export function whenInterrupted(end: AbortController): void {
	let interruptedAt = Infinity;
	const onSignal = () => {
		// Under npm one Ctrl-C may come twice: from the terminal, and passed on by npm.
		if (performance.now() - interruptedAt > 300) process.exit(130);
		interruptedAt = Math.min(interruptedAt, performance.now());
		end.abort();
	};
	onClosed = () => end.abort();
	for (const signal of signals) process.on(signal, onSignal); // which does not keep the process from ending
}

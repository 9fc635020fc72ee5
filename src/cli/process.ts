/**
 * Connects the commands to the signals, the output and the input of the process.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline/promises";
import { systemClock } from "../platform/clock.ts";
import { Screen } from "./screen.ts";
import type { Terminal } from "./terminal.ts";
import { clean, coloured, plain } from "./text.ts";

/** A terminal that can be closed. */
export interface ProcessTerminal extends Terminal {
	/** Restores the terminal. */
	close(): void;
}

/** Options for {@link openTerminal}. */
export interface TerminalOptions {
	readonly isJson: boolean;
	readonly hasColours: boolean;
	/** Whether the command ends by itself at Ctrl-C; otherwise the process ends at once. */
	readonly isGraceful: boolean;
	/** Whether lines are drawn in place. */
	readonly isLive: boolean;
}

/** Opens the terminal of this process, or its pipe. */
export function openTerminal({ isJson, hasColours, isGraceful, isLive }: TerminalOptions): ProcessTerminal {
	const { stdin, stdout, stderr, env } = process;
	const closed = new AbortController();
	const isTable = stdout.isTTY === true && !isJson && !(isLive && env["TERM"] === "dumb");
	const screen = new Screen();
	stdout.on("error", (error: Error & { code?: string }) => {
		// A reader that closes the pipe (`| head`) is no error; a full disk is.
		if (error.code !== "EPIPE" && !closed.signal.aborted) {
			stderr.write(`upkeep: ${clean(error.message)}\n`);
			process.exitCode = 1;
		}
		closed.abort();
	});
	if (isGraceful) listen(closed);
	return {
		isTable,
		canAsk: isTable && stdin.isTTY === true,
		get columns() {
			return stdout.columns || 80;
		},
		get rows() {
			return stdout.rows || 24;
		},
		paint: hasColours && isTable && env["TERM"] !== "dumb" ? coloured : plain,
		closed: closed.signal,
		clock: systemClock,
		print: (text) =>
			new Promise((resolve) => closed.signal.aborted ? resolve() : stdout.write(`${text}\n`, () => resolve())),
		note,
		ask: (question) => ask(question, closed.signal),
		draw: (render) => screen.draw(render),
		close: () => screen.close(),
	};
}

/** Writes a line to the error output. */
export function note(text: string): void {
	process.stderr.write(`${clean(text)}\n`);
}

/** The first signal aborts, the second one ends the process. */
function listen(closed: AbortController): void {
	const onSignal = () => closed.signal.aborted ? process.exit(130) : closed.abort();
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
}

/** Resolves with the line that is typed; with an empty string at the end of the input and at Ctrl-C. */
async function ask(question: string, signal: AbortSignal): Promise<string> {
	// The line editor of Node is not used, because it would intercept Ctrl-C.
	const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
	try {
		return await new Promise((resolve) => {
			const giveUp = () => {
				process.stderr.write("\n");
				resolve("");
			};
			lines.once("close", giveUp);
			lines.question(question, { signal }).then((answer) => {
				lines.off("close", giveUp);
				resolve(answer);
			}, giveUp);
		});
	} finally {
		lines.close();
	}
}

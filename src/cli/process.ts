/**
 * The process: its signals, its output and its input.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline/promises";
import { systemClock } from "../platform/clock.ts";
import { Screen } from "./screen.ts";
import type { Terminal } from "./terminal.ts";
import { clean, coloured, plain } from "./text.ts";

/** A terminal that can be given back. */
export interface ProcessTerminal extends Terminal {
	/** Leaves the terminal as it was. */
	close(): void;
}

/** What {@link openTerminal} is told. */
export interface TerminalOptions {
	readonly isJson: boolean;
	readonly hasColours: boolean;
	/** Whether the command has to end what it does at Ctrl-C; otherwise the process simply ends. */
	readonly isGraceful: boolean;
	/** Whether lines are drawn in place. */
	readonly isLive: boolean;
}

/** The terminal of this process, or the pipe. */
export function openTerminal({ isJson, hasColours, isGraceful, isLive }: TerminalOptions): ProcessTerminal {
	const { stdin, stdout, stderr, env } = process;
	const closed = new AbortController();
	const isTable = stdout.isTTY === true && !isJson && !(isLive && env["TERM"] === "dumb");
	const screen = new Screen();
	stdout.on("error", (error: Error & { code?: string }) => {
		// A reader that has seen enough (`| head`) is no fault; a full disk is.
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

/** Says something beside the output. */
export function note(text: string): void {
	process.stderr.write(`${clean(text)}\n`);
}

/** Aborts at the first signal; at the second the process ends. */
function listen(closed: AbortController): void {
	const onSignal = () => closed.signal.aborted ? process.exit(130) : closed.abort();
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
}

/** The line that is typed; nothing at the end of the input, and at Ctrl-C. */
async function ask(question: string, signal: AbortSignal): Promise<string> {
	// Not the line editor of Node, which would take Ctrl-C for itself.
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

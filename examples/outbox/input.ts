/** JSON lines on standard input. */

import process from "node:process";
import { describe } from "../shared/words.ts";
import { mostBytes, readMessage } from "./api.ts";
import type { OnEvent, Outbox } from "./service.ts";

/** How many lines are stored together at most. */
const batch = 100;

/** Accepts a message for each line until the input ends or the signal aborts. */
export async function readInput(outbox: Outbox, onEvent: OnEvent, signal: AbortSignal): Promise<void> {
	const { stdin } = process;
	const stop = () => void stdin.destroy();
	signal.addEventListener("abort", stop);
	try {
		let number = 0;
		const accepting: Promise<unknown>[] = [];
		for await (const line of readLines(stdin)) {
			number++;
			if (line.trim() === "") continue;
			const place = `line ${number}`;
			accepting.push(accept(line, outbox).catch((error) => onEvent("refused", `${place}: ${describe(error)}`)));
			if (accepting.length === batch) await Promise.all(accepting.splice(0));
		}
		await Promise.all(accepting);
	} catch (error) {
		if (!signal.aborted) onEvent("refused", `standard input: ${describe(error)}`);
	} finally {
		signal.removeEventListener("abort", stop);
	}
}

async function accept(line: string, outbox: Outbox): Promise<void> {
	if (line.length > mostBytes) throw new RangeError(`a message has at most ${mostBytes} bytes`);
	await outbox.accept(readMessage(line));
}

/** The last one may lack its line break. Of one that is too long for a message no more is kept than shows that. */
async function* readLines(stream: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
	const decoder = new TextDecoder();
	let line = "";
	for await (const chunk of stream) {
		const text = typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
		const [first, ...more] = text.split("\n");
		line = (line + first).slice(0, mostBytes + 1);
		for (const next of more) {
			yield line;
			line = next.slice(0, mostBytes + 1);
		}
	}
	yield line + decoder.decode();
}

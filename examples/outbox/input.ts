/** JSON lines on standard input. */

import process from "node:process";
import { Readable } from "node:stream";
import { describe } from "../shared/words.ts";
import { mostBytes, readMessage } from "./api.ts";
import type { OnEvent, Outbox } from "./service.ts";

/** The maximum number of lines that are stored together. */
const batch = 100;

/** Accepts a message for each line until the input ends or the signal aborts. */
export async function readInput(outbox: Outbox, onEvent: OnEvent, signal: AbortSignal): Promise<void> {
	const accepting: Promise<unknown>[] = [];
	let number = 0;
	try {
		for await (const line of readLines(open().getReader(), signal)) {
			number++;
			if (line.trim() === "") continue;
			const place = `line ${number}`;
			accepting.push(accept(line, outbox).catch((error) => onEvent("refused", `${place}: ${describe(error)}`)));
			if (accepting.length === batch) await Promise.all(accepting.splice(0));
		}
	} catch (error) {
		onEvent("error", `standard input: ${describe(error)}`);
	}
	await Promise.all(accepting);
}

/** Deno cannot end a running read of `process.stdin`, and would not exit. */
function open(): ReadableStream<Uint8Array> {
	const { Deno } = globalThis as { Deno?: { stdin: { readable: ReadableStream<Uint8Array> } } };
	return Deno?.stdin.readable ?? Readable.toWeb(process.stdin) as ReadableStream<Uint8Array>;
}

async function accept(line: string, outbox: Outbox): Promise<void> {
	if (line.length > mostBytes) throw new RangeError(`a message has at most ${mostBytes} bytes`);
	await outbox.accept(readMessage(line));
}

/** Reads lines. The last line may lack its line break. Of a line that is too long, only the beginning is kept. */
async function* readLines(
	reader: ReadableStreamDefaultReader<Uint8Array>,
	signal: AbortSignal,
): AsyncGenerator<string> {
	const stop = () => void reader.cancel().catch(() => {});
	signal.addEventListener("abort", stop);
	const decoder = new TextDecoder();
	let line = "";
	for (let chunk = await reader.read(); !chunk.done && !signal.aborted; chunk = await reader.read()) {
		const [first, ...more] = decoder.decode(chunk.value, { stream: true }).split("\n");
		line = (line + first).slice(0, mostBytes + 1);
		for (const next of more) {
			yield line;
			line = next.slice(0, mostBytes + 1);
		}
	}
	signal.removeEventListener("abort", stop);
	// Text before an abort is not a complete line.
	if (!signal.aborted) yield line + decoder.decode();
}

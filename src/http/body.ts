/**
 * The body of a request: JSON of limited size.
 *
 * @module
 */

import { Problem } from "./problem.ts";

const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/** Whether the body says that it is JSON. */
export function isJson({ headers }: Request): boolean {
	return jsonType.test(headers.get("content-type") ?? "");
}

/** The answer to a body that is something else. */
export function noJson(): Problem {
	return new Problem(415, "The body must be application/json", {}, { accept: "application/json" });
}

/** Reads JSON, and not more of it than allowed, whatever its headers say. */
export async function readJson(request: Request, limit: number): Promise<unknown> {
	if (!isJson(request)) throw noJson();
	const bytes = await readBytes(request, limit);
	try {
		return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
	} catch {
		throw new Problem(400, "The body is not JSON in UTF-8");
	}
}

async function readBytes(request: Request, limit: number): Promise<Uint8Array> {
	if (Number(request.headers.get("content-length")) > limit) throw tooLarge(limit);
	const chunks: Uint8Array[] = [];
	let size = 0;
	const reader = (request.body ?? await toStream(request)).getReader();
	try {
		for (let part = await read(reader); part !== undefined; part = await read(reader)) {
			if ((size += part.length) > limit) throw tooLarge(limit);
			chunks.push(part);
		}
	} finally {
		// Not awaited: it need not settle before the answer is sent, and what it says is of no interest.
		reader.cancel().catch(() => {});
	}
	return concatenate(chunks, size);
}

/** An empty body is null in every runtime, and each body in a Firefox without `request.body`. */
async function toStream(request: Request): Promise<ReadableStream<Uint8Array>> {
	return new Response(await request.arrayBuffer()).body!;
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | undefined> {
	try {
		return (await reader.read()).value;
	} catch {
		throw new Problem(400, "The body has ended before its time");
	}
}

function concatenate(chunks: Uint8Array[], size: number): Uint8Array {
	const whole = new Uint8Array(size);
	let offset = 0;
	for (const chunk of chunks) {
		whole.set(chunk, offset);
		offset += chunk.length;
	}
	return whole;
}

function tooLarge(limit: number): Problem {
	return new Problem(413, `The body must not have more than ${limit} bytes`);
}

/**
 * The body of a request: JSON of limited size.
 *
 * @module
 */

import { Problem } from "./problem.ts";

const jsonType = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;

/** Whether the content type is JSON. */
export function isJson({ headers }: Request): boolean {
	return jsonType.test(headers.get("content-type") ?? "");
}

/** The response to a body of another type. */
export function noJson(): Problem {
	return new Problem(415, "The body must be application/json", {}, { accept: "application/json" });
}

/** Reads JSON up to the size limit, whatever the headers say. */
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
		// Not awaited, because the response does not depend on it.
		reader.cancel().catch(() => {});
	}
	return concatenate(chunks, size);
}

/** `request.body` is null for an empty body, and in versions of Firefox without `request.body` for any body. */
async function toStream(request: Request): Promise<ReadableStream<Uint8Array>> {
	return new Response(await request.arrayBuffer()).body!;
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | undefined> {
	try {
		return (await reader.read()).value;
	} catch {
		throw new Problem(400, "The body ended early");
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

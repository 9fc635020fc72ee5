/**
 * Payloads and messages as values of Deno KV.
 *
 * @module
 */

import type { Data } from "../../basket/store.ts";

/** A value takes 64 KiB, with what Deno KV puts around it. */
export const maxPayload = 65_000;

/**
 * Data as it is stored: bytes as a copy, since of a part of a buffer all would be stored; long text as UTF-8, since Deno KV
 * stores two bytes for each unit of text that is not Latin-1.
 */
export function pack(data: Data): unknown {
	if (typeof data !== "string") return new Uint8Array(data);
	if (isLatin(data)) return data;
	const utf8 = new TextEncoder().encode(data);
	// Not what has half a pair of surrogates, which UTF-8 cannot write.
	return decode(utf8) === data ? { utf8 } : data;
}

/** How many bytes {@link pack} makes of it. */
export function sizeOf(data: Data): number {
	if (typeof data !== "string") return data.length;
	// Most need not be encoded to know that they are small.
	if (data.length < 1_000 || isLatin(data)) return data.length;
	const utf8 = new TextEncoder().encode(data);
	return decode(utf8) === data ? utf8.length : 2 * data.length;
}

/** Undoes {@link pack}; what is something else stays as it is. */
export function unpack(value: unknown): unknown {
	const { utf8 } = Object(value) as { utf8?: unknown };
	return utf8 instanceof Uint8Array ? decode(utf8) : value;
}

function isLatin(text: string): boolean {
	return !/[^\0-\xff]/.test(text);
}

function decode(bytes: Uint8Array): string {
	return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

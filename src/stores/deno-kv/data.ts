/**
 * Payloads and messages as values of Deno KV.
 *
 * @module
 */

import type { Data } from "../../basket/store.ts";

/** The maximum payload: a value takes at most 64 KiB, including the overhead of Deno KV. */
export const maxPayload = 65_000;

/**
 * Converts data for storage. Bytes are copied, because Deno KV would store the whole buffer of a view. Long text is
 * stored as UTF-8, because Deno KV stores two bytes per code unit of text that is not Latin-1.
 */
export function pack(data: Data): unknown {
	if (typeof data !== "string") return new Uint8Array(data);
	if (isLatin(data)) return data;
	const utf8 = new TextEncoder().encode(data);
	// Not text with lone surrogates, which UTF-8 cannot encode.
	return decode(utf8) === data ? { utf8 } : data;
}

/** The size of the result of {@link pack}, in bytes; of small data about. */
export function sizeOf(data: Data): number {
	if (typeof data !== "string") return data.length;
	// Small data fits in any case, so its exact size does not matter.
	if (data.length < 1_000 || isLatin(data)) return data.length;
	const utf8 = new TextEncoder().encode(data);
	return decode(utf8) === data ? utf8.length : 2 * data.length;
}

/** Undoes {@link pack}. Other values are returned unchanged. */
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

/**
 * Names as parts of keys.
 *
 * @module
 */

import { check } from "../../platform/check.ts";
import type { DenoKvKeyPart } from "./database.ts";

/** Bytes of a name, so that it fits into a key of 2 KiB with the name of its basket. */
const maxName = 1_000;

/** Bytes of the name of a basket. */
export const maxBasketName = 500;

/** With the flag `u` it matches only what is no half of a pair. */
const halfPair = /[\ud800-\udfff]/u;

/**
 * Deno KV writes keys as UTF-8, where each half of a surrogate pair becomes the same character. A text that has one is
 * stored as the bytes of its JSON, which is never the key of another text.
 */
export function toPart(part: string | number): string | number | Uint8Array {
	return typeof part === "string" && halfPair.test(part) ? new TextEncoder().encode(JSON.stringify(part)) : part;
}

/** Undoes {@link toPart}. */
export function fromPart(part: unknown): unknown {
	if (!(part instanceof Uint8Array)) return part;
	try {
		return JSON.parse(new TextDecoder().decode(part));
	} catch {
		return part; // not one of this library
	}
}

/** Refuses a name that is too long for a key. Returns how many bytes of a key it takes. */
export function checkName(what: string, name: string, most: number = maxName): number {
	const size = sizeOfName(name);
	return check(`the length of "${what}" in bytes`, size, "number", size <= most, `${most} or less`);
}

/** The end of a part is marked by a zero, so that one within it takes a byte more. */
function sizeOfName(name: string): number {
	// Most need not be encoded to know that they are small.
	if (name.length * 12 <= maxName) return name.length;
	const part = toPart(name) as DenoKvKeyPart as string | Uint8Array;
	const bytes = typeof part === "string" ? new TextEncoder().encode(part) : part;
	return bytes.length + bytes.reduce((zeros, byte) => zeros + (byte === 0 ? 1 : 0), 0);
}

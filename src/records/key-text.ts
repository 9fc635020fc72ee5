/**
 * Encodes keys as strings with the same order.
 *
 * A string is encoded as `t`, the string and `!`. A number is encoded as `n` and its 64 bits in 13 base-36 digits
 * that sort like the numbers. Control characters, spaces, `!` and `"` are escaped with `"`; `~`, the delete character
 * and lone surrogates, which UTF-8 cannot encode, with `~`. All but lone surrogates keep their order.
 *
 * @module
 */

import type { Key, Part } from "./space.ts";

/** With the flag `u`, the second range matches only lone surrogates. */
const inTheWay = /[\0-"~\x7f]|[\ud800-\udfff]/gu;

const digits = 13;

/**
 * Converts numbers to their bits. Created when it is first needed, because bundlers cannot remove objects that a
 * module creates at load.
 */
let bits: DataView | undefined;

function toBits(): DataView {
	return bits ??= new DataView(new ArrayBuffer(8));
}

/** The text of a key or of a key prefix. */
export function textOf(key: Key): string {
	let text = "";
	for (const part of key) text += typeof part === "number" ? ofNumber(part) : `t${escape(part)}!`;
	return text;
}

/** A text after all texts that begin with this one. */
export function endOf(text: string): string {
	return `${text}~`;
}

/** Undoes {@link textOf}. */
export function keyOf(text: string): Key {
	return Array.from(text.matchAll(/n([0-9a-z]{13})|t([^!]*)!/g), ([, number, letters]) => {
		return number === undefined ? unescape(letters!) : toNumber(number);
	});
}

function escape(part: Part): string {
	return String(part).replace(inTheWay, (unit) => {
		const code = unit.charCodeAt(0);
		if (code < 36) return `"${code.toString(36)}`;
		return code < 128 ? `~${code - 126}` : `~U${code.toString(16)}`;
	});
}

function ofNumber(number: number): string {
	toBits().setFloat64(0, number + 0); // turns -0 into 0
	const unsigned = toBits().getBigUint64(0);
	// For negative numbers all bits are inverted, for others only the sign.
	const sortable = unsigned >> 63n ? ~unsigned & 0xffff_ffff_ffff_ffffn : unsigned | 1n << 63n;
	return `n${sortable.toString(36).padStart(digits, "0")}`;
}

function unescape(text: string): string {
	return text.replace(/["~](?:U([0-9a-f]{4})|(.))/g, ([lead], half: string | undefined, digit: string) => {
		const code = half === undefined ? Number.parseInt(digit, 36) + (lead === "~" ? 126 : 0) : Number.parseInt(half, 16);
		return String.fromCharCode(code);
	});
}

function toNumber(text: string): number {
	let sortable = 0n;
	for (const digit of text) sortable = sortable * 36n + BigInt(Number.parseInt(digit, 36));
	toBits().setBigUint64(0, sortable >> 63n ? sortable ^ 1n << 63n : ~sortable & 0xffff_ffff_ffff_ffffn);
	return toBits().getFloat64(0);
}

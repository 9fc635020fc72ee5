/**
 * Keys as texts that sort as the keys do.
 *
 * Each text is `t`, itself and `!`; each number is `n` and its 64 bits, as 13 digits to the base 36 that sort as the numbers do. What would
 * be in the way is written as `%` and something else: control characters, spaces, `!`, `%`, and halves of surrogate pairs, which UTF-8 cannot
 * write.
 *
 * @module
 */

import type { Key, Part } from "./space.ts";

/** With the flag `u` the second range matches only what is no half of a pair. */
const inTheWay = /[\0-!%\x7f]|[\ud800-\udfff]/gu;

const digits = 13;

/** The bits of a number, as they are stored, and back. Made once it is needed: what a module makes by itself cannot be left out. */
let bits: DataView | undefined;

function toBits(): DataView {
	return bits ??= new DataView(new ArrayBuffer(8));
}

/** The text of a key, or of the beginning of one. */
export function textOf(key: Key): string {
	let text = "";
	for (const part of key) text += typeof part === "number" ? ofNumber(part) : `t${escape(part)}!`;
	return text;
}

/** A text behind all that begin with this one. */
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
		if (code < 36) return `%${code.toString(36)}`;
		if (unit === "%") return "%y";
		return unit === "\x7f" ? "%z" : `%U${code.toString(16)}`;
	});
}

function ofNumber(number: number): string {
	toBits().setFloat64(0, number + 0); // there is only one zero
	const unsigned = toBits().getBigUint64(0);
	// Negative numbers are all turned round; of the others the sign alone.
	const sortable = unsigned >> 63n ? ~unsigned & 0xffff_ffff_ffff_ffffn : unsigned | 1n << 63n;
	return `n${sortable.toString(36).padStart(digits, "0")}`;
}

function unescape(text: string): string {
	return text.replace(/%(?:U([0-9a-f]{4})|(.))/g, (_, half: string | undefined, digit: string) => {
		if (half !== undefined) return String.fromCharCode(Number.parseInt(half, 16));
		return digit === "y" ? "%" : digit === "z" ? "\x7f" : String.fromCharCode(Number.parseInt(digit, 36));
	});
}

function toNumber(text: string): number {
	let sortable = 0n;
	for (const digit of text) sortable = sortable * 36n + BigInt(Number.parseInt(digit, 36));
	toBits().setBigUint64(0, sortable >> 63n ? sortable ^ 1n << 63n : ~sortable & 0xffff_ffff_ffff_ffffn);
	return toBits().getFloat64(0);
}

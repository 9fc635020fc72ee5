/**
 * Formats text for terminals: safe, and of a known width.
 *
 * Stored text may come from anywhere. Characters that move the cursor, change the direction of the text or are invisible
 * never reach a terminal.
 *
 * @module
 */

/** The style of a piece of text. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";

/** Applies a style to text, or leaves the text unchanged. */
export type Paint = (style: Style | undefined, text: string) => string;

const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** Without colors. */
export const plain: Paint = (_style, text) => text;

/** With the basic colors of every terminal. */
export const coloured: Paint = (style, text) => style === undefined ? text : `\x1b[${codes[style]}m${text}\x1b[0m`;

/** Control characters, which escape sequences begin with, direction marks, and halves of surrogate pairs. */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text on one line: white space becomes one space, invisible characters become escapes. */
export function clean(text: string): string {
	return text.replace(/\s+/g, " ").trim().replace(/\ufe0f/g, "").replace(unseen, writeOut);
}

/** The same for several lines with their indents. */
export function cleanLines(text: string): string[] {
	return text.split(/\r?\n/).map((line) => line.replaceAll("\t", "    ").replace(unseen, writeOut));
}

function writeOut(character: string): string {
	return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

/** JSON in which invisible characters are escaped: the same values, safe for a terminal. */
export function toJson(value: unknown, indent?: string): string {
	const text = JSON.stringify(value, undefined, indent) ?? "null";
	const escape = (character: string) =>
		character === "\n" || character === "\t"
			? character
			: Array.from({ length: character.length }, (_, index) =>
				`\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`).join("");
	return text.replace(unseen, escape);
}

/** Characters of two columns. Where terminals differ, the wider value counts: a gap is better than a wrapped line. */
const wide =
	/[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1aff0}-\u{1b2ff}\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const combining = /[\p{Mn}\p{Me}]/u;

/** The width of cleaned text, in columns. */
export function widthOf(text: string): number {
	if (/^[ -~]*$/.test(text)) return text.length;
	let width = 0;
	for (const character of text) width += combining.test(character) ? 0 : wide.test(character) ? 2 : 1;
	return width;
}

/** Text that is cut to a width. */
export function cut(text: string, width: number): string {
	const short = text.slice(0, 8 * width); // the number of combining marks has no limit
	if (short === text && widthOf(text) <= width) return text;
	let result = "";
	let left = width - 1;
	for (const character of short) {
		left -= widthOf(character);
		if (left < 0) break;
		result += character;
	}
	return width > 0 ? `${result}…` : "";
}

const units: readonly (readonly [name: string, length: number, least: number])[] = [
	["d", 86_400_000, 172_800_000],
	["h", 3_600_000, 7_200_000],
	["min", 60_000, 120_000],
	["s", 1_000, 10_000],
];

/** A duration: `340 ms`, `1.2 s`, `45 s`, `12 min`, `5 h`, `3 d`. */
export function duration(time: number): string {
	for (const [name, length, least] of units) if (time >= least) return `${Math.round(time / length)} ${name}`;
	return time < 1_000 ? `${Math.round(time)} ms` : `${Math.round(time / 100) / 10} s`;
}

/** The time until an instant, or since then. */
export function distance(at: number, now: number): string {
	const time = at - now;
	if (Math.abs(time) < 1_000) return "now";
	return time > 0 ? `in ${duration(time)}` : `${duration(-time)} ago`;
}

/** An instant in the local time zone. */
export function instant(at: number): string {
	const date = new Date(at);
	if (Number.isNaN(date.getTime())) return String(at);
	const two = (number: number) => String(number).padStart(2, "0");
	const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
	return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `1 task`, `1,200 tasks`. */
export function count(number: number, word: string): string {
	const many = word === "child" ? "children" : `${word}s`;
	return `${number.toLocaleString("en-US")} ${number === 1 ? word : many}`;
}

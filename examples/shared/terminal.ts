/** Text that fits into the columns of a terminal, and its colors. */

import process from "node:process";

const codes = { red: 31, green: 32, yellow: 33, cyan: 36, dim: 2, bold: 1 } as const;
const hasColours = !process.env["NO_COLOR"];

export type Colour = keyof typeof codes;

/** Cuts the end of a text that is too long. */
export function cut(text: string, width: number): string {
	return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

/** Cuts the middle, because the end of a URL or an id says more than its beginning. */
export function shorten(text: string, width: number): string {
	if (text.length <= width) return text;
	const tail = Math.ceil((width - 1) * 0.6);
	return `${text.slice(0, Math.max(0, width - 1 - tail))}…${text.slice(text.length - tail)}`;
}

export function paint(colour: Colour | undefined, text: string): string {
	return colour === undefined || !hasColours ? text : `\x1b[${codes[colour]}m${text}\x1b[0m`;
}

/**
 * Numbers, durations and instants in words.
 *
 * @module
 */

const units: readonly (readonly [milliseconds: number, name: string])[] = [
	[86_400_000, "d"],
	[3_600_000, "h"],
	[60_000, "min"],
	[1_000, "s"],
];

/** A duration with at most two units: `1 h 5 min`, `4.2 s`, `80 ms`. */
export function duration(milliseconds: number): string {
	if (!Number.isFinite(milliseconds)) return "–";
	if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`;
	if (milliseconds < 9_950) return `${(milliseconds / 1_000).toFixed(1)} s`;
	const seconds = Math.round(milliseconds / 1_000) * 1_000;
	const index = units.findIndex(([length]) => seconds >= length);
	const [length, name] = units[index]!;
	const [part, partName] = units[index + 1] ?? [1, ""];
	const rest = Math.floor(seconds % length / part);
	const isShort = length === 1_000 || rest === 0 || seconds >= 10 * length;
	return `${Math.floor(seconds / length)} ${name}${isShort ? "" : ` ${rest} ${partName}`}`;
}

/** An instant as seen from now: `in 5 s`, `3 min ago`, `2 h 5 min ago`. Coarse, so that it seldom changes. */
export function ago(at: number, now: number): string {
	const seconds = Math.floor(Math.abs(now - at) / 1_000);
	if (!Number.isFinite(seconds)) return "never";
	if (seconds < 1) return "now";
	const text = seconds < 60 ? `${seconds} s` : duration(Math.floor(seconds / 60) * 60_000);
	return at > now ? `in ${text}` : `${text} ago`;
}

/** An instant as a date and a time of day where the reader is. */
export function instant(at: number): string {
	const date = new Date(at);
	return isNaN(date.getTime()) ? "never" : date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });
}

/** A number with its thousands apart: `12,345`; from a hundred thousand on shortened: `1.2M`. */
export function count(number: number): string {
	return number < 1e5
		? number.toLocaleString("en")
		: number.toLocaleString("en", { notation: "compact", maximumFractionDigits: 1 });
}

/** A word for one or several: `1 task`, `2 tasks`. */
export function plural(number: number, word: string): string {
	return `${count(number)} ${word}${number === 1 ? "" : "s"}`;
}

/** A value as text to read: JSON, indented. A text stays as it is. */
export function readable(value: unknown): string {
	return typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? String(value);
}

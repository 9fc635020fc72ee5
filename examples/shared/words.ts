/** Errors, numbers and times as text. */

/** Describes an error on one line. The cause of a failed `fetch` is inside the error, at another place in each runtime. */
export function describe(error: unknown): string {
	if (!(error instanceof Error)) return line(String(error));
	const { cause, code } = error as Error & { code?: unknown };
	if (cause instanceof Error && error.name !== "TimeoutError") return describe(cause);
	if (typeof code === "string") return code;
	// Deno's message begins with known facts: the URL, and the part of the client that failed.
	return line((error.message || error.name).replace(/^error sending request .*: /s, ""));
}

/** One line without control characters, because the text may come from a server or a file. */
export function line(text: string): string {
	return text.replace(/[\s\p{Cc}]+/gu, " ").trim();
}

export function count(number: number, word: string): string {
	return `${number} ${word}${number === 1 ? "" : "s"}`;
}

/** A duration for people: "0.4 s", "12 s", "5 min". */
export function inSeconds(duration: number): string {
	if (duration < 10_000) return `${+(duration / 1000).toFixed(1)} s`;
	if (duration < 120_000) return `${Math.round(duration / 1000)} s`;
	return duration < 7_200_000 ? `${Math.round(duration / 60_000)} min` : `${Math.round(duration / 3_600_000)} h`;
}

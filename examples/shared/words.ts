/** Errors, numbers and times, as the table and the plain lines put them. */

/** What went wrong, on one line. What failed in `fetch` is deep inside the error, and elsewhere in each runtime. */
export function describe(error: unknown): string {
	if (!(error instanceof Error)) return line(String(error));
	const { cause, code } = error as Error & { code?: unknown };
	if (cause instanceof Error && error.name !== "TimeoutError") return describe(cause);
	if (typeof code === "string") return code;
	// Deno's text begins with what is known: the URL, and which part of the client has failed.
	return line((error.message || error.name).replace(/^error sending request .*: /s, ""));
}

/** Server and file contents end up here: none of their control characters may reach the terminal. */
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

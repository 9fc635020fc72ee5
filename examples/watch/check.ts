/** One attempt to reach a URL: the task that the group tries again. */

import { retryAfter, stopNow, type TaskContext } from "../../mod.ts";

/** What a URL that is up has answered. */
export interface Answer {
	readonly status: number;
	/** In milliseconds, up to the headers. */
	readonly duration: number;
}

export async function check(url: string, { signal }: TaskContext): Promise<Answer> {
	const startedAt = performance.now();
	const response = await fetch(url, { signal });
	const duration = Math.round(performance.now() - startedAt);
	await response.body?.cancel(); // a body that nobody reads would hold its connection
	if (response.ok) return { status: response.status, duration };
	throw refusal(response);
}

/** What to throw: the run takes from it whether and when to try again. */
function refusal({ status, statusText, headers }: Response): Error {
	const error = new Error(`${status} ${statusText}`.trim());
	const delay = retryDelay(headers.get("retry-after") ?? "");
	if ((status === 429 || status === 503) && delay > 0) return retryAfter(delay, error);
	const mayPass = status >= 500 || status === 408 || status === 425 || status === 429;
	return mayPass ? error : stopNow(error);
}

/** The header has seconds or a date. One that has neither, or no future, leaves the delay to the backoff. */
function retryDelay(header: string): number {
	if (/^\d+$/.test(header)) return Number(header) * 1000;
	return header.endsWith("GMT") ? Date.parse(header) - Date.now() : NaN;
}

/** What to throw when a server refuses: a run takes from it whether and when to try again. */

import { retryAfter, stopNow } from "../../mod.ts";

export function refusal({ status, statusText, headers }: Response): Error {
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

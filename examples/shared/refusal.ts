/** The error to throw for an error response: it says whether and when to retry. */

import { retryAfter, stopNow } from "../../mod.ts";

export function refusal({ status, statusText, headers }: Response): Error {
	const error = new Error(`${status} ${statusText}`.trim());
	const delay = retryDelay(headers.get("retry-after") ?? "");
	if ((status === 429 || status === 503) && delay > 0) return retryAfter(delay, error);
	const mayPass = status >= 500 || status === 408 || status === 425 || status === 429;
	return mayPass ? error : stopNow(error);
}

/** The header contains seconds or a date. If it is invalid or in the past, the backoff determines the delay. */
function retryDelay(header: string): number {
	if (/^\d+$/.test(header)) return Number(header) * 1000;
	return header.endsWith("GMT") ? Date.parse(header) - Date.now() : NaN;
}

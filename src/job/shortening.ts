/**
 * Heads of jobs that are too large for a store: details for people are dropped first.
 *
 * @module
 */

import type { Data } from "../basket/store.ts";
import { brief } from "./failures.ts";
import type { JobHead } from "./state.ts";

/**
 * Encodes a head, with as many details as fit.
 *
 * @throws {unknown} (as a rejection) the error of `encode` if it does not fit without them either
 */
export async function encodeShortened(
	head: JobHead,
	encode: (head: JobHead) => Data | PromiseLike<Data>,
): Promise<Data> {
	for (const shorten of [(head: JobHead) => head, withoutHistory]) {
		try {
			return await encode(shorten(head));
		} catch {
			// The last error is reported.
		}
	}
	const { error, revertError, previous } = head;
	const briefs = { error: brief(error), revertError: brief(revertError), previous: brief(previous) };
	return await encode({ ...withoutHistory(head), ...briefs });
}

function withoutHistory(head: JobHead): JobHead {
	return { ...head, history: [] };
}

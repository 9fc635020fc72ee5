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
	const { error, revertError, previous } = head;
	const short = { ...head, history: [] };
	for (const form of [head, short]) {
		try {
			return await encode(form);
		} catch {
			// The last error is reported.
		}
	}
	return await encode({ ...short, error: brief(error), revertError: brief(revertError), previous: brief(previous) });
}

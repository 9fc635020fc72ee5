/**
 * Changes that are made again when somebody else was faster.
 *
 * @module
 */

import { StoreError } from "../../platform/store-error.ts";
import { mostTries, pause } from "./database.ts";
import { Draft } from "./draft.ts";
import type { Space } from "./space.ts";

/** See {@link Draft.load}. */
const mostLoad = 1000;

/** One check for each item and one of the schema: a commit takes 100. */
export const mostItems = 99;

/** Makes one change; `work` is called anew until what it has read is still so when it is written. */
export async function inOneCommit<R>(space: Space, work: (draft: Draft) => Promise<R>): Promise<R> {
	const [result] = await inCommits(space, [undefined], () => Promise.resolve(), work);
	return result!;
}

/**
 * Makes a change for each item, as many in one commit as it takes; none is ever made by halves. Those that meet others, or
 * are too large together, are made in smaller commits.
 *
 * @param readAhead reads for all items together what their changes need
 */
export async function inCommits<T, R>(
	space: Space,
	items: readonly T[],
	readAhead: (draft: Draft, items: readonly T[]) => Promise<unknown>,
	work: (draft: Draft, item: T) => Promise<R>,
): Promise<R[]> {
	const results: R[] = [];
	let most = mostItems;
	for (let tries = 1; results.length < items.length;) {
		const draft = new Draft(space);
		const batch = items.slice(results.length, results.length + most);
		await readAhead(draft, batch);
		const made: R[] = [];
		// A commit that turns out to be too full is made in two.
		for (let [next, largest] = [0, 0]; next < batch.length && draft.load + largest <= mostLoad; next++) {
			const { load } = draft;
			made.push(await work(draft, batch[next]!));
			largest = Math.max(largest, draft.load - load);
		}
		if (await isCommitted(draft, made.length)) {
			for (const result of made) results.push(result);
			tries = 1;
			most = mostItems;
			continue;
		}
		most = Math.max(1, made.length >> 1);
		if (tries > mostTries) throw new StoreError("busy", "Others change the same tasks all the time");
		if (made.length === 1) await pause(tries++);
	}
	return results;
}

/** Says whether it was made; not either if it is too large, but could be smaller. */
export async function isCommitted(draft: Draft, size: number): Promise<boolean> {
	try {
		return await draft.commit();
	} catch (error) {
		if (error instanceof TypeError && size > 1) return false;
		throw error;
	}
}

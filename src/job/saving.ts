/**
 * Checkpoints of several jobs on their way into the store, in one call.
 *
 * @module
 */

import type { Save, Store } from "../basket/store.ts";

/** A checkpoint that waits until it is sent. */
export interface WaitingSave {
	readonly save: Save;
	/** Called just before it is sent. Says whether it is still wanted. */
	readonly begin: () => boolean;
}

/** Stores the checkpoints that are still wanted. Returns which were stored. */
export async function saveWanted<Tx>(
	store: Store<Tx>,
	name: string,
	waiting: readonly WaitingSave[],
): Promise<boolean[]> {
	const isWanted = waiting.map(({ begin }) => begin());
	const wanted = waiting.filter((_, index) => isWanted[index]);
	const saved = wanted.length > 0 ? await store.save(name, wanted.map(({ save }) => save)) : [];
	let next = 0;
	return isWanted.map((is) => is && saved[next++]!);
}

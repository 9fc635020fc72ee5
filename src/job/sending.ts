/**
 * Saves and reads of several jobs on their way to the store, in one call.
 *
 * @module
 */

/** A request that waits until it is sent. */
export interface Waiting<T> {
	readonly item: T;
	/** Called just before it is sent. Says whether it is still wanted. */
	readonly begin: () => boolean;
}

/** Sends the requests that are still wanted. The result of the others is `undefined`. */
export async function sendWanted<T, R>(
	waiting: readonly Waiting<T>[],
	send: (items: readonly T[]) => Promise<readonly R[]>,
): Promise<readonly (R | undefined)[]> {
	const wanted: T[] = [];
	const isWanted = waiting.map(({ item, begin }) => begin() && wanted.push(item) > 0);
	const results = wanted.length > 0 ? await send(wanted) : [];
	if (wanted.length === waiting.length) return results;
	let next = 0;
	return isWanted.map((is) => is ? results[next++] : undefined);
}

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
): Promise<(R | undefined)[]> {
	const isWanted = waiting.map(({ begin }) => begin());
	const wanted = waiting.filter((_, index) => isWanted[index]);
	const results = wanted.length > 0 ? await send(wanted.map(({ item }) => item)) : [];
	let next = 0;
	return isWanted.map((is) => is ? results[next++] : undefined);
}

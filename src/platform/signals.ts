/**
 * All work on one `AbortSignal` hangs on one event listener and one Set.
 *
 * A listener for each piece of work costs time that grows with their number (40,000 on one signal take seconds, in
 * every runtime); this does not. The event listener is on the signal exactly as long as there is work on it.
 *
 * @module
 */

/** Work that wants to know when its signal aborts. */
export interface Abortable {
	/** Called inside the `abort` event, at most once for each {@link link}. Must not throw. */
	abort(reason: unknown): void;
}

// The Set of a signal outlives its work, empty: to make it anew for each run costs more than to keep it.
const works: WeakMap<AbortSignal, Set<Abortable>> = /* @__PURE__ */ new WeakMap();

/**
 * Tells `item` when `signal`, which has not aborted yet, does. Linking twice is linking once.
 *
 * @returns all work on the signal, for {@link unlink}
 */
export function link(signal: AbortSignal, item: Abortable): Set<Abortable> {
	let work = works.get(signal);
	if (work === undefined) works.set(signal, work = new Set());
	if (work.size === 0) signal.addEventListener("abort", abortAll);
	return work.add(item);
}

/** Undoes {@link link}; harmless if there was none. Whoever kept what that returned saves a look-up. */
export function unlink(
	signal: AbortSignal,
	item: Abortable,
	work: Set<Abortable> | undefined = works.get(signal),
): void {
	if (work?.delete(item) && work.size === 0) signal.removeEventListener("abort", abortAll);
}

/** The one listener on every signal. An object with a `handleEvent` in its place would cost twice as much in Node. */
function abortAll({ target }: Event): void {
	const signal = target as AbortSignal;
	const work = works.get(signal)!;
	works.delete(signal);
	signal.removeEventListener("abort", abortAll);
	// What an abort unlinks on its way is not told any more: a Set's iteration skips what was deleted.
	for (const item of work) {
		work.delete(item);
		item.abort(signal.reason);
	}
}

/**
 * All work on one `AbortSignal` shares one event listener and one Set.
 *
 * If each piece of work had its own listener, the cost would grow with their number: 40,000 listeners on one signal
 * take seconds in every runtime. The event listener is attached only while there is work on the signal.
 *
 * @module
 */

/** Work that is notified when its signal aborts. */
export interface Abortable {
	/** Called inside the `abort` event, at most once for each {@link link}. Must not throw. */
	abort(reason: unknown): void;
}

// The empty Set of a signal is kept, because creating a new one for each run costs more.
const works: WeakMap<AbortSignal, Set<Abortable>> = /* @__PURE__ */ new WeakMap();

/**
 * Notifies `item` when `signal` aborts. The signal must not have aborted yet. Linking an item twice has no further
 * effect.
 *
 * @returns the set of all work on the signal, for {@link unlink}
 */
export function link(signal: AbortSignal | undefined, item: Abortable): Set<Abortable> | undefined {
	if (signal === undefined) return undefined;
	let work = works.get(signal);
	if (work === undefined) works.set(signal, work = new Set());
	if (work.size === 0) signal.addEventListener("abort", abortAll);
	return work.add(item);
}

/** Undoes {@link link}. Does nothing if the item is not linked. Passing the result of `link` saves a look-up. */
export function unlink(
	signal: AbortSignal | undefined,
	item: Abortable,
	work: Set<Abortable> | undefined = works.get(signal!),
): void {
	if (work?.delete(item) && work.size === 0) signal!.removeEventListener("abort", abortAll);
}

/** Does work that links and unlinks one item after the other: meanwhile the event listener stays, which each would add. */
export function whileListening<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
	const item: Abortable = { abort() {} };
	if (!signal.aborted) link(signal, item);
	return work().finally(() => unlink(signal, item));
}

/** The listener of all signals. An object with `handleEvent` would cost twice as much in Node. */
function abortAll({ target }: Event): void {
	const signal = target as AbortSignal;
	const work = works.get(signal)!;
	works.delete(signal);
	signal.removeEventListener("abort", abortAll);
	// Items that are unlinked during the abort are not notified, because the iteration of a Set skips deleted items.
	for (const item of work) {
		work.delete(item);
		item.abort(signal.reason);
	}
}

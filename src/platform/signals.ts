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

class Hub implements EventListenerObject {
	readonly work: Set<Abortable> = new Set();

	handleEvent(event: Event): void {
		const signal = event.target as AbortSignal;
		signal.removeEventListener("abort", this);
		hubs.delete(signal);
		// What an abort unlinks on its way is not told any more: a Set's iteration skips what was deleted.
		for (const item of this.work) {
			this.work.delete(item);
			item.abort(signal.reason);
		}
	}
}

// The hub of a signal outlives its work, empty: making it anew for each run costs more than keeping it.
const hubs: WeakMap<AbortSignal, Hub> = /* @__PURE__ */ new WeakMap();

/** Tells `item` when `signal`, which has not aborted yet, does. Linking twice is linking once. */
export function link(signal: AbortSignal, item: Abortable): void {
	let hub = hubs.get(signal);
	if (hub === undefined) hubs.set(signal, hub = new Hub());
	if (hub.work.size === 0) signal.addEventListener("abort", hub);
	hub.work.add(item);
}

/** Undoes {@link link}; harmless if there was none. */
export function unlink(signal: AbortSignal, item: Abortable): void {
	const hub = hubs.get(signal);
	if (hub?.work.delete(item) && hub.work.size === 0) signal.removeEventListener("abort", hub);
}

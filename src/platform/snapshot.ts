/**
 * The mechanism behind every `subscribe` and `getSnapshot`.
 *
 * The types of visible states are named by one rule: an `…Snapshot` is what a `getSnapshot` returns, alone or in a
 * list of equals; a `…Record` is one entry of a list or a map; a `…State` or `…Status` is a union of words; `…Counts`
 * are numbers.
 *
 * @module
 */

import { check } from "./check.ts";
import { observe, type OnError } from "./observe.ts";

/**
 * An observable state. In React, use `useSyncExternalStore(x.subscribe, x.getSnapshot)`; other frameworks have an
 * equivalent.
 */
export interface Subscribable<S> {
	/**
	 * Calls `listener` after each change, until the returned function is called. It is bound and can be passed as a
	 * function. Listeners are called synchronously, in the async context of the change, and may call anything. If a
	 * listener throws, the state and the other listeners are not affected.
	 *
	 * @throws {TypeError} if `listener` is not a function
	 */
	readonly subscribe: (listener: () => void) => () => void;
	/** Returns the current state: the same object until something changes. It is bound. */
	readonly getSnapshot: () => S;
}

/** A state that is computed when it is read, and not at each change. */
export class Snapshot<S> implements Subscribable<S> {
	readonly #read: () => S;
	readonly #onError: OnError | undefined;
	readonly #listeners = new Set<{ readonly listener: () => void }>();
	/** The state, if it was read since the last change. */
	#fresh: { readonly value: S } | undefined;

	constructor(read: () => S, onError?: OnError) {
		this.#read = read;
		this.#onError = onError;
	}

	readonly subscribe = (listener: () => void): () => void => {
		check("listener", listener, "function");
		// Wrapped, so that a function that subscribes twice can unsubscribe once.
		const entry = { listener };
		this.#listeners.add(entry);
		return () => void this.#listeners.delete(entry);
	};

	readonly getSnapshot = (): S => {
		return (this.#fresh ??= { value: this.#read() }).value;
	};

	/** Call it after a change whose listeners are notified later, if the state can be read before. */
	stale(): void {
		this.#fresh = undefined;
	}

	/** Call it after each change, when the state is consistent: a listener may call anything. */
	changed(): void {
		this.stale();
		if (this.#listeners.size === 0) return;
		for (const entry of [...this.#listeners]) {
			if (this.#listeners.has(entry)) observe(this.#onError, entry.listener);
		}
	}
}

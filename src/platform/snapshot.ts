/**
 * The one mechanism behind every `subscribe` and `getSnapshot`.
 *
 * @module
 */

import { check } from "./check.ts";
import { observe, type OnError } from "./observe.ts";

/**
 * Lets others watch a state: `useSyncExternalStore(x.subscribe, x.getSnapshot)` in React, and the same in the other
 * frameworks.
 */
export interface Subscribable<S> {
	/**
	 * Calls `listener` after each change, until the returned function is called. Bound: it can be passed on as it is.
	 * A listener that throws changes nothing and keeps no other listener from being called. It is called synchronously, in
	 * the async context of whoever changes the state, and may call anything.
	 *
	 * @throws {TypeError} if `listener` is no function
	 */
	readonly subscribe: (listener: () => void) => () => void;
	/** The state now. The same object as long as nothing changes. Bound. */
	readonly getSnapshot: () => S;
}

/** A state that is read when somebody asks, and not at each change. */
export class Snapshot<S> implements Subscribable<S> {
	readonly #read: () => S;
	readonly #onError: OnError | undefined;
	readonly #listeners = new Set<{ readonly listener: () => void }>();
	#value: S | undefined;
	#isFresh = false;

	constructor(read: () => S, onError?: OnError) {
		this.#read = read;
		this.#onError = onError;
	}

	readonly subscribe = (listener: () => void): () => void => {
		check("listener", listener, "function");
		// An entry of its own, so that a function that subscribes twice can unsubscribe once.
		const entry = { listener };
		this.#listeners.add(entry);
		return () => void this.#listeners.delete(entry);
	};

	readonly getSnapshot = (): S => {
		if (!this.#isFresh) {
			this.#value = this.#read();
			this.#isFresh = true;
		}
		return this.#value as S;
	};

	/** To be called after a change that is told later, if others may look before. */
	stale(): void {
		this.#isFresh = false;
	}

	/** To be called after each change, when the state is consistent: a listener may call anything. */
	changed(): void {
		this.stale();
		if (this.#listeners.size === 0) return;
		for (const entry of [...this.#listeners]) {
			if (this.#listeners.has(entry)) observe(this.#onError, entry.listener);
		}
	}
}

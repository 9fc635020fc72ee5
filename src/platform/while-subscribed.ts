/**
 * Work that runs while there are subscribers.
 *
 * @module
 */

import { check } from "./check.ts";

/** See `Subscribable.subscribe`. */
export type Subscribe = (listener: () => void) => () => void;

/** Wraps `subscribe`: the first subscription calls `begin`, and the end of the last one calls the returned function. */
export function whileSubscribed(subscribe: Subscribe, begin: () => () => void): Subscribe {
	let subscribers = 0;
	let end: () => void;
	return (listener) => {
		check("listener", listener, "function");
		// Called before the listener is added, so that no listener is called while it subscribes.
		if (++subscribers === 1) end = begin();
		let unsubscribe: (() => void) | undefined = subscribe(listener);
		return () => {
			if (unsubscribe === undefined) return;
			unsubscribe = unsubscribe() as undefined;
			if (--subscribers === 0) end();
		};
	};
}

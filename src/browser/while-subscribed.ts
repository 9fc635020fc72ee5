/**
 * What goes on for as long as somebody is subscribed.
 *
 * @module
 */

import { check } from "../platform/check.ts";

/** See `Subscribable.subscribe`. */
export type Subscribe = (listener: () => void) => () => void;

/** The same subscriptions, of which the first calls `begin`, and the end of the last one what that returned. */
export function whileSubscribed(subscribe: Subscribe, begin: () => () => void): Subscribe {
	let subscribers = 0;
	let end: () => void;
	return (listener) => {
		check("listener", listener, "function");
		// Before there is a listener, so that none is called while it subscribes.
		if (++subscribers === 1) end = begin();
		let unsubscribe: (() => void) | undefined = subscribe(listener);
		return () => {
			if (unsubscribe === undefined) return;
			unsubscribe = unsubscribe() as undefined;
			if (--subscribers === 0) end();
		};
	};
}

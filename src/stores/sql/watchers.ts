/**
 * The watchers of baskets. A callback may add and remove watchers.
 *
 * @module
 */

import type { WakeReason } from "../../basket/store.ts";
import { observe, type OnError, report } from "../../platform/observe.ts";

interface Watcher {
	readonly wake: (reason?: WakeReason) => void;
	readonly onError: OnError;
}

/** The watchers by basket, without empty sets. */
export type Watchers = Map<string, Set<Watcher>>;

/** @returns removes the watcher */
export function addWatcher(all: Watchers, basket: string, wake: Watcher["wake"], onError: OnError): () => void {
	const watcher = { wake, onError };
	const watchers = all.get(basket) ?? new Set();
	all.set(basket, watchers.add(watcher));
	return () => {
		if (watchers.delete(watcher) && watchers.size === 0) all.delete(basket);
	};
}

/** Wakes the watchers of one basket. */
export function wake(watchers: Iterable<Watcher> = [], reason?: WakeReason): void {
	for (const { wake, onError } of [...watchers]) observe(onError, wake, reason);
}

/** Wakes all watchers. */
export function wakeAll(all: Watchers, reason?: WakeReason): void {
	for (const watchers of [...all.values()]) wake(watchers, reason);
}

/** Reports an error to all watchers. */
export function reportTo(all: Watchers, error: unknown): void {
	for (const { onError } of [...all.values()].flatMap((watchers) => [...watchers])) report(onError, error);
}

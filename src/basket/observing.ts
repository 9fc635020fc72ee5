/**
 * How a basket tells observers of its tasks. The code for that is in `src/observer/baskets.ts`, and comes with the observer,
 * so that a basket without one does not pay for it.
 *
 * @module
 */

import type { Added, Claim } from "./store.ts";
import type { ObservedAttempt, ObservedEnd, Observer } from "../run/observer.ts";
import type { Clock } from "../platform/clock.ts";
import type { OnError } from "../platform/observe.ts";

/** An attempt that has begun, or will begin together with others. */
export interface Watched {
	readonly attempt: ObservedAttempt;
	/** The start of its function, on the monotonic clock. */
	begunAt: number | undefined;
	/** Whether its observer was told that its claim is lost. */
	isLost?: boolean;
	/** Calls the function of these attempts, of which this is the first. */
	begin<T>(batch: readonly Watched[], call: () => T): T;
	/** How long its task has been due, in milliseconds. */
	waited(): number;
}

/** A claimed task. */
export interface WatchedTask {
	readonly id: string;
	readonly kind: string;
	readonly attempt: number;
	readonly claim: Claim;
	watched?: Watched | undefined;
}

/** A kind, as far as it can be observed. */
export interface WatchedKind {
	readonly settings: { readonly observe?: Observer | undefined };
	/** Whether an observer is told of its tasks. */
	readonly isObserved?: boolean | undefined;
	call(
		payload: unknown,
		task: WatchedTask & { now(): number; readonly sharedRun?: object | undefined },
		attempt: never,
	): unknown;
}

/** A task that is to be added. */
export interface WatchedEntry {
	readonly kind: string;
	readonly id?: string | undefined;
	readonly lane?: string | undefined;
	readonly meta?: Readonly<Record<string, string>> | undefined;
}

/** The settings of a basket. */
export interface WatchedBasket {
	readonly name: string;
	readonly worker: string;
	readonly clock: Pick<Clock, "monotonic">;
	readonly onError: OnError | undefined;
}

/** The kinds of a basket beside that. */
export interface WatchedKinds extends WatchedBasket {
	readonly kinds: ReadonlyMap<string, WatchedKind>;
}

/** What is called for observers. */
export interface Observing {
	/** The kinds, whose calls are observed if they have an observer. */
	kinds<K extends WatchedKind>(kinds: ReadonlyMap<string, K>, basket: WatchedBasket): ReadonlyMap<string, K>;
	/** Begins to add tasks. Returns them with their meta, and what ends that. */
	adds<E extends WatchedEntry>(basket: WatchedKinds, entries: readonly E[]): {
		readonly entries: readonly E[];
		readonly end: (added: readonly Added[] | undefined, error?: unknown) => void;
	};
	/** Tells an observer of a claim, if its kind has one. */
	tell(basket: WatchedKinds, hook: "renewed" | "lost", task: WatchedTask): void;
	/** Tells an observer that the end of an attempt is stored, if its kind has one. */
	end(basket: WatchedKinds, task: WatchedTask, end: ObservedEnd): void;
}

/** What is called for the observers of these kinds; `undefined` if there is none. */
export function observingOf(kinds: ReadonlyMap<string, Pick<WatchedKind, "settings">>): Observing | undefined {
	for (const { settings: { observe } } of kinds.values()) {
		if (observe !== undefined) return observe.baskets as Observing;
	}
	return undefined;
}

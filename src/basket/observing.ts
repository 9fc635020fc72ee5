/**
 * What an observer is told of the tasks of a basket.
 *
 * @module
 */

import type { Entry } from "./adding.ts";
import type { BasketSettings, Kind } from "./options.ts";
import { type Added, baseOf } from "./store.ts";
import type { ContextOwner } from "./user-context.ts";
import { decodeMeta } from "./meta.ts";
import type { ObservedAddEnd, ObservedAttempt, Observer } from "../run/observer.ts";
import type { OnError } from "../platform/observe.ts";

/** The part of a claimed task that an observer sees. */
type Observed = Pick<ContextOwner<never>, "id" | "kind" | "attempt" | "claim">;

/** An attempt, as an observer sees it. */
export function attemptOf(basket: string, { id, kind, attempt, claim }: Observed): ObservedAttempt {
	return { by: "basket", basket, kind, id, attempt, meta: decodeMeta(claim.meta) };
}

/** Tells an observer of a claim, if its kind has one. */
export function tellOf<Tx>(settings: BasketSettings<Tx>, hook: "renewed" | "lost", task: Observed): void {
	const { kinds, name, onError } = settings;
	const kind = kinds.get(task.kind);
	if (kind?.isObserved && task.attempt > 0) kind.settings.observe!.tell(hook, onError, attemptOf(name, task));
}

/** Whether any kind has an observer. */
export function haveObserver(kinds: ReadonlyMap<string, Kind>): boolean {
	return [...kinds.values()].some(({ settings }) => settings.observe !== undefined);
}

/** The kinds, whose calls are observed if they have an observer. */
export function observedKinds(
	kinds: ReadonlyMap<string, Kind>,
	basket: string,
	onError: OnError | undefined,
): ReadonlyMap<string, Kind> {
	if (!haveObserver(kinds)) return kinds;
	return new Map([...kinds].map(([name, kind]) => [name, observedKind(kind, kind.settings.observe, basket, onError)]));
}

/** Begins to add tasks, if an observer is told of one. Returns them with their meta, and what ends that. */
export function beginAdds<Tx>(
	{ kinds, name: basket, onError }: Pick<BasketSettings<Tx>, "kinds" | "name" | "onError">,
	entries: readonly Entry[],
): {
	readonly entries: readonly Entry[];
	readonly end: (added: readonly Added[] | undefined, error?: unknown) => void;
} {
	const ends: (((end: ObservedAddEnd) => void) | undefined)[] = [];
	const watched = entries.map((entry) => {
		const observe = kinds.get(entry.kind)?.settings.observe;
		if (observe === undefined) return ends.push(undefined), entry;
		// Meta that is none is refused later.
		const meta = { ...typeof entry.meta === "object" ? entry.meta : {} };
		ends.push(observe.add({ basket, kind: baseOf(entry.kind), id: entry.id, meta }, onError));
		return { ...entry, meta: Object.keys(meta).length > 0 ? meta : entry.meta };
	});
	const end = (added: readonly Added[] | undefined, error?: unknown) => {
		for (const [index, end] of ends.entries()) {
			const one = added?.[index];
			end?.({ id: one?.id, isAdded: one?.added === true, error });
		}
	};
	return { entries: watched, end };
}

function observedKind(
	kind: Kind,
	observe: Observer | undefined,
	basket: string,
	onError: OnError | undefined,
): Kind {
	if (observe === undefined) return kind;
	const call: Kind["call"] = (payload, task, attempt) => {
		const { addedAt, age, late } = task.claim;
		const waited = Math.max(0, task.now() - (addedAt + age - late));
		return observe.begin(attemptOf(basket, task), waited, onError, () => kind.call(payload, task, attempt));
	};
	return { ...kind, call, isObserved: true };
}

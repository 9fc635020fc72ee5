/**
 * What an observer is told of the tasks of a basket.
 *
 * @module
 */

import type { BasketSettings, Kind } from "./options.ts";
import type { ContextOwner } from "./user-context.ts";
import { decodeMeta } from "./meta.ts";
import type { ObservedAttempt, Observer } from "../run/observer.ts";
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

/** The kinds, whose calls are observed if they have an observer. */
export function observedKinds(
	kinds: ReadonlyMap<string, Kind>,
	basket: string,
	onError: OnError | undefined,
): ReadonlyMap<string, Kind> {
	if ([...kinds.values()].every(({ settings }) => settings.observe === undefined)) return kinds;
	return new Map([...kinds].map(([name, kind]) => [name, observedKind(kind, kind.settings.observe, basket, onError)]));
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

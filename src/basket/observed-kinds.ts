/**
 * Kinds of tasks whose calls an observer is told of.
 *
 * @module
 */

import type { JobClaim } from "./job-claim.ts";
import type { ContextOwner } from "./user-context.ts";
import type { Watched } from "./watched.ts";
import { decodeMeta } from "./meta.ts";
import type { ObservedAttempt, Observer } from "../run/observer.ts";
import type { RunnerSettings } from "../run/options.ts";
import type { TaskContext } from "../run/task.ts";
import type { Clock } from "../platform/clock.ts";
import type { OnError } from "../platform/observe.ts";

/** The part of a kind that this needs. */
interface Observable {
	readonly settings: Pick<RunnerSettings, "observe">;
	call(payload: unknown, claim: ContextOwner<never> & JobClaim, attempt: TaskContext): unknown;
}

/** The part of a claimed task that an observer sees. */
export type Observed = Pick<ContextOwner<never>, "id" | "kind" | "attempt" | "claim" | "watched">;

/** The part of the settings of a basket that this needs. */
interface Settings {
	readonly name: string;
	readonly worker: string;
	readonly clock: Pick<Clock, "monotonic">;
	readonly onError: OnError | undefined;
}

/** An attempt, as an observer sees it. */
export function attemptOf(
	{ name, worker }: Pick<Settings, "name" | "worker">,
	{ id, kind, attempt, claim, watched }: Observed,
): ObservedAttempt {
	if (watched !== undefined) return watched.attempt;
	const { lane } = claim;
	return { by: "basket", basket: name, kind, id, attempt, meta: decodeMeta(claim.meta), lane, worker };
}

/** Whether any kind has an observer. */
export function haveObserver(kinds: ReadonlyMap<string, Observable>): boolean {
	return [...kinds.values()].some(({ settings }) => settings.observe !== undefined);
}

/** The kinds, whose calls are observed if they have an observer. */
export function observedKinds<K extends Observable>(
	kinds: ReadonlyMap<string, K>,
	settings: Settings,
): ReadonlyMap<string, K> {
	if (!haveObserver(kinds)) return kinds;
	return new Map([...kinds].map(([name, kind]) => [name, observedKind(kind, kind.settings.observe, settings)]));
}

function observedKind<K extends Observable>(kind: K, observe: Observer | undefined, settings: Settings): K {
	if (observe === undefined) return kind;
	const call: Observable["call"] = (payload, task, attempt) => {
		const { addedAt, age, late } = task.claim;
		const waited = () => Math.max(0, task.now() - (addedAt + age - late));
		const watched = task.watched = watchedOf(attemptOf(settings, task), observe, settings, waited);
		const run = () => kind.call(payload, task, attempt);
		// A task in a batch begins with the call that it shares.
		return task.sharedRun === undefined ? watched.begin([watched], run) : run();
	};
	return { ...kind, call, isObserved: true };
}

function watchedOf(
	attempt: ObservedAttempt,
	observe: Observer,
	{ clock, onError }: { readonly clock: Pick<Clock, "monotonic">; readonly onError: OnError | undefined },
	waited: () => number,
): Watched {
	return {
		attempt,
		begunAt: undefined,
		waited,
		begin(batch, call) {
			const begunAt = clock.monotonic();
			for (const one of batch) one.begunAt = begunAt;
			return observe.begin(batch.map(({ attempt, waited }) => [attempt, waited()]), onError, call);
		},
	};
}

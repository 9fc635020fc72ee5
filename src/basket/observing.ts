/**
 * What an observer is told of the tasks of a basket.
 *
 * @module
 */

import type { Entry } from "./adding.ts";
import type { BasketSettings, Kind } from "./options.ts";
import { type Added, baseOf, mostMeta } from "./store.ts";
import type { ContextOwner } from "./user-context.ts";
import { decodeMeta } from "./meta.ts";
import type { ObservedAdd, ObservedAddEnd, ObservedAttempt, Observer } from "../run/observer.ts";
import type { Clock } from "../platform/clock.ts";
import type { OnError } from "../platform/observe.ts";

/** The part of a claimed task that an observer sees. */
type Observed = Pick<ContextOwner<never>, "id" | "kind" | "attempt" | "claim" | "watched">;

/** The part of the settings of a basket that this needs. */
type Settings = Pick<BasketSettings<never>, "name" | "worker" | "clock" | "onError">;

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

/** An attempt, as an observer sees it. */
export function attemptOf(
	{ name, worker }: Pick<Settings, "name" | "worker">,
	{ id, kind, attempt, claim, watched }: Observed,
): ObservedAttempt {
	if (watched !== undefined) return watched.attempt;
	const { lane } = claim;
	return { by: "basket", basket: name, kind, id, attempt, meta: decodeMeta(claim.meta), lane, worker };
}

/** Tells an observer of a claim, if its kind has one. */
export function tellOf<Tx>(settings: BasketSettings<Tx>, hook: "renewed" | "lost", task: Observed): void {
	const { kinds, onError } = settings;
	const kind = kinds.get(task.kind);
	if (!kind?.isObserved || task.watched === undefined || task.watched.isLost) return;
	if (hook === "lost") task.watched.isLost = true;
	kind.settings.observe!.tell(hook, onError, task.watched.attempt);
}

/** Whether any kind has an observer. */
export function haveObserver(kinds: ReadonlyMap<string, Kind>): boolean {
	return [...kinds.values()].some(({ settings }) => settings.observe !== undefined);
}

/** The kinds, whose calls are observed if they have an observer. */
export function observedKinds(kinds: ReadonlyMap<string, Kind>, settings: Settings): ReadonlyMap<string, Kind> {
	if (!haveObserver(kinds)) return kinds;
	return new Map([...kinds].map(([name, kind]) => [name, observedKind(kind, kind.settings.observe, settings)]));
}

/** Begins to add tasks, if an observer is told of one. Returns them with their meta, and what ends that. */
export function beginAdds<Tx>(
	{ kinds, name: basket, onError }: Pick<BasketSettings<Tx>, "kinds" | "name" | "onError">,
	entries: readonly Entry[],
): {
	readonly entries: readonly Entry[];
	readonly end: (added: readonly Added[] | undefined, error?: unknown) => void;
} {
	const batches = new Map<Observer, ObservedAdd[]>();
	const adds = entries.map(({ kind, id, lane, meta }) => {
		const observe = kinds.get(kind)?.settings.observe;
		if (observe === undefined) return undefined;
		const batch = batches.get(observe) ?? [];
		batches.set(observe, batch);
		const add = { basket, kind: baseOf(kind), id, lane, meta: { ...typeof meta === "object" ? meta : {} } };
		batch.push(entries.length > 1 ? Object.assign(add, { batch }) : add);
		return { observe, add };
	});
	const ends: (((end: ObservedAddEnd) => void) | undefined)[] = [];
	const watched = entries.map((entry, index) => {
		const { observe, add } = adds[index] ?? {};
		ends.push(observe?.add(add!, onError));
		return add === undefined ? entry : { ...entry, meta: fitting(entry.meta, add.meta) };
	});
	const end = (added: readonly Added[] | undefined, error?: unknown) => {
		for (const [index, end] of ends.entries()) {
			const one = added?.[index];
			end?.({ id: one?.id, isAdded: one?.added === true, error });
		}
	};
	return { entries: watched, end };
}

/** The meta with what observers have put there, but for the longest texts of those that do not fit. */
function fitting(given: Entry["meta"], meta: Record<string, string>): Entry["meta"] {
	// Neither an object nor absent: it is refused later.
	if (Object.keys(meta).length === 0 || (given !== undefined && Object(given) !== given)) return given;
	const names = Object.keys(meta).filter((name) => given?.[name] === undefined);
	names.sort((one, other) => String(meta[one]).length - String(meta[other]).length);
	while (names.length > 0 && JSON.stringify(meta).length > mostMeta) delete meta[names.pop()!];
	return meta;
}

function observedKind(kind: Kind, observe: Observer | undefined, settings: Settings): Kind {
	if (observe === undefined) return kind;
	const call: Kind["call"] = (payload, task, attempt) => {
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

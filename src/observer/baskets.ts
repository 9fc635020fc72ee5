/**
 * What observers are told of the tasks of a basket.
 *
 * @module
 */

import { decodeMeta } from "../basket/engine.ts";
import type { Observing, Watched, WatchedBasket, WatchedEntry, WatchedKind, WatchedTask } from "../basket/observing.ts";
import { baseOf, mostMeta } from "../basket/store.ts";
import type { ObservedAdd, ObservedAddEnd, ObservedAttempt, Observer, ObserverHooks } from "../run/observer.ts";
import { around } from "./calls.ts";
import { observe } from "../platform/observe.ts";

export const baskets: Observing = {
	kinds: (kinds, basket) => new Map([...kinds].map(([name, kind]) => [name, observedKind(kind, basket)])),

	adds({ kinds, name: basket, onError }, entries) {
		const batches = new Map<Observer, ObservedAdd[]>();
		const adds = entries.map(({ kind, id, lane, meta }) => {
			const observer = kinds.get(kind)?.settings.observe;
			if (observer?.hooks.adding === undefined) return undefined;
			const batch = batches.get(observer) ?? [];
			batches.set(observer, batch);
			const add = { basket, kind: baseOf(kind), id, lane, meta: { ...typeof meta === "object" ? meta : {} } };
			batch.push(entries.length > 1 ? Object.assign(add, { batch }) : add);
			return { hooks: observer.hooks, add };
		});
		if (batches.size === 0) return { entries, end() {} };
		const ends: (((end: ObservedAddEnd) => void) | undefined)[] = [];
		const watched = entries.map((entry, index) => {
			const { hooks, add } = adds[index] ?? {};
			const end = hooks && observe(onError, hooks.adding, add!);
			ends.push(typeof end === "function" ? end : undefined);
			return add === undefined
				? entry
				: { ...entry, meta: observe(onError, fitting, entry.meta, add.meta) ?? entry.meta };
		});
		const end: ReturnType<Observing["adds"]>["end"] = (added, error) => {
			for (const [index, end] of ends.entries()) {
				const one = added?.[index];
				observe(onError, end, { id: one?.id, isAdded: one?.added === true, error });
			}
		};
		return { entries: watched, end };
	},

	tell({ kinds, onError }, hook, { kind, watched }) {
		const hooks = hooksOf(kinds.get(kind));
		if (hooks === undefined || watched === undefined || watched.isLost) return;
		if (hook === "lost") watched.isLost = true;
		observe(onError, hooks[hook], watched.attempt);
	},

	end(basket, task, end) {
		const hooks = hooksOf(basket.kinds.get(task.kind));
		if (hooks !== undefined) observe(basket.onError, hooks.ended, attemptOf(basket, task), end);
	},
};

function hooksOf(kind: WatchedKind | undefined): ObserverHooks | undefined {
	return kind?.isObserved ? kind.settings.observe!.hooks : undefined;
}

/** An attempt, as an observer sees it. */
function attemptOf(
	{ name, worker }: WatchedBasket,
	{ id, kind, attempt, claim: { meta, lane }, watched }: WatchedTask,
): ObservedAttempt {
	return watched?.attempt ?? { by: "basket", basket: name, kind, id, attempt, meta: decodeMeta(meta), lane, worker };
}

/** The meta with the texts that observers have put there, as far as they fit: the shortest first. */
function fitting(given: WatchedEntry["meta"], meta: Record<string, string>): WatchedEntry["meta"] {
	// What is given and wrong is refused later.
	if (given !== undefined && !(Object(given) === given && Object.values(given).every(isText))) return given;
	const before: Readonly<Record<string, unknown>> = given ?? {};
	const added = Object.entries(meta).filter(([name, text]) => {
		return isText(text) && !(Object.hasOwn(before, name) && before[name] === text);
	});
	added.sort(([, one], [, other]) => one.length - other.length);
	let fits = given;
	for (const [name, text] of added) {
		const longer = { ...fits, [name]: text };
		if (JSON.stringify(longer).length <= mostMeta) fits = longer;
	}
	return fits;
}

function isText(value: unknown): boolean {
	return typeof value === "string";
}

function observedKind<K extends WatchedKind>(kind: K, basket: WatchedBasket): K {
	const { observe: observer } = kind.settings;
	if (observer === undefined) return kind;
	const { hooks } = observer;
	const call: WatchedKind["call"] = (payload, task, attempt) => {
		const watched = task.watched = new WatchedCall(attemptOf(basket, task), hooks, basket, task);
		// A task in a batch begins with the call that it shares.
		if (task.sharedRun !== undefined) return kind.call(payload, task, attempt);
		return watched.begin([watched], () => kind.call(payload, task, attempt));
	};
	return { ...kind, call, isObserved: true };
}

class WatchedCall implements Watched {
	readonly attempt: ObservedAttempt;
	begunAt: number | undefined;
	isLost = false;
	readonly #hooks: ObserverHooks;
	readonly #basket: WatchedBasket;
	readonly #task: WatchedTask & { now(): number };

	constructor(
		attempt: ObservedAttempt,
		hooks: ObserverHooks,
		basket: WatchedBasket,
		task: WatchedTask & { now(): number },
	) {
		this.attempt = attempt;
		this.#hooks = hooks;
		this.#basket = basket;
		this.#task = task;
	}

	waited(): number {
		const { claim: { addedAt, age, late } } = this.#task;
		return Math.max(0, this.#task.now() - (addedAt + age - late));
	}

	begin<T>(batch: readonly Watched[], call: () => T): T {
		const { clock, onError } = this.#basket;
		const begunAt = clock.monotonic();
		for (const one of batch) one.begunAt = begunAt;
		for (const one of batch) observe(onError, this.#hooks.started, one.attempt, one.waited());
		return around(this.#hooks, this.attempt, onError, call);
	}
}

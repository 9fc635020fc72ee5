/**
 * Stores the tasks of baskets in memory: for tests, and for work that may be lost with the process.
 *
 * Use one of the `upkeep/stores` if tasks must survive the process. This is also the shortest complete description of
 * a store.
 *
 * It is not a store over records, as those for IndexedDB and Deno KV are: over a sorted map (`recordStore(overMap(…))`),
 * whose keys are texts, 10,000 tasks of a basket took nine times as long in Node.
 *
 * @module
 */

import type { Change, Data, ListQuery, LogRead, NewTask, Ref, Save, Store, Turn, WakeReason } from "./store.ts";
import { check } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { observe } from "../platform/observe.ts";
import { MemoryTasks } from "./memory-tasks.ts";

/** Options for {@link memoryStore}. */
export interface MemoryStoreOptions {
	/** The clock to use; only its wall clock is read. @default systemClock */
	clock?: Clock | undefined;
	/** The random source for `hasten`. It returns numbers from 0 to 1. @default Math.random */
	random?: (() => number) | undefined;
}

/**
 * Creates a {@link Store} whose tasks are lost with the process. Baskets with the same store and name share their
 * tasks.
 *
 * Bytes are copied when they are stored and read, so later changes to an array do not affect the store.
 *
 * @throws {TypeError} if an option is of the wrong type
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { memoryStore } from "upkeep";
 *
 * const store = memoryStore();
 * await store.add("mails", [{ id: "welcome", kind: "send", payload: "{}", delay: 0, priority: 0 }]);
 * const { claims } = await store.turn("mails", { settle: [], claim: [{ kinds: ["send"], limit: 10 }], lease: 30_000 });
 * assert.equal(claims[0]?.id, "welcome");
 * await store.turn("mails", { settle: [{ ref: claims[0], outcome: { type: "done" } }], claim: [], lease: 30_000 });
 * assert.equal(await store.get("mails", "welcome"), undefined);
 * ```
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store<never> {
	const { random = Math.random, ...given } = check("options", options, "object");
	const clock = checkClock(given.clock);
	check("random", random, "function");
	const baskets = new Map<string, MemoryTasks>();
	/** One sequence for orders, ids and tokens, so that none is used twice even if a basket is forgotten meanwhile. */
	let last = 0;

	/** Applies a function to the tasks of a basket, and keeps the basket while it has tasks. */
	function use<R>(basket: string, work: (all: MemoryTasks) => R): R {
		const all = baskets.get(basket) ?? new MemoryTasks(() => ++last);
		all.now = clock.now();
		const result = work(all);
		if (all.isUnused) baskets.delete(basket);
		else baskets.set(basket, all);
		return result;
	}

	/** A member of the store. It is atomic because it does all its work synchronously. */
	function member<A extends unknown[], R>(work: (all: MemoryTasks, ...values: A) => R) {
		return async (basket: string, ...values: A): Promise<R> => use(basket, (all) => work(all, ...values));
	}

	return {
		capabilities: { durable: false, shared: false, tx: false, clock: "machine", clones: true },
		open: async () => {},
		add: member((all, tasks: readonly NewTask[], tx?: never) => {
			refuse(tx);
			all.check(tasks);
			return tasks.map((task) => all.add(task));
		}),
		turn: member((all, turn: Turn) => all.turn(turn)),
		complete: async () => refuse(true),
		extend: member((all, refs: readonly Ref[], lease: number) => refs.map((ref) => all.extend(ref, lease))),
		save: member((all, saves: readonly Save[], tx?: never) => {
			refuse(tx);
			return saves.map((save) => all.save(save));
		}),
		log: member((all, reads: readonly LogRead[]) => reads.map((read) => all.log(read))),
		get: member((all, id: string) => all.get(id)),
		list: member((all, query: ListQuery) => all.list(query)),
		counts: member((all) => all.counts()),
		delete: member((all, ids: readonly string[], tx?: never) => {
			refuse(tx);
			return ids.map((id) => all.delete(id));
		}),
		change: member((all, ids: readonly string[], change: Change, tx?: never) => {
			refuse(tx);
			return ids.map((id) => all.change(id, change));
		}),
		pause: member((all, kind: string | undefined, isPaused: boolean) => all.pause(kind, isPaused)),
		pauses: member((all) => all.pauses()),
		hasten: member((all, within: number) => all.hasten(within, random)),
		post: member((all, id: string, data: Data) => all.post(id, data)),
		watch(basket, wake, onError) {
			const watcher = (reason?: WakeReason) => observe(onError, wake, reason);
			use(basket, ({ watchers }) => watchers.add(watcher));
			return () => use(basket, ({ watchers }) => void watchers.delete(watcher));
		},
	};
}

function refuse(tx: unknown): boolean {
	if (tx !== undefined) throw new TypeError("memoryStore() has no transactions");
	return false;
}

/**
 * Keeps the tasks of baskets in memory: for tests, and for work that may be lost with the process.
 *
 * Use one of the `upkeep/stores` where tasks must outlive it. This is also the shortest full account of what a store does.
 *
 * @module
 */

import type {
	Added,
	Change,
	Claim,
	Counts,
	Data,
	Done,
	ListQuery,
	Message,
	NewTask,
	Ref,
	Save,
	Store,
	StoreCapabilities,
	StoredTask,
	Turn,
	TurnResult,
} from "./store.ts";
import { check } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { observe } from "../platform/observe.ts";
import { MemoryTasks } from "./memory-tasks.ts";

/** What a {@link memoryStore} can be told. */
export interface MemoryStoreOptions {
	/** Whose time it is; only the wall clock is read. @default systemClock */
	clock?: Clock | undefined;
	/** Where the randomness of `hasten` comes from: numbers from 0 to 1. @default Math.random */
	random?: (() => number) | undefined;
}

/**
 * Makes a {@link Store} whose tasks are gone with the process. Baskets with the same store and name share their tasks.
 *
 * Bytes are copied on their way in and out: what a caller does to an array afterwards changes nothing that is stored.
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
	const { clock, random = Math.random } = check("options", options, "object");
	return new MemoryStore(checkClock(clock), check("random", random, "function"));
}

/** Each member does all its work before it returns: that alone makes it atomic. */
class MemoryStore implements Store<never> {
	readonly capabilities: StoreCapabilities = { durable: false, shared: false, tx: false, clock: "machine" };
	readonly #baskets = new Map<string, MemoryTasks>();
	readonly #clock: Clock;
	readonly #random: () => number;
	/** One row of numbers for orders, ids and tokens, so that none comes twice even if a basket is forgotten meanwhile. */
	#last = 0;
	readonly #number = (): number => ++this.#last;

	constructor(clock: Clock, random: () => number) {
		this.#clock = clock;
		this.#random = random;
	}

	async open(): Promise<void> {}

	async add(basket: string, tasks: readonly NewTask[], tx?: never): Promise<readonly Added[]> {
		if (tx !== undefined) throw noTransactions();
		return this.#each(basket, tasks, (all, task, now) => all.add(task, now));
	}

	async turn(basket: string, { settle, claim, lease }: Turn): Promise<TurnResult> {
		return this.#in(basket, (all, now) => {
			const settled = settle.map(({ ref, outcome }) => all.settle(ref, outcome, now));
			// Not all of them, or one turn might take long when the time of many is over.
			all.expire(settle.length + 100, now);
			const claims: Claim[] = claim.flatMap((request) => all.claim(request, lease, now));
			const dueAt = all.dueAt(claim.flatMap(({ kinds }) => kinds));
			return { settled, claims, dueIn: Math.max(0, dueAt - now) };
		});
	}

	async complete(_basket: string, _ref: Ref, _done: Done, _tx: never): Promise<boolean> {
		throw noTransactions();
	}

	async extend(basket: string, refs: readonly Ref[], lease: number): Promise<readonly ("ok" | "lost" | "posted")[]> {
		return this.#each(basket, refs, (all, ref, now) => all.extend(ref, lease, now));
	}

	async save(basket: string, saves: readonly Save[], tx?: never): Promise<readonly boolean[]> {
		if (tx !== undefined) throw noTransactions();
		return this.#each(basket, saves, (all, save) => all.save(save));
	}

	async get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
		return this.#in(basket, (all) => all.get(id));
	}

	async list(basket: string, query: ListQuery): Promise<readonly StoredTask[]> {
		return this.#in(basket, (all) => all.list(query));
	}

	async counts(basket: string): Promise<Counts> {
		return this.#in(basket, (all) => all.counts());
	}

	async delete(basket: string, ids: readonly string[]): Promise<readonly boolean[]> {
		return this.#each(basket, ids, (all, id) => all.delete(id));
	}

	async change(basket: string, ids: readonly string[], change: Change): Promise<readonly boolean[]> {
		return this.#each(basket, ids, (all, id, now) => all.change(id, change, now));
	}

	async hasten(basket: string, within: number): Promise<number> {
		return this.#in(basket, (all, now) => all.hasten(within, now, this.#random));
	}

	async post(basket: string, id: string, data: Data): Promise<boolean> {
		return this.#in(basket, (all, now) => all.post(id, data, now));
	}

	watch(basket: string, wake: () => void, onError: (error: unknown) => void): () => void {
		const watcher = () => observe(onError, wake);
		this.#in(basket, ({ watchers }) => watchers.add(watcher));
		return () => this.#in(basket, ({ watchers }) => void watchers.delete(watcher));
	}

	#each<T, R>(basket: string, items: readonly T[], one: (all: MemoryTasks, item: T, now: number) => R): R[] {
		return this.#in(basket, (all, now) => items.map((item) => one(all, item, now)));
	}

	/** Does something with the tasks of a basket, and remembers the basket as long as there is something in it. */
	#in<R>(basket: string, work: (all: MemoryTasks, now: number) => R): R {
		let all = this.#baskets.get(basket);
		if (all === undefined) this.#baskets.set(basket, all = new MemoryTasks(this.#number));
		try {
			return work(all, this.#clock.now());
		} finally {
			if (all.isUnused) this.#baskets.delete(basket);
		}
	}
}

function noTransactions(): TypeError {
	return new TypeError("memoryStore() has no transactions");
}

/**
 * A store that fails when a test says so.
 *
 * @module
 */

import type { Store, WakeReason } from "../basket/store.ts";
import { check } from "../platform/check.ts";
import { checkClock, type Clock, sleep } from "../platform/clock.ts";
import { report } from "../platform/observe.ts";

/** A call of a store, as a {@link FaultPlan} sees it. */
export interface StoreCall {
	/** What was called. */
	readonly member: Exclude<keyof Store, "capabilities">;
	/** What it was given. */
	readonly args: readonly unknown[];
	/** The how-manieth call it is, from 1. */
	readonly count: number;
	/**
	 * `"before"` the store is called, and `"after"` it has answered. Each time that a store wakes somebody who watches, that
	 * is an answer of `watch`, which has no `"before"`.
	 */
	readonly phase: "before" | "after";
	/** What the store has answered; of `watch`, what it says when it wakes. */
	readonly result?: unknown;
	/** What the store itself has failed with. */
	readonly failure?: unknown;
}

/** What goes wrong: first the delay, then the rest. */
export interface Fault {
	/** How long it takes, in milliseconds: 0 or more. @default 0 */
	readonly delay?: number | undefined;
	/**
	 * What the call rejects with. Before the store is called, nothing is done; afterwards it is done, and only the answer is
	 * lost. Where somebody watches, it is told to its `onError` in place of the wake-up.
	 */
	readonly error?: unknown;
	/** Nothing more comes of it, as if the process or the connection had died at this moment: a wake-up is lost. @default false */
	readonly hang?: boolean | undefined;
}

/** Decides what goes wrong with a call, if anything. Asked twice for each call. */
export type FaultPlan = (call: StoreCall) => Fault | undefined;

/** What a {@link faultyStore} can be told. */
export interface FaultyStoreOptions {
	/** Whose time the delays take. @default systemClock */
	clock?: Clock | undefined;
}

const members = [
	...["open", "add", "turn", "complete", "extend", "save", "get", "list", "counts", "delete", "change", "hasten"],
	...["post", "watch", "close"],
] as const as readonly StoreCall["member"][];

// deno-lint-ignore no-explicit-any -- of all members at once nothing more can be said
type Member = (...args: any[]) => any;

/**
 * Wraps a store so that it fails, is slow, loses answers or never answers, as a plan says. For tests of code that uses
 * baskets: what does it do when the disk is full, when the database restarts, when the process dies half-way?
 *
 * Several wrappers may share one store, each for a process of its own.
 *
 * @param store what does the work
 * @param plan what is to go wrong
 * @param options whose time it is
 * @throws {TypeError} if an argument is of the wrong type
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, memoryStore, StoreError } from "upkeep";
 * import { faultyStore } from "upkeep/testing";
 *
 * const full = new StoreError("full", "No space left");
 * const store = faultyStore(memoryStore(), ({ member, count, phase }) => {
 * 	// The first two calls are `open` and `add`.
 * 	if (member === "add" && count === 2 && phase === "before") return { error: full };
 * });
 * const basket = new Basket({ store, tasks: { count: (_number: number) => {} } });
 * await assert.rejects(basket.add("count", 1), full);
 * await basket.add("count", 2);
 * assert.equal((await basket.counts()).waiting, 1);
 * ```
 */
export function faultyStore<Tx>(store: Store<Tx>, plan: FaultPlan, options: FaultyStoreOptions = {}): Store<Tx> {
	check("store.turn", check("store", store, "object").turn, "function");
	check("plan", plan, "function");
	const clock = checkClock(check("options", options, "object").clock);
	const calls = new Calls(plan, clock);
	const faulty: Record<string, unknown> = { capabilities: store.capabilities };
	for (const member of members) {
		const original = store[member]?.bind(store) as Member | undefined;
		if (original === undefined) continue;
		faulty[member] = member === "watch" ? calls.watch(original) : calls.wrap(member, original);
	}
	return faulty as unknown as Store<Tx>;
}

class Calls {
	readonly #plan: FaultPlan;
	readonly #clock: Clock;
	#count = 0;

	constructor(plan: FaultPlan, clock: Clock) {
		this.#plan = plan;
		this.#clock = clock;
	}

	/** Without a fault the store is called before this returns, as it must be for what is inside a transaction. */
	wrap(member: StoreCall["member"], original: Member): Member {
		return async (...args) => {
			const call = { member, args, count: ++this.#count };
			const before = this.#plan({ ...call, phase: "before" });
			if (before !== undefined) await this.#suffer(before);
			let answer: { readonly result: unknown } | { readonly failure: unknown };
			try {
				answer = { result: await original(...args) };
			} catch (failure) {
				answer = { failure };
			}
			const after = this.#plan({ ...call, phase: "after", ...answer });
			if (after !== undefined) await this.#suffer(after);
			if ("failure" in answer) throw answer.failure;
			return answer.result;
		};
	}

	watch(original: Member): Member {
		return (basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void) => {
			let isWatching = true;
			const call = { member: "watch", args: [basket], count: ++this.#count, phase: "after" } as const;
			const onWake = (result?: WakeReason) => {
				const fault = this.#plan({ ...call, result });
				if (fault === undefined) return wake(result);
				this.#suffer(fault).then(() => isWatching && wake(result), (error) => isWatching && report(onError, error));
			};
			const end = original(basket, onWake, onError);
			return () => {
				isWatching = false;
				end();
			};
		};
	}

	async #suffer(fault: Fault): Promise<void> {
		const { delay = 0, hang = false } = fault;
		if (delay > 0) await sleep(delay, { clock: this.#clock });
		if (hang) await new Promise(() => {});
		if ("error" in fault) throw fault.error;
	}
}

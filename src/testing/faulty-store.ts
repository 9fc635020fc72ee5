/**
 * A store that fails on request, for tests.
 *
 * @module
 */

import type { Store, WakeReason } from "../basket/store.ts";
import { check } from "../platform/check.ts";
import { checkClock, type Clock, sleep } from "../platform/clock.ts";
import { report } from "../platform/observe.ts";

/** A call of a store, as a {@link FaultPlan} sees it. */
export interface StoreCall {
	/** The called member. */
	readonly member: Exclude<keyof Store, "capabilities">;
	/** The arguments. */
	readonly args: readonly unknown[];
	/** The sequence number of the call, from 1. */
	readonly count: number;
	/**
	 * `"before"` the store is called, or `"after"` it has answered. Each wake-up of a watcher counts as an answer of
	 * `watch` and has no `"before"`.
	 */
	readonly phase: "before" | "after";
	/** The answer of the store; for `watch`, the reason of the wake-up. */
	readonly result?: unknown;
	/** The error of the store itself. */
	readonly failure?: unknown;
}

/** A fault to inject: first the delay, then the rest. */
export interface Fault {
	/** The delay in milliseconds, 0 or more. @default 0 */
	readonly delay?: number | undefined;
	/**
	 * The error with which the call rejects. In the phase `"before"`, the store does nothing; in the phase `"after"`,
	 * it has done its work, and only the answer is lost. For `watch`, the error is passed to `onError` instead of the
	 * wake-up.
	 */
	readonly error?: unknown;
	/**
	 * Whether the call never settles, as if the process or the connection had died at this moment. A wake-up is lost.
	 * @default false
	 */
	readonly hang?: boolean | undefined;
}

/** Decides which fault a call has, if any. Called twice for each call. */
export type FaultPlan = (call: StoreCall) => Fault | undefined;

/** Options for {@link faultyStore}. */
export interface FaultyStoreOptions {
	/** The clock for the delays. @default systemClock */
	clock?: Clock | undefined;
}

/** A record, so that the compiler misses a member that is not here. */
const wrapped: Readonly<Record<StoreCall["member"], true>> = {
	open: true,
	add: true,
	turn: true,
	complete: true,
	extend: true,
	save: true,
	log: true,
	get: true,
	list: true,
	counts: true,
	delete: true,
	change: true,
	pause: true,
	pauses: true,
	hasten: true,
	post: true,
	watch: true,
	close: true,
};
const members = /* @__PURE__ */ Object.keys(wrapped) as readonly StoreCall["member"][];

// deno-lint-ignore no-explicit-any -- the members have no narrower common type
type Member = (...args: any[]) => any;

/**
 * Wraps a store so that it fails, is slow, loses answers or never answers, according to a plan. It is meant for tests
 * of code that uses baskets: what does the code do if the disk is full, the database restarts, or the process dies
 * half-way?
 *
 * Several wrappers can share one store, each simulating one process.
 *
 * @param store the store to wrap
 * @param plan returns the faults
 * @param options the clock
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

	/** Without a fault, the store is called synchronously, which calls inside a transaction require. */
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

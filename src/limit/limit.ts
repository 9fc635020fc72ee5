/**
 * Limits of how many tasks run at once, and of how many begin in a time.
 *
 * A limit holds for all processes of a basket. Use `concurrency` for what one process can do.
 *
 * @module
 */

import { check, refuse } from "../platform/check.ts";
import { checkName } from "../platform/name.ts";

/** Options for {@link limit}: `atOnce`, `rate`, or both. */
export interface LimitOptions<P> {
	/**
	 * Returns the key of a task from its payload, as the schema returns it: 1 to 255 characters, such as the customer.
	 * Each key has a limit of its own. It must return the same key for the same payload. If it throws, or if the key is
	 * not allowed, `add` rejects, and a stored task becomes dead. Default: one limit for all tasks of the kind.
	 */
	key?: ((payload: P) => string) | undefined;
	/** The maximum number of tasks of a key that run at once: a whole number from 1. Default: no maximum. */
	atOnce?: number | undefined;
	/** The maximum number of tasks of a key that begin in a time. Default: no maximum. */
	rate?: RateOptions | undefined;
}

/** A rate of starts: in any time of `per`, at most `tasks + burst - 1` tasks begin. */
export interface RateOptions {
	/** The number of starts in the time of `per`: a whole number from 1. */
	tasks: number;
	/** The time, in milliseconds: more than 0, and finite. `per / tasks` is the time between two starts, not rounded. */
	per: number;
	/**
	 * The number of tasks that may begin at once after a rest: a whole number from 1. With 1, each start waits for the
	 * time between two starts after the last one. With more, a start that comes late is made up for. @default 1
	 */
	burst?: number | undefined;
}

/** The limit of a kind of task, of a job or of a basket, made by {@link limit}. Its members are internal. */
export interface Limit<P> {
	/** Returns the key of a payload, checked. */
	readonly keyOf: (payload: P) => string;
	/** Whether each key has a limit of its own. */
	readonly isKeyed: boolean;
	/** What a store has to know. */
	readonly bounds: LimitBounds;
}

/** The numbers of a {@link Limit}. */
export interface LimitBounds {
	/** The maximum number of running tasks of a key, or `Infinity`. */
	readonly atOnce: number;
	/** The time between two starts, in milliseconds, or 0. */
	readonly spacing: number;
	/** The number of starts that may come at once. */
	readonly burst: number;
}

/** The longest time between starts, times the burst, in milliseconds: ten years. Stores calculate with instants. */
const longest = 316_224_000_000;

/**
 * Limits the tasks of a kind, or of a whole basket, in all processes, machines and tabs that work on the basket:
 *
 * - with `atOnce`, no more tasks of a key have a claim. A task in a backoff has none. The task of a process that has died
 *   counts until its lease has ended and another process has claimed it;
 * - with `rate`, no more tasks of a key begin, on the clock of the store. Each attempt counts.
 *
 * Tasks that wait for their limit delay no tasks of other keys and kinds, however many they are. The keys are served in
 * turn. Within a key, the usual order holds.
 *
 * The limit belongs to the code that claims tasks: a deploy that adds, changes or removes a limit also has effect for
 * tasks that are stored already. While processes with different limits work on a basket, each of them heeds its own.
 *
 * @param options what is limited
 * @returns the value for `limit` in the definition of a kind or of a job, or in the options of a basket
 * @throws {TypeError | RangeError} for options of the wrong type or out of range, and without `atOnce` and `rate`
 *
 * @example At most two requests at once for each customer, and at most ten a second.
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, limit, memoryStore } from "upkeep";
 *
 * let running = 0;
 * const most: number[] = [];
 * const basket = new Basket({
 * 	store: memoryStore(),
 * 	tasks: {
 * 		call: {
 * 			async run({ path }: { customer: string; path: string }) {
 * 				most.push(++running);
 * 				await new Promise((resolve) => setTimeout(resolve, 5, path));
 * 				running--;
 * 			},
 * 			limit: limit({ key: ({ customer }) => customer, atOnce: 2, rate: { tasks: 10, per: 1_000, burst: 10 } }),
 * 		},
 * 	},
 * });
 * for (const path of ["/a", "/b", "/c", "/d"]) await basket.add("call", { customer: "ada", path });
 * await basket.drain();
 * assert.deepEqual([most.length, Math.max(...most)], [4, 2]);
 * ```
 */
// deno-lint-ignore no-explicit-any -- without a key, it fits each kind
export function limit<P = any>(options: LimitOptions<P>): Limit<P> {
	const { key, atOnce = Infinity, rate } = check("options", options, "object");
	if (key !== undefined) check("key", key, "function");
	if (atOnce !== Infinity) checkWhole("atOnce", atOnce);
	else if (rate === undefined) refuse("options", options, `an object with "atOnce" or "rate"`);
	const keyOf = key === undefined ? () => "" : (payload: P) => checkName("limit.key()", key(payload));
	const isKeyed = key !== undefined;
	return { keyOf, isKeyed, bounds: { atOnce, ...rate === undefined ? { spacing: 0, burst: 1 } : checkRate(rate) } };
}

function checkRate(rate: RateOptions): Omit<LimitBounds, "atOnce"> {
	const { tasks, per, burst = 1 } = check("rate", rate, "object");
	checkWhole("rate.tasks", tasks);
	check("rate.per", per, "number", Number.isFinite(per) && per > 0, "more than 0, and finite");
	const spacing = per / tasks;
	if (checkWhole("rate.burst", burst) * spacing > longest) {
		refuse("rate", `${tasks} tasks per ${per} ms, ${burst} at once`, "ten years or less for a burst", RangeError);
	}
	return { spacing, burst };
}

function checkWhole(name: string, value: number): number {
	return check(name, value, "number", Number.isSafeInteger(value) && value > 0, "a whole number from 1");
}

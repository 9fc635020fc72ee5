/**
 * Tasks of a basket that run together: one call of a function for up to `most` of them.
 *
 * Use {@link batch} if a service takes many items at once, and a call costs more than an item. Use
 * `ifPresent: "collect"` if items that belong together are one task from the beginning. Without either, each task has a
 * call of its own, and `concurrency` of them run at the same time.
 *
 * @module
 */

import type { BasketContext, Batching } from "../basket/engine.ts";
import { Batches } from "./batches.ts";
import { Call } from "./call.ts";
import { check, checkFinite, refuse } from "../platform/check.ts";

/** Options for {@link batch}. */
export interface BatchOptions {
	/** The maximum number of tasks in a call: a whole number from 1 to 1,000. */
	most: number;
	/**
	 * How long a call waits for further tasks from its first one on, in milliseconds: 0 or more, finite, and less than a
	 * `timeout` of the tasks. A full call begins at once. With 0, a call begins with the tasks that are due. @default 0
	 */
	wait?: number | undefined;
	/**
	 * Which tasks share a call:
	 *
	 * - `"kind"`: those of the kind, at most one of each lane;
	 * - `"lane"`: the first task of a lane and those behind it, in order, while they are of this kind and due. A task
	 *   without a lane has a call of its own. `wait` must be 0: a `delay` of the tasks lets them gather in their lane.
	 *
	 * @default "kind"
	 */
	by?: "kind" | "lane" | undefined;
}

/**
 * A task in a call: its payload, and what a task that runs alone gets as its context. Its signal aborts at the
 * `timeout` of this task, or with a `ClaimLostError`, and concerns no other task.
 *
 * @typeParam P the payload
 * @typeParam Tx the transactions of the store
 */
export interface BatchTask<P, Tx = never> extends BasketContext<P, Tx> {
	/** The payload. */
	readonly payload: P;
}

/** The second argument of the function of a batch. */
export interface BatchContext {
	/** Aborts when nothing of the call is left to do: each of its tasks was aborted or has failed. So does a stop. */
	readonly signal: AbortSignal;
	/**
	 * Lets one task fail, as if its own function had thrown the error, while the others continue. Hints are heeded:
	 * `retryAfter`, `retryNow`, `resetBackoff`, `stopNow`, `later`.
	 *
	 * By kind, the task is settled at once, so that its next attempt does not wait for the end of the call: call it when you have
	 * finished with this task. The first call for a task counts. An id that the call does not have is ignored, and so is
	 * everything after the end of the call.
	 */
	readonly fail: (id: string, error?: unknown) => void;
}

/**
 * A function for a kind of task, made by {@link batch}. If you call it yourself, for example in a test, it makes a call
 * with this one task.
 *
 * @typeParam P the payload
 * @typeParam Tx the transactions of the store
 */
export interface BatchFunction<P, Tx = never> {
	/** Makes a call with one task. */
	(payload: P, context: BasketContext<P, Tx>): Promise<void>;
	/** What a basket needs. It is internal. */
	readonly upkeepBatch: unknown;
}

/**
 * Runs up to `most` tasks of a kind in one call of a function. Each task keeps its own claim, lease, attempts and end:
 *
 * - if the function returns, its tasks are done; `fail(id, error)` excludes one of them. If the function throws, all
 *   tasks fail that have not failed before. Results are not kept;
 * - a task whose stored payload is invalid becomes dead alone, and the others run;
 * - `timeout`, `deadline`, `attempts`, `backoff` and `abandonAfter` hold for each task. A `timeout` begins when the
 *   task joins the call, so it includes `wait`. It aborts the signal of that task; when the signals of all tasks have
 *   aborted, that of the call aborts. The call ends when the function does. If all of its tasks were abandoned before,
 *   its place is free, and what the function still does has no effect;
 * - if the process dies, each task of the call has crashed once. After two crashes in a row, a task runs alone, in a
 *   call of one.
 *
 * By lane, a task is done only if all before it are. With `fail`, those before the task are done, and those behind it are
 * given back without an attempt, when the function returns; the first failure in the lane counts. If the function throws,
 * that is the failure of the first task. If a transaction that completes a task is rolled back, the task and those behind
 * it are given back; for the first task of the call, that is a failure. A task with failed or crashed attempts runs alone.
 *
 * A call takes one place of `concurrency`, whatever its size. For each free place, up to `most` tasks are claimed, and
 * no more. They are those that come first in the usual order; tasks that join a call which has begun to gather come
 * before those of other kinds. A call begins early if the basket is paused or has time to `finish`.
 *
 * @param options the size of a call, and how long it waits
 * @param run gets the tasks, in order, and the means to let single ones fail
 * @returns the function for the kind: `send: batch(…)` or `send: { run: batch(…), attempts: 5 }`
 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, batch, type BatchTask, memoryStore, stopNow } from "upkeep";
 *
 * const requests: string[][] = [];
 * const outcomes: string[] = [];
 * const outbox = new Basket({
 * 	store: memoryStore(),
 * 	tasks: {
 * 		push: batch({ most: 100 }, (tasks: readonly BatchTask<string>[], { fail }) => {
 * 			requests.push(tasks.map(({ payload }) => payload)); // await fetch(…, { signal })
 * 			for (const { id, payload } of tasks) {
 * 				if (payload === "bob") fail(id, stopNow(new Error("410: this device is gone")));
 * 			}
 * 		}),
 * 	},
 * 	onSettled: ({ id, outcome }) => outcomes.push(`${id} ${outcome}`),
 * });
 * await outbox.addMany(["ada", "bob", "eve"].map((name) => ({ kind: "push", payload: name, id: name })));
 * await outbox.drain();
 * assert.deepEqual(requests, [["ada", "bob", "eve"]]);
 * assert.deepEqual(outcomes.sort(), ["ada done", "bob dead", "eve done"]);
 * ```
 */
export function batch<P, Tx = never>(
	options: BatchOptions,
	run: (tasks: readonly BatchTask<P, Tx>[], context: BatchContext) => unknown,
): BatchFunction<P, Tx> {
	const { most, wait = 0, by = "kind" } = check("options", options, "object");
	const isAllowed = Number.isInteger(most) && most > 0 && most <= 1_000;
	check("most", most, "number", isAllowed, "a whole number from 1 to 1,000");
	checkFinite("wait", wait);
	check("by", by, "string", by === "kind" || by === "lane", '"kind" or "lane"');
	if (by === "lane" && wait > 0) refuse("wait", wait, '0 with "by": "lane"', RangeError);
	check("run", run, "function");
	const upkeepBatch: Batching = { most, wait, by, run, begin: (kinds) => new Batches(kinds) };
	return Object.assign(async (payload: P, context: BasketContext<P, Tx>) => {
		const call = new Call(run);
		const shared = call.enter(context.id);
		call.close();
		await shared(payload, context as BasketContext<unknown, unknown>);
	}, { upkeepBatch });
}

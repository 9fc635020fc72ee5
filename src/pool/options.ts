/**
 * What a pool can be told, and what it shows.
 *
 * @module
 */

import type { Clock } from "../platform/clock.ts";
import type { OnError } from "../platform/observe.ts";

/** What `createWorker` is told. */
export interface CreateWorkerContext {
	/** Aborts when the pool stops. */
	readonly signal: AbortSignal;
	/** To be called when the worker is lost: its task fails or restarts, and it is replaced if it is needed. */
	readonly died: (reason?: unknown) => void;
}

/** What a {@link Pool} can be told. */
export interface PoolOptions<W = undefined> {
	/** How many workers there are at least, from the start; a whole number from 0. @default 0 */
	min?: number | undefined;
	/** How many workers there are at most: a whole number from 1, not less than `min`, or `Infinity`. */
	max: number;
	/** How long a worker above `min` may be idle before it is destroyed, in milliseconds. @default 10_000 */
	idleTimeout?: number | undefined;
	/**
	 * Makes what a worker works with. If it fails, the task that is next in the queue fails with that error, or restarts;
	 * then some time goes by before the next try: 100 ms, twice as long after each failure, up to 30 s. Since a worker serves
	 * many callers, this and `destroyWorker` are called in the async context (`AsyncLocalStorage`) of `new Pool`.
	 */
	createWorker?: ((context: CreateWorkerContext) => W | PromiseLike<W>) | undefined;
	/** Called once with each that was made, when it is not needed any more or has died. */
	destroyWorker?: ((worker: W) => unknown) | undefined;
	/** Told what `destroyWorker` or a subscriber threw, and why a worker could not be made that no task waits for. */
	onError?: OnError | undefined;
	/** Whose time it is. @default systemClock */
	clock?: Clock | undefined;
}

/** A named task, as {@link Pool.go} returns it. */
export interface PoolTask<T = unknown> {
	/** Its name, which no other task of the pool has as long as this one waits or runs. */
	readonly name: string;
	/** Resolves when a worker has taken it, for the first time. Rejects if that never happens; nobody has to handle it. */
	readonly assigned: Promise<void>;
	/** What it returns, or fails with. Nobody has to handle a rejection. */
	readonly result: Promise<T>;
	/**
	 * Takes it out of the queue; or aborts its signal with `reason` (an `AbortError` by default), if it runs. Harmless if
	 * it is over.
	 */
	cancel(reason?: unknown): void;
}

/** A worker, in {@link Pool.workers}. */
export interface PoolWorkerStatus {
	/** `"waiting"` for a task, or `"running"` one. */
	readonly status: "waiting" | "running";
	/** The name of the task that it runs, if that has one. */
	readonly task: string | undefined;
}

/** A named task, in {@link Pool.tasks}. */
export interface PoolTaskStatus {
	/** `"not-assigned"` to a worker so far, `"running"`, or `"restarted"`: it waits again. */
	readonly status: "not-assigned" | "running" | "restarted";
	/** The id of the worker that runs it. */
	readonly worker: number | undefined;
	/** How often it was put back into the queue. */
	readonly restarts: number;
	/** What it reported last in this run. */
	readonly progress: number | undefined;
	/** What it reported last in this run. */
	readonly description: string | undefined;
}

/** A {@link Pool} at one moment. */
export interface PoolSnapshot {
	/** The workers by their ids, as in {@link Pool.workers}. */
	readonly workers: ReadonlyMap<number, PoolWorkerStatus>;
	/** The named tasks, as in {@link Pool.tasks}. */
	readonly tasks: ReadonlyMap<string, PoolTaskStatus>;
	/** How many tasks wait, with or without a name; those included that wait for their restart. */
	readonly waiting: number;
	/** How many tasks run. */
	readonly running: number;
	/** Whether tasks are held back by {@link Pool.pause}. */
	readonly isPaused: boolean;
}

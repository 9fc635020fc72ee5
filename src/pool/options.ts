/**
 * What a pool can be told, and what it shows.
 *
 * @module
 */

import type { RunnerOptions } from "../run/options.ts";
import type { TaskContext } from "../run/task.ts";
import type { OnError } from "../platform/observe.ts";

/** What a task of a pool is told. */
export interface PoolContext<W = undefined> extends TaskContext {
	/** What `createWorker` made; no other task uses it at the same time. */
	readonly worker: W;
	/** Shows in `pool.tasks()` how far the task is. It may be taken out of the context. */
	readonly report: (progress: number, description?: string) => void;
}

/** A task of a pool. It may throw the hints of a task: `stopNow`, `retryNow`, `resetBackoff`, `retryAfter`. */
export type PoolFunction<T, W = undefined> = (context: PoolContext<W>) => T | PromiseLike<T>;

/** What `createWorker` is told. */
export interface CreateWorkerContext {
	/** Aborts when the pool stops. */
	readonly signal: AbortSignal;
	/** To be called when the worker is lost: the attempt of its task fails, and it is replaced if it is needed. */
	readonly died: (reason?: unknown) => void;
}

/**
 * What a {@link Pool} can be told: what concerns it, and defaults for its tasks.
 *
 * The defaults are the options of `run`. `attempts`, `backoff`, `shouldRetry` and `onAttemptFailed` mean the same: a task
 * that waits for its next attempt holds no worker, then waits in the queue behind those with its priority. An attempt also
 * fails if its worker dies, or none could be made for it. `timeout` bounds an attempt from the moment in which a worker
 * takes the task. `deadline` counts from the first such moment, and also while the task waits in the queue again.
 * `abandonAfter` gives the worker up together with the task, since the task may still use it: it is destroyed, and replaced
 * if it is needed. So a task that was given up may run beside `max` others.
 */
export interface PoolOptions<W = undefined> extends RunnerOptions<PoolContext<W>> {
	/** How many workers there are at least, from the start; a whole number from 0. @default 0 */
	min?: number | undefined;
	/** How many workers there are at most: a whole number from 1, not less than `min`, or `Infinity`. */
	max: number;
	/** How long a worker above `min` may be idle before it is destroyed, in milliseconds. @default 10_000 */
	idleTimeout?: number | undefined;
	/**
	 * Makes what a worker works with. If it fails, that is a failed attempt of the task that is next in the queue; then some
	 * time goes by before the next try: 100 ms, twice as long after each failure, up to 30 s. Since a worker serves many
	 * callers, this and `destroyWorker` are called in the async context (`AsyncLocalStorage`) of `new Pool`.
	 */
	createWorker?: ((context: CreateWorkerContext) => W | PromiseLike<W>) | undefined;
	/** Called once with each that was made, when it is not needed any more, has died, or was given up with its task. */
	destroyWorker?: ((worker: W) => unknown) | undefined;
	/** Told what `destroyWorker` or a subscriber threw, and why a worker could not be made that no task waits for. */
	onError?: OnError | undefined;
}

/** A named task, as {@link Pool.spawn} returns it. */
export interface PoolTask<T = unknown> {
	/** Its name, which no other task of the pool has as long as this one waits or runs. */
	readonly name: string;
	/**
	 * Resolves when a worker has taken the task for the first time. Rejects with what the task failed with if that never
	 * happens. A rejection need not be handled.
	 */
	assigned(): Promise<void>;
	/** Resolves with what the task returned, or rejects with what it failed with. A rejection need not be handled. */
	result(): Promise<T>;
	/**
	 * Takes it out of the queue; or aborts its signal with `reason` (an `AbortError` by default), if it runs. Harmless if
	 * it is over.
	 */
	cancel(reason?: unknown): void;
}

/** A worker, in {@link Pool.workers}. */
export interface PoolWorkerRecord {
	/** `"waiting"` for a task, or `"running"` one. */
	readonly status: "waiting" | "running";
	/** The name of the task that it runs, if that has one. */
	readonly task: string | undefined;
}

/** A named task, in {@link Pool.tasks}. */
export interface PoolTaskRecord {
	/** `"not-assigned"` to a worker so far, `"running"`, or `"restarted"`: it waits again, for its delay or for a worker. */
	readonly status: "not-assigned" | "running" | "restarted";
	/** The id of the worker that runs it. */
	readonly worker: number | undefined;
	/** How often it was put back into the queue. */
	readonly restarts: number;
	/** What it reported last in this attempt. */
	readonly progress: number | undefined;
	/** What it reported last in this attempt. */
	readonly description: string | undefined;
}

/** A {@link Pool} at one moment. */
export interface PoolSnapshot {
	/** The workers by their ids, as in {@link Pool.workers}. */
	readonly workers: ReadonlyMap<number, PoolWorkerRecord>;
	/** The named tasks, as in {@link Pool.tasks}. */
	readonly tasks: ReadonlyMap<string, PoolTaskRecord>;
	/** How many tasks wait, with or without a name; those included that wait for their next attempt. */
	readonly waiting: number;
	/** How many tasks run. */
	readonly running: number;
	/** Whether tasks are held back by {@link Pool.pause}. */
	readonly isPaused: boolean;
}

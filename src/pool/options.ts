/**
 * The options and the snapshots of a pool.
 *
 * @module
 */

import type { RunnerOptions } from "../run/options.ts";
import type { TaskContext } from "../run/task.ts";
import type { OnError } from "../platform/observe.ts";
import type { StopOptions } from "../platform/waiters.ts";

/** Options for {@link Pool.stop}. */
export interface PoolStopOptions extends StopOptions {
	/**
	 * How long running tasks may continue before their signals abort, in milliseconds; `Infinity` until they have ended.
	 * @default 0
	 */
	finish?: number | undefined;
}

/** The argument of a task of a pool. */
export interface PoolContext<W = undefined> extends TaskContext {
	/** The value that `createWorker` returned. No other task uses it at the same time. */
	readonly worker: W;
	/** Sets the progress of the task in `pool.tasks()`. It can be destructured from the context. */
	readonly report: (progress: number, description?: string) => void;
}

/** A task of a pool. It may throw the hints of a task: `stopNow`, `retryNow`, `resetBackoff`, `retryAfter`, `later`. */
export type PoolFunction<T, W = undefined> = (context: PoolContext<W>) => T | PromiseLike<T>;

/** The argument of `createWorker`. */
export interface CreateWorkerContext {
	/** Aborts when the pool stops. */
	readonly signal: AbortSignal;
	/** Call it when the worker is lost: the attempt of its task fails, and the worker is replaced if it is needed. */
	readonly died: (reason?: unknown) => void;
}

/**
 * Options for a {@link Pool}, and defaults for its tasks.
 *
 * The defaults for tasks are the options of `run`. `attempts`, `backoff`, `shouldRetry` and `onAttemptFailed` have
 * the same meaning. A task holds no worker during the delay before its next attempt; then it waits in the queue
 * behind the tasks of its priority. An attempt also fails if its worker dies, or if no worker could be created for
 * it. `timeout` limits an attempt from the moment when a worker takes the task. `deadline` counts from the first such
 * moment, also while the task waits in the queue again. `abandonAfter` gives up the worker together with the task,
 * because the task may still use the worker. The worker is destroyed, and replaced if it is needed. So an abandoned
 * task may run in addition to `max` others.
 */
export interface PoolOptions<W = undefined> extends RunnerOptions<PoolContext<W>> {
	/** The minimum number of workers, which are created at the start; a whole number from 0. @default 0 */
	min?: number | undefined;
	/** The maximum number of workers: a whole number from 1, not less than `min`, or `Infinity`. */
	max: number;
	/** How long a worker above `min` may be idle before it is destroyed, in milliseconds. @default 10_000 */
	idleTimeout?: number | undefined;
	/**
	 * Creates the resource of a worker. If it fails, the next task in the queue has a failed attempt. The next
	 * creation follows after a delay: 100 ms, doubled after each failure, up to 30 s. A worker serves many callers, so
	 * this function and `destroyWorker` are called in the async context (`AsyncLocalStorage`) of `new Pool`.
	 */
	createWorker?: ((context: CreateWorkerContext) => W | PromiseLike<W>) | undefined;
	/**
	 * Called once with each created resource, when its worker is no longer needed, has died, or was abandoned with its
	 * task.
	 */
	destroyWorker?: ((worker: W) => unknown) | undefined;
	/** Called with errors of `destroyWorker` and of subscribers, and of `createWorker` if no task waits for the worker. */
	onError?: OnError | undefined;
}

/** A named task, as {@link Pool.spawn} returns it. */
export interface PoolTask<T = unknown> {
	/** The name, which is unique in the pool while the task waits or runs. */
	readonly name: string;
	/**
	 * Resolves when a worker has taken the task for the first time. Rejects with the error of the task if that never
	 * happens. The rejection need not be handled.
	 */
	assigned(): Promise<void>;
	/** Resolves with the value of the task, or rejects with its error. The rejection need not be handled. */
	result(): Promise<T>;
	/**
	 * Removes the task from the queue, or, if it runs, aborts its signal with `reason` (an `AbortError` by default).
	 * Does nothing if the task is over.
	 */
	cancel(reason?: unknown): void;
}

/** A worker, in {@link Pool.workers}. */
export interface PoolWorkerRecord {
	/** Whether the worker is `"waiting"` for a task or `"running"` one. */
	readonly status: "waiting" | "running";
	/** The name of the current task, if it has one. */
	readonly task: string | undefined;
}

/** A named task, in {@link Pool.tasks}. */
export interface PoolTaskRecord {
	/**
	 * `"not-assigned"`: no worker has taken it yet; `"running"`; or `"restarted"`: it waits again, for its delay or
	 * for a worker.
	 */
	readonly status: "not-assigned" | "running" | "restarted";
	/** The id of the worker that runs the task. */
	readonly worker: number | undefined;
	/** The number of times that it was put back into the queue. */
	readonly restarts: number;
	/** The last report of the current attempt. */
	readonly progress: number | undefined;
	/** The last report of the current attempt. */
	readonly description: string | undefined;
}

/** A {@link Pool} at one moment. */
export interface PoolSnapshot {
	/** The workers by their ids, as in {@link Pool.workers}. */
	readonly workers: ReadonlyMap<number, PoolWorkerRecord>;
	/** The named tasks, as in {@link Pool.tasks}. */
	readonly tasks: ReadonlyMap<string, PoolTaskRecord>;
	/** The number of waiting tasks, with or without a name, including those that wait for their next attempt. */
	readonly waiting: number;
	/** The number of running tasks. */
	readonly running: number;
	/** Whether the pool is paused by {@link Pool.pause}. */
	readonly isPaused: boolean;
}

/**
 * A task on its way through a pool: waiting, running on a worker, and back to waiting if it is restarted.
 *
 * @module
 */

import type { TaskContext } from "./task.ts";
import { Attempt } from "./attempt.ts";
import { Waiting } from "./pool-queue.ts";

/** What a task of a pool is told. */
export interface PoolContext<W = undefined> extends TaskContext {
	/** What `createWorker` made; no other task uses it at the same time. */
	readonly worker: W;
	/** Shows in `pool.tasks()` how far the task is. It may be taken out of the context. */
	readonly report: (progress: number, description?: string) => void;
}

/** A task of a pool. */
export type PoolFunction<T, W = undefined> = (context: PoolContext<W>) => T | PromiseLike<T>;

/** What `pool.run` and `pool.go` can be told. */
export interface PoolTaskOptions<W = undefined> {
	/** Tasks with a higher one run first. @default 0 */
	priority?: number | undefined;
	/** Cancels the task. */
	signal?: AbortSignal | undefined;
	/**
	 * Asked after a failure whether to put the task back in the queue, at the end of those with its priority. Not asked
	 * after a `cancel`, an abort, a `stop`, or a `stopNow` hint. If it throws, the task fails with that.
	 */
	restart?: ((error: unknown, context: PoolContext<W>) => boolean) | undefined;
}

/** What only some tasks need; there may be a million without it. */
export interface JobDetails<W> extends PoolTaskOptions<W> {
	readonly name: string | undefined;
	/** Settle `assigned`. */
	readonly onAssigned: (() => void) | undefined;
	readonly onUnassigned: ((error: unknown) => void) | undefined;
	/** Cancels the task; what the signal is linked to. */
	readonly abort: (reason: unknown) => void;
	attempt: PoolAttempt<W> | undefined;
	worker: number | undefined;
	restarts: number;
	progress: number | undefined;
	description: string | undefined;
	previousError: unknown;
}

/** One task. */
export class Job<W> extends Waiting {
	readonly task: PoolFunction<unknown, W>;
	readonly resolve: (value: never) => void;
	readonly reject: (error: unknown) => void;
	readonly details: JobDetails<W> | undefined;

	constructor(
		task: PoolFunction<unknown, W>,
		resolve: (value: never) => void,
		reject: (error: unknown) => void,
		details: JobDetails<W> | undefined,
	) {
		super();
		this.task = task;
		this.resolve = resolve;
		this.reject = reject;
		this.details = details;
	}
}

/** The context of one run of a job. */
export class PoolAttempt<W> extends Attempt implements PoolContext<W> {
	readonly worker: W;
	readonly #details: JobDetails<W> | undefined;
	readonly #onReport: () => void;

	constructor(details: JobDetails<W> | undefined, worker: W, onReport: () => void) {
		super(undefined, details === undefined ? 1 : details.restarts + 1, details?.previousError, Infinity);
		this.worker = worker;
		this.#details = details;
		this.#onReport = onReport;
	}

	get report(): (progress: number, description?: string) => void {
		return (progress, description) => {
			// A report that comes when this run is over says nothing about the next one.
			if (this.#details?.attempt !== this) return;
			this.#details.progress = progress;
			this.#details.description = description;
			this.#onReport();
		};
	}
}

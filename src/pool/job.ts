/**
 * A task on its way through a pool: waiting, running on a worker, and back to waiting if it is restarted.
 *
 * @module
 */

import type { TaskContext } from "../run/task.ts";
import { Attempt } from "../run/attempt.ts";
import { Waiting } from "./queue.ts";
import type { Timer } from "../platform/timer-queue.ts";

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
	 * Asked after a failure whether to put the task back in the queue, at the end of those with its priority. Only exactly
	 * `true`, or a promise of it, does. The task comes back in a new macrotask, or when the hint that it threw says so
	 * (`retryAfter`). Not asked after a `cancel`, an abort, a `stop`, or a `stopNow` hint. If it throws or rejects, the task
	 * fails with that.
	 */
	restart?: ((error: unknown, context: PoolContext<W>) => boolean | PromiseLike<boolean>) | undefined;
}

/** What only some tasks need; there may be a million without it. */
export interface JobDetails<W> extends PoolTaskOptions<W> {
	readonly name: string | undefined;
	/** Settle `assigned`. */
	readonly onAssigned: (() => void) | undefined;
	readonly onUnassigned: ((error: unknown) => void) | undefined;
	/** Cancels the task; what the signal is linked to. */
	readonly abort: (reason: unknown) => void;
	/** Asks `restart` in the async context of the caller, after a failure that somebody else has found out. */
	readonly ask: (() => void) | undefined;
	/** The delay before a restart. */
	readonly delay: Timer | undefined;
	/** What the task, or its worker, failed with, hints included. */
	thrown: unknown;
	restarts: number;
	progress: number | undefined;
	description: string | undefined;
	previousError: unknown;
}

/** What a task needs of the worker that runs it. */
export interface JobWorker {
	readonly id: number;
	/** It was given up, with all that it does. */
	readonly isGone: boolean;
	/** Tell how the task has ended. */
	readonly onSuccess: (value: unknown) => void;
	readonly onFailure: (error: unknown) => void;
}

/**
 * One task.
 *
 * State: waiting (it has a lane) → running (a worker) → over; or, if it may be restarted, → parked (it has failed, and is
 * in the pool's set of those) → waiting → …
 */
export class Job<W> extends Waiting {
	readonly task: PoolFunction<unknown, W>;
	readonly details: JobDetails<W> | undefined;
	/** Begins it on its worker, in the async context of its caller; made anew for each run. None: its turn is to come. */
	begin: ((job: Job<W>) => void) | undefined;
	/** As long as it runs. */
	worker: JobWorker | undefined;
	/** From when a worker took it until it waits again, or is over. */
	attempt: PoolAttempt<W> | undefined;
	/** Settle what its caller awaits. */
	#result: { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void } | undefined;
	/** If it is over before there is a result to settle. */
	#outcome: { readonly isSuccess: boolean; readonly value: unknown } | undefined;

	constructor(task: PoolFunction<unknown, W>, details: JobDetails<W> | undefined) {
		super();
		this.task = task;
		this.details = details;
	}

	/** From now on it can settle what its caller awaits. */
	connect(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
		const outcome = this.#outcome;
		if (outcome === undefined) this.#result = { resolve, reject };
		else if (outcome.isSuccess) resolve(outcome.value);
		else reject(outcome.value);
		this.#outcome = undefined;
	}

	/**
	 * For good. Nothing that was made for the run stays: a job that has waited for long is old, and what an old object holds
	 * outlives it until the garbage collector looks at all that is old.
	 */
	settle(isSuccess: boolean, value: unknown): void {
		const { begin } = this;
		const result = this.#result;
		this.attempt = this.begin = this.#result = undefined;
		if (result === undefined) {
			this.#outcome ??= { isSuccess, value };
			begin?.(this);
		} else if (isSuccess) result.resolve(value);
		else result.reject(value);
	}
}

/**
 * Resolves a promise with what becomes of a job. The platform calls `then` in a microtask, in the async context in which
 * the promise was made or, if a reaction returns this, in that of the reaction.
 *
 * So the functions that settle a promise are made when they are needed, and a task that waits needs one promise for its
 * turn and one for its result; what it costs is above all what the garbage collector has to carry along. The fields are
 * ordinary ones because there is one such object for each task: private ones take longer to set up.
 */
export class JobResult<W> {
	readonly job: Job<W>;
	readonly onConnected: ((job: Job<W>) => void) | undefined;

	constructor(job: Job<W>, onConnected?: (job: Job<W>) => void) {
		this.job = job;
		this.onConnected = onConnected;
	}

	then(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
		this.job.connect(resolve, reject);
		this.onConnected?.(this.job);
	}
}

/** The context of one run of a job. */
export class PoolAttempt<W> extends Attempt implements PoolContext<W> {
	readonly worker: W;
	readonly #job: Job<W>;
	readonly #onReport: () => void;

	constructor(job: Job<W>, worker: W, onReport: () => void) {
		const { details } = job;
		super(undefined, details === undefined ? 1 : details.restarts + 1, details?.previousError, Infinity);
		this.worker = worker;
		this.#job = job;
		this.#onReport = onReport;
	}

	get report(): (progress: number, description?: string) => void {
		return (progress, description) => {
			const { attempt, details } = this.#job;
			// A report that comes when this run is over says nothing about the next one.
			if (attempt !== this || details === undefined) return;
			details.progress = progress;
			details.description = description;
			this.#onReport();
		};
	}
}

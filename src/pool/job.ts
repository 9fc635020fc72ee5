/**
 * A task in a pool: waiting, running on a worker, and waiting again if it is retried.
 *
 * @module
 */

import type { AttemptedJob, JobRun } from "./attempt.ts";
import type { PoolFunction } from "./options.ts";
import type { Attempt } from "../run/attempt.ts";
import { Waiting } from "./queue.ts";

/** Data that only some tasks need: there may be a million tasks without it. */
export interface JobDetails<W> {
	readonly name: string | undefined;
	readonly priority: number;
	readonly signal: AbortSignal | undefined;
	/** These settle `assigned` of a named task. */
	readonly assigned: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | undefined;
	/** Cancels the task. The signal is linked to it. */
	readonly abort: (reason: unknown) => void;
	/** Reports that the progress has changed. */
	readonly onChange: () => void;
	/** Present if the task may be retried, has a time limit, or was put off. */
	run: JobRun<W, Job<W>> | undefined;
	progress: number | undefined;
	description: string | undefined;
}

/** The interface of a task to its worker. */
export interface JobWorker<W> {
	readonly id: number;
	/** The value that `createWorker` returned. */
	readonly resource: W | undefined;
	/** Whether the worker was abandoned. */
	readonly isGone: boolean;
	/** These report how the task ended. */
	readonly onSuccess: (value: unknown) => unknown;
	readonly onFailure: (error: unknown) => unknown;
}

/**
 * One task.
 *
 * State: waiting (it is in the queue) → running (it has a worker) → over. A task with a run of the engine can also become
 * parked (it has failed, and is in the pool's set of parked tasks) → over, or waiting again → …
 */
export class Job<W> extends Waiting implements AttemptedJob<W> {
	declare readonly task: PoolFunction<unknown, W>;
	/** Set once, right after the job is created. */
	details: JobDetails<W> | undefined;
	/**
	 * Begins the job on its worker, in the async context of its caller. Created for each attempt. `undefined` until
	 * the job has had its turn.
	 */
	begin: ((job: Job<W>) => void) | undefined;
	/** Set while the job runs. */
	worker: JobWorker<W> | undefined;
	/** Set from the assignment of a worker until the job waits again or is over. */
	attempt: Attempt | undefined;
	/** These settle the promise of the caller. */
	#result: { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void } | undefined;
	/** Set if the job is over before its result is requested. */
	#outcome: { readonly isSuccess: boolean; readonly value: unknown } | undefined;

	constructor(task: PoolFunction<unknown, W>) {
		super();
		this.task = task;
	}

	/** Connects the promise of the caller. */
	connect(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
		const outcome = this.#outcome;
		if (outcome === undefined) this.#result ??= { resolve, reject };
		else if (outcome.isSuccess) resolve(outcome.value);
		else reject(outcome.value);
		this.#outcome = undefined;
	}

	/** Interrupts the current attempt. */
	abort(reason: unknown): void {
		(this.details?.run ?? this.attempt)?.abort(reason);
	}

	/**
	 * Ends the job permanently and releases everything. A job that has waited for long is in the old generation, and
	 * objects that it references would survive until a full garbage collection.
	 */
	settle(isSuccess: boolean, value: unknown): void {
		const { begin } = this;
		const result = this.#result;
		this.attempt = this.begin = this.#result = undefined;
		if (result === undefined) {
			if (!isSuccess) this.#outcome ??= { isSuccess, value };
			begin?.(this);
		} else if (isSuccess) result.resolve(value);
		else result.reject(value);
	}
}

/**
 * A thenable that resolves with the outcome of a job. The platform calls `then` in a microtask, in the async context
 * in which the promise was created or, if a reaction returns this object, in that of the reaction.
 *
 * So the functions that settle a promise are created only when they are needed. A waiting task needs one promise for
 * its turn and one for its result, and its main cost is garbage collection. The fields are not private, because there
 * is one such object per task, and private fields take longer to initialize.
 */
export class JobResult<W> {
	declare readonly job: Job<W>;
	declare readonly onConnected: ((job: Job<W>) => void) | undefined;

	constructor(job: Job<W>, onConnected?: (job: Job<W>) => void) {
		this.job = job;
		this.onConnected = onConnected;
	}

	then(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
		this.job.connect(resolve, reject);
		this.onConnected?.(this.job);
	}
}

/**
 * A task on its way through a pool: waiting, running on a worker, and back to waiting if it is tried again.
 *
 * @module
 */

import type { AttemptedJob, JobRun } from "./attempt.ts";
import type { PoolFunction } from "./options.ts";
import type { Attempt } from "../run/attempt.ts";
import { Waiting } from "./queue.ts";

/** What only some tasks need; there may be a million without it. */
export interface JobDetails<W> {
	readonly name: string | undefined;
	readonly priority: number;
	readonly signal: AbortSignal | undefined;
	/** Settle `assigned`. */
	readonly onAssigned: (() => void) | undefined;
	readonly onUnassigned: ((error: unknown) => void) | undefined;
	/** Cancels the task; what the signal is linked to. */
	readonly abort: (reason: unknown) => void;
	/** If it may be tried more than once, or has a limited time. */
	readonly run: JobRun<W, Job<W>> | undefined;
	progress: number | undefined;
	description: string | undefined;
}

/** What a task needs of the worker that runs it. */
export interface JobWorker<W> {
	readonly id: number;
	/** What `createWorker` made. */
	readonly resource: W | undefined;
	/** It was given up, with all that it does. */
	readonly isGone: boolean;
	/** Tell how the task has ended. */
	readonly onSuccess: (value: unknown) => void;
	readonly onFailure: (error: unknown) => void;
}

/**
 * One task.
 *
 * State: waiting (it has a lane) → running (a worker) → over; or, if it has a run of the engine, → parked (it has failed,
 * and is in the pool's set of those) → over, or waiting → …
 */
export class Job<W> extends Waiting implements AttemptedJob<W> {
	readonly task: PoolFunction<unknown, W>;
	/** Given once, right after the job is made. */
	details: JobDetails<W> | undefined;
	/** Begins it on its worker, in the async context of its caller; made anew for each attempt. None: its turn is to come. */
	begin: ((job: Job<W>) => void) | undefined;
	/** As long as it runs. */
	worker: JobWorker<W> | undefined;
	/** From when a worker took it until it waits again, or is over. */
	attempt: Attempt | undefined;
	/** Settle what its caller awaits. */
	#result: { readonly resolve: (value: unknown) => void; readonly reject: (error: unknown) => void } | undefined;
	/** If it is over before there is a result to settle. */
	#outcome: { readonly isSuccess: boolean; readonly value: unknown } | undefined;

	constructor(task: PoolFunction<unknown, W>) {
		super();
		this.task = task;
	}

	/** From now on it can settle what its caller awaits. */
	connect(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
		const outcome = this.#outcome;
		if (outcome === undefined) this.#result = { resolve, reject };
		else if (outcome.isSuccess) resolve(outcome.value);
		else reject(outcome.value);
		this.#outcome = undefined;
	}

	/** Ends what runs of it. */
	abort(reason: unknown): void {
		(this.details?.run ?? this.attempt)?.abort(reason);
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

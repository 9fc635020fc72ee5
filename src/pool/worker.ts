/**
 * A worker of a pool, which runs one task at a time.
 *
 * @module
 */

import type { Job, JobWorker } from "./job.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The interface of a worker to its pool. */
export interface WorkerOwner<W> {
	onSuccess(worker: PoolWorker<W>, value: unknown): unknown;
	onFailure(worker: PoolWorker<W>, error: unknown): unknown;
}

/**
 * A worker. Its timer is the idle timeout, which does not keep a process alive.
 *
 * State: being created (without a resource) → idle → (a job) → busy → idle → … → gone.
 */
export class PoolWorker<W> extends CallbackTimer implements JobWorker<W> {
	declare readonly id: number;
	resource: W | undefined;
	job: Job<W> | undefined;
	/** Whether it has completed a task. A worker that dies before counts as one that could not be created. */
	hasWorked = false;
	/** The reason of its death, if it has died. */
	death: { readonly reason: unknown } | undefined;
	/** Whether the pool has removed it; the outcome of its task is then ignored. */
	isGone = false;
	/** Created once per worker, not once per task. */
	declare readonly onSuccess: (value: unknown) => unknown;
	declare readonly onFailure: (error: unknown) => unknown;

	constructor(id: number, owner: WorkerOwner<W>, onIdle: () => void) {
		super(onIdle, true);
		this.id = id;
		this.onSuccess = (value) => owner.onSuccess(this, value);
		this.onFailure = (error) => owner.onFailure(this, error);
	}
}

/**
 * A place of a pool in which one task at a time can run.
 *
 * @module
 */

import type { Job, JobWorker } from "./job.ts";
import { Timer } from "../platform/timer-queue.ts";

/** What a worker needs of its pool. */
export interface WorkerOwner<W> {
	onSuccess(worker: PoolWorker<W>, value: unknown): void;
	onFailure(worker: PoolWorker<W>, error: unknown): void;
}

/**
 * A worker. As a timer it is its own idle timeout, which keeps no process alive.
 *
 * State: being made (there is no resource yet) → idle → (a job) → busy → idle → … → gone.
 */
export class PoolWorker<W> extends Timer implements JobWorker<W> {
	readonly id: number;
	resource: W | undefined;
	job: Job<W> | undefined;
	/** Whether it has ever been of use: one that dies before is no better than one that could not be made. */
	hasWorked = false;
	/** Why it has died, if it has. */
	death: { readonly reason: unknown } | undefined;
	/** The pool has given it up; what its task still comes to is of no importance. */
	isGone = false;
	/** Made once for a worker, not once for a task. */
	readonly onSuccess: (value: unknown) => void;
	readonly onFailure: (error: unknown) => void;
	readonly #onIdle: () => void;

	constructor(id: number, owner: WorkerOwner<W>, onIdle: () => void) {
		super(true);
		this.id = id;
		this.#onIdle = onIdle;
		this.onSuccess = (value) => owner.onSuccess(this, value);
		this.onFailure = (error) => owner.onFailure(this, error);
	}

	fire(): void {
		this.#onIdle();
	}
}

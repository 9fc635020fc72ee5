/**
 * The contexts of the steps of a job.
 *
 * @module
 */

import type { TaskMeta } from "../basket/engine.ts";
import type { TaskFailure } from "../basket/engine.ts";
import type { TaskContext } from "../run/task.ts";

/**
 * The argument of the `run` of a step. Destructure it; a copy such as `{ ...context }` lacks the signal.
 *
 * The signal aborts at the timeout of the step, when the processor's run is aborted, and when the job is canceled.
 * It aborts with a `ClaimLostError` if another processor has taken over the job: then nothing that this attempt does
 * is stored.
 */
export interface StepContext<I = unknown, R = unknown, Tx = never> extends TaskContext {
	/** The id of the job. */
	readonly id: string;
	/** The name of the step. */
	readonly step: string;
	/** The input of the job. */
	readonly input: I;
	/**
	 * The results of the previous steps, by name. With more than 100 of them, this is an object to which the results of later
	 * steps are added.
	 */
	readonly results: R;
	/**
	 * A key that is the same for all attempts of this step of this job, and unique otherwise; a revert has its own
	 * key. Services use it to detect repeated requests.
	 */
	readonly idempotencyKey: string;
	/** The texts that were given as `meta` when the job was added. Children have those of their parent. */
	readonly meta: TaskMeta;
	/** The version of the definition with which the job was added. */
	readonly version: number | string | undefined;
	/**
	 * Stores the result of the step inside your own transaction, so that its effect and that it is done are committed
	 * together: exactly once, even across crashes. Call it before the commit, and return its result:
	 * `return await commit(tx, result)`. If the transaction commits, the step is done with this result, whatever it
	 * throws or returns afterwards; if it does not, the attempt has failed.
	 *
	 * A revert has no result: a revert calls `commit(tx)`.
	 *
	 * Its transactions are those that the job names: `job<Order, DatabaseSync>("order")`.
	 *
	 * Rejects with a `ClaimLostError` if the job was taken over: then roll the transaction back. Rejects with a
	 * `ValidationError` if the result does not pass the schema of the step, with a TypeError if `tx` is none or the
	 * result cannot be encoded, with an `InvalidStateError` after the end of the attempt, and with a `StoreError`.
	 */
	readonly commit: <T = undefined>(tx: Tx, result?: T) => Promise<T>;
}

/** The argument of the `revert` of a step. */
export interface RevertContext<I = unknown, R = unknown, T = unknown, Tx = never> extends StepContext<I, R, Tx> {
	/** The result of the step. */
	readonly result: T;
	/** The error because of which the job is reverted. */
	readonly error: TaskFailure;
}

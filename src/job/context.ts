/**
 * What a step of a job is told, and can tell.
 *
 * @module
 */

import type { TaskFailure } from "../basket/engine.ts";
import type { TaskContext } from "../run/task.ts";

/**
 * What the `run` of a step is told. Take out of it what you need: a copy such as `{ ...context }` lacks the signal.
 *
 * The signal aborts at the step's timeout, when the processor's run is aborted or the job is cancelled, and with a
 * `ClaimLostError` when the job was taken over by another processor: then nothing that this attempt does is stored.
 */
export interface StepContext<I = unknown, R = unknown, Tx = never> extends TaskContext {
	/** The job's id. */
	readonly id: string;
	/** The name of the step. */
	readonly step: string;
	/** What the job was added with. */
	readonly input: I;
	/** The results of the steps before this one, by name. */
	readonly results: R;
	/**
	 * The same for every attempt of this step of this job, and for nothing else; a revert has another one. For services that can
	 * tell by it that they were asked for the same thing before.
	 */
	readonly idempotencyKey: string;
	/** The version of the definition that the job was added with. */
	readonly version: number | string | undefined;
	/**
	 * Stores the result of the step inside your own transaction, so that its effect and that it is done are committed together:
	 * exactly once, whatever dies. Call it before the commit, and return what it resolves with: `return await commit(tx, result)`.
	 * If the transaction commits, the step is done with this result, whatever it throws or returns afterwards; if it does not,
	 * the attempt has failed.
	 *
	 * A revert has no result: a revert calls `commit(tx)`.
	 *
	 * Its transactions are those that the job names: `job<Order, DatabaseSync>("order")`.
	 *
	 * Rejects with a `ClaimLostError` if the job was taken over: then let the transaction roll back. Rejects with a
	 * `ValidationError` if the result does not pass the schema of the step, with a TypeError if `tx` is none or the result cannot
	 * be encoded, with an `InvalidStateError` after the end of the attempt, and with a `StoreError`.
	 */
	readonly commit: <T = undefined>(tx: Tx, result?: T) => Promise<T>;
}

/** What the `revert` of a step is told. */
export interface RevertContext<I = unknown, R = unknown, T = unknown, Tx = never> extends StepContext<I, R, Tx> {
	/** What the step returned when it was run. */
	readonly result: T;
	/** Why the job is reverted. */
	readonly error: TaskFailure;
}

/**
 * What the body of a durable function is given.
 *
 * @module
 */

import type { TaskMeta } from "../basket/engine.ts";
import type { TaskFailure } from "../basket/engine.ts";
import type { StepContext } from "./context.ts";
import type { WaitForOptions } from "./job.ts";
import type { StandardSchema } from "../platform/standard-schema.ts";
import type { RunnerOptions } from "../run/options.ts";
import type { TaskContext } from "../run/task.ts";

/**
 * The name of a step, a sleep or a wait: a text, or a list such as `["page", page.id]` where a loop makes many. Names are
 * compared as JSON. The text of a list, in results and for `Processor.signal`, is its JSON. It has at most 255 characters.
 */
export type FlowName = string | readonly (string | number | boolean | null)[];

/**
 * The argument of the function of a step. Destructure it; a copy such as `{ ...context }` lacks the signal.
 *
 * The signal aborts at the timeout of the step, when the processor's run is aborted, when the job is canceled or fails, and
 * when the body has ended without this step. It aborts with a `ClaimLostError` if another processor has taken over the job.
 */
export interface FlowStepContext<Tx = never> extends TaskContext {
	/** The id of the job. */
	readonly id: string;
	/** The name of the step, as text. */
	readonly step: string;
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
	 * together: exactly once, even across crashes. See {@link StepContext.commit}, which is the same; a revert calls
	 * `commit(tx)`. Results of other steps that end meanwhile wait until the transaction is over.
	 *
	 * Its transactions are those that the body names: `(flow: Flow<DatabaseSync>) => …`.
	 */
	readonly commit: StepContext<unknown, unknown, Tx>["commit"];
}

/** The second argument of the revert of a step. */
export interface FlowRevertContext<Tx = never> extends FlowStepContext<Tx> {
	/** The error because of which the job is reverted. */
	readonly error: TaskFailure;
}

/**
 * Options of {@link Flow.step}. The {@link RunnerOptions} apply to the step and its revert, except `attempts` and
 * `deadline`, which apply to the step only.
 */
export interface FlowStepOptions<T, Tx = never> extends Omit<RunnerOptions, "clock" | "unref"> {
	/**
	 * Undoes the step if the job fails or is canceled. It gets the result, as it is stored. Replay must register it again,
	 * so do not make it depend on anything but the input and the results of steps.
	 */
	revert?: ((result: T, context: FlowRevertContext<Tx>) => unknown) | undefined;
	/** The maximum number of attempts, after which the promise rejects. A crash of the process does not count. @default 1 */
	attempts?: number | undefined;
	/** The maximum number of attempts of `revert`, after which the job has failed. @default Infinity */
	revertAttempts?: number | undefined;
	/** Any Standard Schema validator for the result. It validates the returned result, and the stored one when it is read. */
	schema?: StandardSchema<T, unknown> | undefined;
}

/**
 * The means of the body of a durable function. Each name may be used once, and the body must await each promise, alone or
 * through `Promise.all`, `any`, `race`, `allSettled`: otherwise the job fails with a TypeError, which cannot be caught.
 *
 * While the body waits for a time or a signal, it is not kept in memory: its promises never settle, and no `catch` or
 * `finally` runs. When the time has come, the body is called again, and what is stored settles its promises in the same order
 * as before. Between these promises the body must do the same each time: it takes time, random numbers and everything from
 * elsewhere through a step, and waits for nothing else.
 *
 * @typeParam Tx the transactions of the store, for steps that call `commit`
 */
export interface Flow<Tx = never> {
	/** The id of the job. */
	readonly id: string;
	/** The texts that were given as `meta` when the job was added. Children have those of their parent. */
	readonly meta: TaskMeta;
	/** The version of the definition with which the job was added. */
	readonly version: number | string | undefined;
	/**
	 * Calls a function, whose result is stored: it is called again only if an attempt fails or the process dies.
	 *
	 * @param name see {@link FlowName}
	 * @param run does the work
	 * @param options the revert, the attempts and their limits
	 * @returns the result, as it is stored. Rejects with the error of the last attempt; when the body is called again, this
	 * is an `Error` with the same name and message
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range, and for a name that was used before
	 */
	step<T>(
		name: FlowName,
		run: (context: FlowStepContext<Tx>) => T | PromiseLike<T>,
		options?: FlowStepOptions<T, Tx>,
	): Promise<T>;
	/**
	 * Sleeps, across restarts. Meanwhile the job holds no worker.
	 *
	 * @param name see {@link FlowName}
	 * @param duration in milliseconds from the first call, 0 or more, finite
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range, and for a name that was used before
	 */
	sleep(name: FlowName, duration: number): Promise<void>;
	/**
	 * Waits for `Processor.signal`, across restarts. Meanwhile the job holds no worker. The first signal with this name
	 * counts, which may arrive before.
	 *
	 * @param name see {@link FlowName}
	 * @param options the timeout, and the schema of the value
	 * @returns the value. Rejects with a `TimeoutError`, and with a `ValidationError` if the value does not pass the schema
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range, and for a name that was used before
	 */
	waitFor<T = unknown>(name: FlowName, options?: WaitForOptions<T, unknown>): Promise<T>;
}

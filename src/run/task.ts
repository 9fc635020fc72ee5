/**
 * Tasks, and the hints that they throw to control their own retry.
 *
 * Terms of this library:
 *
 * - **task**: a function that does a piece of work; it succeeds by returning and fails by throwing or rejecting.
 * - **attempt**: one call of a task. **run**: all attempts of a task together, with the delays between them.
 * - **backoff**: the delay after a failed attempt. **jitter**: the random part of that delay.
 * - **timeout**: the time limit of one attempt. **deadline**: the time limit of the whole run, including delays.
 * - **abort**: the caller's request to end the work, through an `AbortSignal`. **abandon**: to stop waiting for a
 *   task that does not react to it.
 * - **hint**: an error that a task throws to say when, or whether, it should be retried.
 * - **attach**, **detach**: to begin and to end listening to a shared operation. **linger**: how long a shared
 *   operation continues without listeners.
 *
 * @module
 */

import { check, checkFinite } from "../platform/check.ts";

/**
 * A piece of work. Returning (or resolving) is success, throwing (or rejecting) anything at all is failure.
 *
 * @example
 * ```ts
 * import { run, type Task } from "upkeep";
 *
 * const greet: Task<string> = ({ attempt }) => `hello, attempt ${attempt}`;
 * console.log(await run(greet));
 * ```
 */
export type Task<T = void> = (context: TaskContext) => T | PromiseLike<T>;

/** The argument of a task: its current attempt. */
export interface TaskContext {
	/**
	 * Aborts when the attempt should end: with the caller's reason if the caller aborted, or with a `TimeoutError` if
	 * the timeout or the deadline has passed. It is a getter that creates the signal when it is first read; a copy
	 * such as `{ ...context }` does not contain it.
	 *
	 * If the caller aborts, listeners are called synchronously inside that abort and in its async context, as with any
	 * signal. At a timeout or the deadline, they are called in the async context in which the signal was first read.
	 */
	readonly signal: AbortSignal;
	/** The number of this attempt, from 1. */
	readonly attempt: number;
	/** The error of the previous attempt; `undefined` in the first. */
	readonly previousError: unknown;
}

/** The request of a hint. The backoff decides about absent fields. */
export interface Steering {
	/** No further attempt. */
	readonly stop?: boolean;
	/** Restart the backoff. */
	readonly reset?: boolean;
	/** The next delay, in milliseconds, instead of that of the backoff. */
	readonly delay?: number;
	/** The attempt does not count. */
	readonly later?: boolean;
	/** The delay is for all tasks of the same limit. */
	readonly limit?: boolean;
}

/** Options for {@link retryAfter} and {@link later}. */
export interface DelayOptions {
	/**
	 * Whether no task of the same kind and key begins before the delay has passed, in any process: for a service that
	 * answers with 429 or 503 to a customer, or to everybody. It has an effect for tasks of a basket whose kind has a
	 * `limit`, and is ignored elsewhere. Tasks that run already are not stopped. @default false
	 */
	limit?: boolean | undefined;
}

/** The error behind {@link stopNow} and its siblings. Callers never get it; they get `error`. */
class Hint extends Error {
	override readonly name = "Hint";
	/**
	 * Identified by name and not by `instanceof`, so that a hint of the CommonJS build works in a run of the ES
	 * module.
	 */
	declare readonly upkeepHint: Steering;

	constructor(error: unknown, steering: Steering) {
		super("A hint for the run that called this task; it has no effect elsewhere", { cause: unwrap(error) });
		this.upkeepHint = steering;
	}
}

const none: Steering = {};

/** The request in the value that a task threw; empty for an ordinary error. Never throws. */
export function steering(thrown: unknown): Steering {
	try {
		const { upkeepHint } = thrown as Hint;
		if (typeof upkeepHint === "object") return upkeepHint ?? none;
	} catch {
		// Some values have no readable properties: `undefined`, a revoked proxy.
	}
	return none;
}

/** The error that a caller sees: the error inside the hint, or else the thrown value. */
export function unwrap(thrown: unknown): unknown {
	return steering(thrown) === none ? thrown : (thrown as Hint).cause;
}

/**
 * Returns an error to throw. It makes this attempt the last one: the run fails with `error`, even if attempts are
 * left.
 *
 * @param error the error that the caller of the run gets
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { run, stopNow } from "upkeep";
 *
 * const task = () => {
 * 	throw stopNow(new Error("404"));
 * };
 * await assert.rejects(run(task, { attempts: 10, backoff: 1_000 }), { message: "404" });
 * ```
 */
export function stopNow(error?: unknown): Error {
	return new Hint(error, { stop: true });
}

/**
 * Returns an error to throw. The task is retried without a delay, and the backoff restarts at the next failure.
 *
 * It does not add attempts, and `shouldRetry` is still asked.
 *
 * @param error the error that the caller of the run gets if this was the last attempt
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { retryNow, run } from "upkeep";
 *
 * const task = ({ attempt }: { attempt: number }) => {
 * 	if (attempt === 1) throw retryNow(new Error("the token had expired; it is a new one now"));
 * 	return "done";
 * };
 * assert.equal(await run(task, { attempts: 2, backoff: 60_000 }), "done");
 * ```
 */
export function retryNow(error?: unknown): Error {
	return new Hint(error, { delay: 0, reset: true });
}

/**
 * Returns an error to throw after some progress. The next delay is the first one of the backoff, which then grows
 * again.
 *
 * @param error the error that the caller of the run gets if this was the last attempt
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { resetBackoff, run } from "upkeep";
 *
 * const delays: number[] = [];
 * const task = ({ attempt }: { attempt: number }) => {
 * 	throw attempt === 3 ? resetBackoff(new Error("got half of it")) : new Error("got nothing");
 * };
 * const options = {
 * 	attempts: 5,
 * 	backoff: { start: 10, factor: 2 },
 * 	onAttemptFailed: ({ again, delay }: { again: boolean; delay: number }) => void (again && delays.push(delay)),
 * };
 * await assert.rejects(run(task, options), { message: "got nothing" });
 * assert.deepEqual(delays, [10, 20, 10, 20]);
 * ```
 */
export function resetBackoff(error?: unknown): Error {
	return new Hint(error, { reset: true });
}

/**
 * Returns an error to throw. The task is retried once after exactly `delay`, even if that is more than the backoff's
 * `max`: for example the delay of a `Retry-After` header. Afterwards the backoff continues where it was.
 *
 * @param delay in milliseconds, 0 or more, and finite; use {@link stopNow} for no retry
 * @param error the error that the caller of the run gets if this was the last attempt; then nothing is held back either
 * @param options whether the delay is for other tasks, too
 * @throws {TypeError} if `delay` is not a number, or `options` are of the wrong type
 * @throws {RangeError} if `delay` is negative, infinite or NaN
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { retryAfter, run } from "upkeep";
 *
 * const task = ({ attempt }: { attempt: number }) => {
 * 	if (attempt === 1) throw retryAfter(50, new Error("429"));
 * 	return "done";
 * };
 * const startedAt = performance.now();
 * assert.equal(await run(task, { attempts: 2 }), "done");
 * assert.ok(performance.now() - startedAt >= 50);
 * ```
 */
export function retryAfter(delay: number, error?: unknown, options: DelayOptions = {}): Error {
	return new Hint(error, delaying(delay, options));
}

/**
 * Returns an error to throw. Not now: the task runs again after exactly `delay`, and this is no failure. The attempt
 * does not count, the backoff stays where it was, and neither `shouldRetry` nor `onAttemptFailed` is called. A task of a
 * basket keeps its place in its lane. A deadline still ends the run.
 *
 * With a delay of 0 the task runs again at once, and again: use 0 if the gate of its basket, which is closed meanwhile,
 * holds it back. For a failure after which the service says when to come back, use {@link retryAfter}, which counts.
 *
 * @param delay in milliseconds, 0 or more, and finite
 * @param reason why, for those who read logs; the caller of the run gets it only if a deadline or an abort ends the run
 * @param options whether the delay is for other tasks, too
 * @throws {TypeError} if `delay` is not a number, or `options` are of the wrong type
 * @throws {RangeError} if `delay` is negative, infinite or NaN
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { later, run } from "upkeep";
 *
 * let isCharged = false;
 * setTimeout(() => void (isCharged = true), 20);
 * const task = ({ attempt }: { attempt: number }) => {
 * 	if (!isCharged) throw later(10, "the battery is low");
 * 	return `done in attempt ${attempt}`;
 * };
 * assert.equal(await run(task), "done in attempt 1");
 * ```
 */
export function later(delay: number, reason?: unknown, options: DelayOptions = {}): Error {
	return new Hint(reason, { ...delaying(delay, options), later: true });
}

function delaying(delay: number, options: DelayOptions): Steering {
	const { limit = false } = check("options", options, "object");
	return { delay: checkFinite("delay", delay), limit: check("limit", limit, "boolean") };
}

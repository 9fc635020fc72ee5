/**
 * What a task is, and what it may throw to steer its own retry.
 *
 * The words this library uses, everywhere in the same sense:
 *
 * - **task**: a function that does a piece of work; it succeeds by returning and fails by throwing or rejecting.
 * - **attempt**: one call of a task. **run**: all attempts of a task together, with the delays between them.
 * - **backoff**: how long to wait after a failed attempt. **jitter**: the random part of that delay.
 * - **timeout**: bounds one attempt. **deadline**: bounds the whole run, delays included.
 * - **abort**: the caller's wish to end the work, told through an `AbortSignal`. **abandon**: to stop waiting for a
 *   task that does not react to it.
 * - **hint**: what a task throws to say when, or whether, it wants to be tried again.
 * - **attach**, **detach**: to begin and to end listening to a shared operation. **linger**: how long such an
 *   operation goes on without a listener.
 *
 * @module
 */

import { check } from "../platform/check.ts";

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

/** What a task is told about the attempt that it is called for. */
export interface TaskContext {
	/**
	 * Aborts when the attempt should end: the caller aborted (with the caller's reason), or the timeout or deadline
	 * passed (with a `TimeoutError`). A getter, made when it is first read: a copy such as `{ ...context }` lacks it.
	 *
	 * When the caller aborts, its listeners are called inside that abort, and so in the async context of whoever aborts, as
	 * with any signal. At a timeout or the deadline they are called in the async context in which the signal was first read.
	 */
	readonly signal: AbortSignal;
	/** The number of this attempt, from 1. */
	readonly attempt: number;
	/** What the attempt before this one failed with; `undefined` in the first. */
	readonly previousError: unknown;
}

/** What a hint asks for. A field that is not given leaves that part to the backoff. */
export interface Steering {
	/** No further attempt. */
	readonly stop?: boolean;
	/** Begin the backoff anew. */
	readonly reset?: boolean;
	/** The next delay, in milliseconds, instead of the one the backoff would give. */
	readonly delay?: number;
}

/** The error behind {@link stopNow} and its siblings. It never reaches a caller: `error` does. */
class Hint extends Error {
	override readonly name = "Hint";
	/** Found by name and not by `instanceof`, so that a hint of the CommonJS build steers a run of the ES module. */
	readonly upkeepHint: Steering;

	constructor(error: unknown, steering: Steering) {
		super("A hint for the run that called this task; it has no effect elsewhere", { cause: unwrap(error) });
		this.upkeepHint = steering;
	}
}

const none: Steering = {};

/** The steering in what a task threw; empty for an ordinary error. Never throws. */
export function steering(thrown: unknown): Steering {
	try {
		const { upkeepHint } = thrown as Hint;
		if (typeof upkeepHint === "object") return upkeepHint ?? none;
	} catch {
		// Of some values nothing can be read: of `undefined`, of a proxy that was revoked.
	}
	return none;
}

/** The error that a caller sees: what was given to the hint, or what was thrown. */
export function unwrap(thrown: unknown): unknown {
	return steering(thrown) === none ? thrown : (thrown as Hint).cause;
}

/**
 * Throw it to make this attempt the last: the run fails with `error`, whatever attempts are left.
 *
 * @param error what the caller of the run gets to see
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
 * Throw it to be tried again without a delay; the backoff begins anew with the failure after this one.
 *
 * It does not add attempts, and `shouldRetry` is still asked.
 *
 * @param error what the caller of the run gets to see if this was the last attempt
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
 * Throw it after some progress: the next delay is the first one of the backoff, which then grows again.
 *
 * @param error what the caller of the run gets to see if this was the last attempt
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
 * Throw it to be tried again after exactly `delay`, this once, even if that is more than the backoff's `max`: what a
 * server asked for in a `Retry-After` header. The backoff goes on afterwards where it was.
 *
 * @param delay in milliseconds, 0 or more, and finite: for "never again" there is {@link stopNow}
 * @param error what the caller of the run gets to see if this was the last attempt
 * @throws {TypeError} if `delay` is not a number
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
export function retryAfter(delay: number, error?: unknown): Error {
	check("delay", delay, "number", Number.isFinite(delay) && delay >= 0, "0 or more, and finite");
	return new Hint(error, { delay });
}

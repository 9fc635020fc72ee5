/**
 * The options of a run, and the checks at their door.
 *
 * @module
 */

import type { TaskContext } from "./task.ts";
import { type BackoffOptions, type BackoffSettings, checkBackoff } from "./backoff.ts";
import { check, checkDelay, checkFunction, checkLimit } from "../platform/check.ts";
import { checkClock, type Clock, systemClock } from "../platform/clock.ts";

/** What {@link RunnerOptions.onAttemptFailed} is told. */
export interface FailedAttempt {
	/** What the attempt failed with: the task's error without its hint, a `TimeoutError`, or the reason of an abort. */
	readonly error: unknown;
	/** The number of the attempt, from 1. */
	readonly attempt: number;
	/** Whether there will be another. */
	readonly again: boolean;
	/** When, in milliseconds from now; 0 if there is none. */
	readonly delay: number;
}

/**
 * How a task is tried. An option that is `undefined` is an option not given.
 *
 * @typeParam C the context that the task, and so `shouldRetry`, is given
 */
export interface RunnerOptions<C extends TaskContext = TaskContext> {
	/** How often the task may be called in all, 1 or more; `Infinity` for ever. @default 1 */
	attempts?: number | undefined;
	/**
	 * The delays between attempts; a number is a fixed delay in milliseconds. Without it the next attempt comes at once,
	 * though in a new macrotask, so that a task that fails for ever leaves room for timers, aborts and input.
	 */
	backoff?: number | BackoffOptions | undefined;
	/** Bounds one attempt, in milliseconds: then its signal aborts, and if it fails, it fails with a `TimeoutError`. @default Infinity */
	timeout?: number | undefined;
	/**
	 * Bounds all attempts and delays together, in milliseconds from the first attempt. A delay that would cross it is
	 * not even begun. @default Infinity
	 */
	deadline?: number | undefined;
	/**
	 * How long after an abort or a timeout to go on waiting for a task that has not settled, in milliseconds. Then the
	 * attempt counts as failed and its late result is dropped; a retry may run beside it. @default Infinity
	 */
	abandonAfter?: number | undefined;
	/**
	 * Asked after a failure, while attempts are left, whether to try again. If it throws or rejects, so does the run.
	 * Its context is that of the failed attempt: the signal goes on to tell of an abort, the timeout and the deadline.
	 */
	shouldRetry?: ((error: unknown, context: C) => boolean | PromiseLike<boolean>) | undefined;
	/** Told about each failed attempt once it is decided what follows. What it throws is dropped. */
	onAttemptFailed?: ((failed: FailedAttempt) => void) | undefined;
	/** Whether a server process may end during a delay. Not for a run that somebody awaits. @default false */
	unref?: boolean | undefined;
	/** Whose time it is. @default systemClock */
	clock?: Clock | undefined;
}

/** Checked options, every one of them present. */
export interface RunnerSettings {
	readonly attempts: number;
	readonly backoff: BackoffSettings | undefined;
	readonly timeout: number;
	readonly deadline: number;
	/** Whether there is a timeout or a deadline, so that an attempt has to read the clock. */
	readonly isTimed: boolean;
	readonly abandonAfter: number;
	readonly shouldRetry: RunnerOptions["shouldRetry"];
	readonly onAttemptFailed: RunnerOptions["onAttemptFailed"];
	readonly unref: boolean;
	readonly clock: Clock;
}

/** What holds where nothing was asked for. */
export const defaultSettings: RunnerSettings = {
	attempts: 1,
	backoff: undefined,
	timeout: Infinity,
	deadline: Infinity,
	isTimed: false,
	abandonAfter: Infinity,
	shouldRetry: undefined,
	onAttemptFailed: undefined,
	unref: false,
	clock: systemClock,
};

/** Checks the options that were given; the others are those of `defaults`. */
export function checkRunnerOptions(
	options: RunnerOptions | undefined,
	defaults: RunnerSettings = defaultSettings,
): RunnerSettings {
	if (options === undefined) return defaults;
	const {
		attempts = defaults.attempts,
		timeout = defaults.timeout,
		deadline = defaults.deadline,
		abandonAfter = defaults.abandonAfter,
		shouldRetry = defaults.shouldRetry,
		onAttemptFailed = defaults.onAttemptFailed,
		unref = defaults.unref,
	} = options;
	const isCount = (Number.isInteger(attempts) || attempts === Infinity) && attempts >= 1;
	check("attempts", attempts, "number", isCount, "a whole number from 1, or Infinity");
	checkLimit("timeout", timeout);
	checkLimit("deadline", deadline);
	checkDelay("abandonAfter", abandonAfter);
	checkFunction("shouldRetry", shouldRetry);
	checkFunction("onAttemptFailed", onAttemptFailed);
	check("unref", unref, "boolean");
	return {
		attempts,
		backoff: options.backoff === undefined ? defaults.backoff : checkBackoff(options.backoff),
		timeout,
		deadline,
		isTimed: timeout < Infinity || deadline < Infinity,
		abandonAfter,
		shouldRetry,
		onAttemptFailed,
		unref,
		clock: options.clock === undefined ? defaults.clock : checkClock(options.clock),
	};
}

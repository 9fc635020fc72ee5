/**
 * The options of a run, and their checks.
 *
 * @module
 */

import type { ObservedAttempt, Observer } from "./observer.ts";
import type { Task, TaskContext } from "./task.ts";
import { type BackoffOptions, type BackoffSettings, checkBackoff } from "./backoff.ts";
import { check, checkCount, checkDelay, checkLimit, checkMethods } from "../platform/check.ts";
import { checkClock, type Clock, systemClock } from "../platform/clock.ts";

/** The argument of {@link RunnerOptions.onAttemptFailed}. */
export interface FailedAttempt {
	/** The error of the attempt: the task's error without its hint, a `TimeoutError`, or the reason of an abort. */
	readonly error: unknown;
	/** The number of the attempt, from 1. */
	readonly attempt: number;
	/** Whether another attempt follows. */
	readonly again: boolean;
	/** The delay before the next attempt, in milliseconds; 0 if there is none. */
	readonly delay: number;
}

/**
 * Options for the attempts of a task. An option with the value `undefined` counts as absent.
 *
 * @typeParam C the context passed to the task and to `shouldRetry`
 */
export interface RunnerOptions<C extends TaskContext = TaskContext> {
	/** The maximum number of calls of the task, 1 or more; `Infinity` for no limit. @default 1 */
	attempts?: number | undefined;
	/**
	 * The delays between attempts. A number is a fixed delay in milliseconds. A backoff adds no attempts: see `attempts`.
	 * Without a backoff, the next attempt follows at once in a new macrotask, so that a task that always fails does not
	 * block timers, aborts and input.
	 */
	backoff?: number | BackoffOptions | undefined;
	/**
	 * The time limit of one attempt, in milliseconds. After that its signal aborts; if the attempt fails, its error is
	 * a `TimeoutError`. @default Infinity
	 */
	timeout?: number | undefined;
	/**
	 * The time limit of all attempts and delays together, in milliseconds from the first attempt. A delay that would
	 * reach the deadline is not started: the run fails at once. @default Infinity
	 */
	deadline?: number | undefined;
	/**
	 * The maximum wait, after an abort or a timeout, for a task that has not settled, in milliseconds. After that the
	 * attempt counts as failed and its late result is dropped. A retry may then overlap the abandoned attempt. Unlike
	 * the `grace` of a `Basket`, which bounds the end of its whole run, this option limits one attempt that ignores
	 * its signal.
	 * @default Infinity
	 */
	abandonAfter?: number | undefined;
	/**
	 * Decides whether to try again. It is called after a failure if attempts are left. If it throws or rejects, the
	 * run rejects with that error. Its context is that of the failed attempt; the signal still reports an abort, the
	 * timeout and the deadline.
	 */
	shouldRetry?: ((error: unknown, context: C) => boolean | PromiseLike<boolean>) | undefined;
	/**
	 * Called after each failed attempt, once it is decided what follows. Errors that it throws are dropped. For a basket,
	 * `onSettled` also says which task has failed.
	 */
	onAttemptFailed?: ((failed: FailedAttempt) => void) | undefined;
	/** Is told of each attempt, and may wrap its call: `observer({ started, ended, around })`. @default none */
	observe?: Observer | undefined;
	/** Whether a server process may exit during a delay. Do not use it for a run that is awaited. @default false */
	unref?: boolean | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/** Checked options, with all defaults filled in. */
export interface RunnerSettings {
	readonly attempts: number;
	readonly backoff?: BackoffSettings | undefined;
	readonly timeout: number;
	readonly deadline: number;
	readonly abandonAfter: number;
	readonly shouldRetry?: RunnerOptions["shouldRetry"];
	readonly onAttemptFailed?: RunnerOptions["onAttemptFailed"];
	readonly observe?: Observer | undefined;
	readonly unref: boolean;
	readonly clock: Clock;
}

/** The default options. */
export const defaultSettings: RunnerSettings = {
	attempts: 1,
	timeout: Infinity,
	deadline: Infinity,
	abandonAfter: Infinity,
	unref: false,
	clock: systemClock,
};

/** Checks the given options. The others come from `defaults`; without any, the result is `defaults` itself. */
export function checkRunnerOptions(
	options: RunnerOptions | undefined,
	defaults: RunnerSettings = defaultSettings,
): RunnerSettings {
	if (options === undefined) return defaults;
	// Written out: a loop over the names costs as much as the attempt.
	const {
		attempts,
		backoff,
		timeout,
		deadline,
		abandonAfter,
		shouldRetry,
		onAttemptFailed,
		observe,
		unref = defaults.unref,
		clock,
	} = options;
	return {
		attempts: attempts === undefined ? defaults.attempts : checkCount("attempts", attempts),
		backoff: backoff === undefined ? defaults.backoff : checkBackoff(backoff),
		timeout: timeout === undefined ? defaults.timeout : checkLimit("timeout", timeout),
		deadline: deadline === undefined ? defaults.deadline : checkLimit("deadline", deadline),
		abandonAfter: abandonAfter === undefined ? defaults.abandonAfter : checkDelay("abandonAfter", abandonAfter),
		shouldRetry: shouldRetry === undefined ? defaults.shouldRetry : check("shouldRetry", shouldRetry, "function"),
		onAttemptFailed: onAttemptFailed === undefined
			? defaults.onAttemptFailed
			: check("onAttemptFailed", onAttemptFailed, "function"),
		observe: observe === undefined ? defaults.observe : checkMethods("observe", observe, "watch"),
		unref: check("unref", unref, "boolean"),
		clock: clock === undefined ? defaults.clock : checkClock(clock),
	};
}

/** The task, or one that its observer watches. */
export function watched<T>(
	task: Task<T>,
	{ observe, clock }: RunnerSettings,
	about: Omit<ObservedAttempt, "attempt">,
): Task<T> {
	return observe === undefined ? task : observe.watch(task, about, clock);
}

/**
 * The options of one task of a pool, and the checks at their door.
 *
 * @module
 */

import type { PoolContext } from "./options.ts";
import { checkRunnerOptions, type RunnerOptions, type RunnerSettings } from "../run/options.ts";
import { check, checkSignal } from "../platform/check.ts";

/** What `pool.run` and `pool.spawn` can be told; for what is not given, the options of the pool hold. */
export interface PoolTaskOptions<W = undefined> extends Omit<RunnerOptions<PoolContext<W>>, "clock"> {
	/** Tasks with a higher one run first. @default 0 */
	priority?: number | undefined;
	/** Cancels the task. */
	signal?: AbortSignal | undefined;
	/**
	 * Short for `attempts: Infinity` with this as its `shouldRetry`, save that only exactly `true`, or a promise of it, puts
	 * the task back in the queue. `attempts` given with it is a limit; `shouldRetry` given with it is refused.
	 */
	restart?: ((error: unknown, context: PoolContext<W>) => boolean | PromiseLike<boolean>) | undefined;
}

/** Checked options of a task. */
export interface JobOptions {
	readonly priority: number;
	readonly signal: AbortSignal | undefined;
	/** Absent, the engine has nothing to do: there is one attempt, nobody is told of it, and nothing limits it. */
	readonly settings: RunnerSettings | undefined;
}

/** Checks the options that were given. Reads each once: a getter may give something else the next time. */
export function checkTaskOptions<W>(options: PoolTaskOptions<W>, defaults: RunnerSettings): JobOptions {
	const {
		priority = 0,
		signal,
		restart,
		attempts = restart && Infinity,
		backoff,
		timeout,
		deadline,
		abandonAfter,
		shouldRetry,
		onAttemptFailed,
		unref,
	} = check("options", options, "object");
	check("priority", priority, "number", Number.isFinite(priority), "a finite number");
	if (signal !== undefined) checkSignal(signal);
	if (restart !== undefined) {
		check("restart", restart, "function", shouldRetry === undefined, 'a function, given without "shouldRetry"');
	}
	const isDefault = attempts === undefined && backoff === undefined && timeout === undefined &&
		deadline === undefined && abandonAfter === undefined && shouldRetry === undefined &&
		onAttemptFailed === undefined && unref === undefined;
	if (isDefault) return jobOptions(priority, signal, defaults);
	const ask = restart === undefined ? shouldRetry : exactly(restart);
	const given = { attempts, backoff, timeout, deadline, abandonAfter, shouldRetry: ask, onAttemptFailed, unref };
	return jobOptions(priority, signal, checkRunnerOptions(given as RunnerOptions, defaults));
}

/** Without what would have no effect: a task without it is cheaper. */
export function jobOptions(priority: number, signal: AbortSignal | undefined, settings: RunnerSettings): JobOptions {
	const { attempts, isTimed, abandonAfter, onAttemptFailed } = settings;
	const isPlain = attempts === 1 && !isTimed && abandonAfter === Infinity && onAttemptFailed === undefined;
	return { priority, signal, settings: isPlain ? undefined : settings };
}

/** Any other answer than `true` is a no. */
function exactly<W>(restart: NonNullable<PoolTaskOptions<W>["restart"]>): PoolTaskOptions<W>["shouldRetry"] {
	return async (error, context) => await restart(error, context) === true;
}

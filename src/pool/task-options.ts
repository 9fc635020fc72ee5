/**
 * The options of one task of a pool, and their checks.
 *
 * @module
 */

import type { PoolContext } from "./options.ts";
import { checkRunnerOptions, type RunnerOptions, type RunnerSettings } from "../run/options.ts";
import { check, checkSignal } from "../platform/check.ts";

/** Options for `pool.run` and `pool.spawn`. Absent options come from the pool. */
export interface PoolTaskOptions<W = undefined> extends Omit<RunnerOptions<PoolContext<W>>, "clock"> {
	/** Tasks with a higher priority run first. @default 0 */
	priority?: number | undefined;
	/** Cancels the task. */
	signal?: AbortSignal | undefined;
	/**
	 * A short form of `attempts: Infinity` with this function as `shouldRetry`. But only the exact value `true`, or a
	 * promise of it, puts the task back in the queue. An additional `attempts` is a limit; an additional `shouldRetry`
	 * is refused.
	 */
	restart?: ((error: unknown, context: PoolContext<W>) => boolean | PromiseLike<boolean>) | undefined;
}

/** Checked options of a task. */
export interface JobOptions {
	readonly priority: number;
	readonly signal: AbortSignal | undefined;
	/** Absent if the engine is not needed: one attempt, no hooks, no limits. */
	readonly settings: RunnerSettings | undefined;
}

/** Checks the given options. Reads each option once, because a getter may return another value the next time. */
export function checkTaskOptions<W>(options: PoolTaskOptions<W>, defaults: RunnerSettings): JobOptions {
	const { priority = 0, signal, restart } = check("options", options, "object");
	check("priority", priority, "number", Number.isFinite(priority), "a finite number");
	if (signal !== undefined) checkSignal(signal);
	let given = options;
	if (restart !== undefined) {
		given = { ...options };
		check("restart", restart, "function", given.shouldRetry === undefined, 'a function, given without "shouldRetry"');
		given.attempts ??= Infinity;
		given.shouldRetry = exactly(restart);
	}
	return jobOptions(priority, signal, checkRunnerOptions(given as RunnerOptions, defaults));
}

/** Leaves out settings without effect, because a task without them is cheaper. */
export function jobOptions(priority: number, signal: AbortSignal | undefined, settings: RunnerSettings): JobOptions {
	const { attempts, timeout, deadline, abandonAfter, onAttemptFailed, observe } = settings;
	const isUnlimited = Math.min(timeout, deadline, abandonAfter) === Infinity;
	const isPlain = isUnlimited && attempts === 1 && (onAttemptFailed ?? observe) === undefined;
	return { priority, signal, settings: isPlain ? undefined : settings };
}

/** Any other result than `true` means no. */
function exactly<W>(restart: NonNullable<PoolTaskOptions<W>["restart"]>): PoolTaskOptions<W>["shouldRetry"] {
	return async (error, context) => await restart(error, context) === true;
}

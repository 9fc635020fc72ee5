/**
 * The call of a function that is observed.
 *
 * @module
 */

import type { ObservedAttempt, ObserverHooks } from "../run/observer.ts";
import { steering, type TaskContext, unwrap } from "../run/task.ts";
import type { Clock } from "../platform/clock.ts";
import { observe, type OnError } from "../platform/observe.ts";

/** Calls a function within {@link ObserverHooks.around}. The observer cannot change what the function returns or throws. */
export function around<T>(
	{ around }: ObserverHooks,
	attempt: ObservedAttempt,
	onError: OnError | undefined,
	call: () => T,
): T {
	if (around === undefined) return call();
	let result: { readonly value: T } | { readonly error: unknown } | undefined;
	const once = () => {
		try {
			result ??= { value: call() };
		} catch (error) {
			result = { error };
		}
		if ("error" in result) throw result.error;
		return result.value;
	};
	observe(onError, (wrap: NonNullable<ObserverHooks["around"]>) => {
		try {
			wrap(attempt, once);
		} catch (error) {
			// An error of the function itself is thrown below.
			if (result === undefined || !("error" in result) || result.error !== error) throw error;
		}
	}, around);
	// This calls the function if the observer has not.
	return once();
}

/** A task that tells the hooks of its attempts. */
export function watch<T, C extends TaskContext>(
	hooks: ObserverHooks,
	task: (context: C) => T | PromiseLike<T>,
	about: Omit<ObservedAttempt, "attempt">,
	clock: Clock,
): (context: C) => T | PromiseLike<T> {
	return (context) => {
		const attempt: ObservedAttempt = { ...about, attempt: context.attempt };
		const begunAt = clock.monotonic();
		const end = (error?: { readonly thrown: unknown }) =>
			observe(undefined, hooks.ended, attempt, {
				outcome: error === undefined ? "done" : steering(error.thrown).later ? "later" : "failed",
				took: clock.monotonic() - begunAt,
				error: error && unwrap(error.thrown), // of nothing, it would throw and catch an error
			});
		observe(undefined, hooks.started, attempt, 0);
		let result;
		try {
			result = around(hooks, attempt, undefined, () => task(context));
		} catch (thrown) {
			end({ thrown });
			throw thrown;
		}
		if (typeof Object(result).then !== "function") {
			end();
			return result;
		}
		return Promise.resolve(result).then((value) => {
			end();
			return value;
		}, (thrown) => {
			end({ thrown });
			throw thrown;
		});
	};
}

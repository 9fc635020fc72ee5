/**
 * Calls of observers. If an observer throws or rejects, the library continues unchanged: the error is passed to
 * `onError` if there is one, and otherwise dropped.
 *
 * @module
 */

/** Called with errors that have no caller: errors of observers, and of work that nobody waits for. */
export type OnError = (error: unknown) => void;

/** Calls an observer. Returns its result, or `undefined` if it threw. */
export function observe<A extends unknown[], R>(
	onError: OnError | undefined,
	observer: ((...args: A) => R) | undefined,
	...args: A
): R | undefined {
	try {
		const result = observer?.(...args);
		// An async observer must not cause an unhandled rejection.
		if (typeof result === "object") Promise.resolve(result).catch((error) => report(onError, error));
		return result;
	} catch (error) {
		report(onError, error);
	}
}

/** Reports an error that nobody else will see. */
export function report(onError: OnError | undefined, error: unknown): void {
	observe(undefined, onError, error);
}

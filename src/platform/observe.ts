/**
 * Calls into the functions that only watch. What an observer throws, or rejects with, changes nothing for the library:
 * it is reported to `onError` if there is one, and otherwise dropped.
 *
 * @module
 */

/** Where errors go that have no caller: of observers, and of work that nobody waits for. */
export type OnError = (error: unknown) => void;

/** Calls an observer and returns what it returned, or `undefined` if it threw. */
export function observe<A extends unknown[], R>(
	onError: OnError | undefined,
	observer: ((...args: A) => R) | undefined,
	...args: A
): R | undefined {
	try {
		const result = observer?.(...args);
		// An async observer must not become an unhandled rejection.
		if (typeof result === "object") Promise.resolve(result).catch((error) => report(onError, error));
		return result;
	} catch (error) {
		report(onError, error);
	}
}

/** Reports an error that nobody else will see. */
export function report(onError: OnError | undefined, error: unknown): void {
	if (onError) observe(undefined, onError, error);
}

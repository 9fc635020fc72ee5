/**
 * Keeps the async context of a caller: `AsyncLocalStorage` in servers, `AsyncContext` where it exists.
 *
 * What several callers share (a clock's timer, the listener on a signal, a worker that becomes free) runs in the context
 * of whoever set it up, or of whoever ends first. Whatever it calls for one of the callers has to go through here, or the
 * caller's function sees the context of somebody else.
 *
 * A promise reaction runs in the context in which `then` was called. That holds in every runtime and needs no API of any.
 * The price is one microtask: a synchronous call in another context is not possible without such an API.
 *
 * @module
 */

/**
 * Keeps the async context of now for one later call.
 *
 * Call it where the caller asks: in `run`, `go`, `attach`. Call what it returns from the shared place. What the callback
 * calls, sets up and awaits is in the caller's context as well, so something that repeats (the calls of a poll, the turns
 * of a worker) asks again inside the callback, or uses {@link inContextAlways}.
 *
 * The callback comes a microtask later. Meanwhile anything may happen, an abort for example: look at the state again.
 *
 * @param callback must not throw
 * @returns a function that lets the callback run in a new microtask, with its value, which must not be a thenable; a second
 * call does nothing
 */
export function inContext<T = void>(callback: (value: T) => void): (value: T) => void {
	let call!: (value: T) => void;
	new Promise<T>((resolve) => call = resolve).then(callback);
	return call;
}

/**
 * As {@link inContext}, for any number of calls. Calls that come before the callback has run are one call, as with a
 * wake-up.
 *
 * @param callback must not throw
 * @returns a function that lets the callback run in a new microtask
 */
export function inContextAlways(callback: () => void): () => void {
	let call: () => void;
	const arm = () => {
		call = inContext(() => {
			arm();
			callback();
		});
	};
	arm();
	return () => call();
}

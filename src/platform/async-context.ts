/**
 * Preserves the async context of a caller: `AsyncLocalStorage` in servers, `AsyncContext` where it exists.
 *
 * Code that several callers share (a clock's timer, the listener on a signal, a worker that becomes free) runs in the
 * context of the caller that set it up or ended first. If it calls a function of another caller, it must use this
 * module. Otherwise that function sees a foreign context.
 *
 * A promise reaction runs in the context in which `then` was called. That holds in every runtime and needs no API of
 * any. The cost is one microtask: without such an API, a synchronous call in another context is not possible.
 *
 * @module
 */

/**
 * Captures the current async context for one later call.
 *
 * Call it inside the caller's call: in `run`, `spawn`, `attach`. Call the returned function from the shared code.
 * Everything that the callback calls, starts and awaits runs in the caller's context, too. So repeated work (the
 * calls of a poll, the turns of a worker) captures the context again inside the callback, or uses
 * {@link inContextAlways}.
 *
 * The callback runs a microtask later. The state may have changed meanwhile, for example by an abort: check it again.
 *
 * @param callback must not throw
 * @returns a function that runs the callback in a new microtask, with its value, which must not be a thenable; a
 * second call does nothing
 */
export function inContext<T = void>(callback: (value: T) => void): (value: T) => void {
	let call!: (value: T) => void;
	new Promise<T>((resolve) => call = resolve).then(callback);
	return call;
}

/**
 * Like {@link inContext}, but for any number of calls. Calls before the callback has run are merged into one.
 *
 * @param callback must not throw
 * @returns a function that runs the callback in a new microtask
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

/**
 * Detects when a page or a worker of a browser may have slept: frozen, throttled, or together with the machine.
 *
 * @module
 */

import { scope } from "./scope.ts";

/**
 * Listens to events of a browser's global scope and, in a page, of its document. Elsewhere it does nothing.
 *
 * @returns a function that removes the listener
 */
export function listen(types: readonly string[], listener: (event: Event) => void): () => void {
	// Only browsers define `onLine`. Other runtimes may refuse event listeners, as workerd does.
	if (scope.navigator?.onLine === undefined) types = [];
	// Listens in the capture phase, because events of the document need not bubble. A test or a polyfill may provide
	// `navigator` but no events.
	for (const type of types) globalThis.addEventListener?.(type, listener, true);
	return () => {
		for (const type of types) globalThis.removeEventListener?.(type, listener, true);
	};
}

/**
 * Calls `listener` when the page is shown, hidden or resumed, or the network is back: at the end of a sleep, and at
 * the last moment before the timers of a page are throttled.
 *
 * @param listener called with the time in milliseconds that the machine has slept while `performance.now()` stood
 * still, as it does in many browsers; sleeps of less than a minute cannot be distinguished from a corrected wall
 * clock
 * @returns a function that removes the listener
 */
export function onAwake(listener: (slept: number) => void): () => void {
	let lead = wallLead();
	return listen(["visibilitychange", "resume", "pageshow", "online"], () => {
		const slept = wallLead() - lead;
		lead += slept;
		listener(slept > 60_000 ? slept : 0);
	});
}

function wallLead(): number {
	return Date.now() - performance.now();
}

/**
 * The moments at which a page or a worker of a browser may have slept: frozen, throttled, or with the whole machine.
 *
 * @module
 */

import { scope } from "./scope.ts";

/**
 * Listens to events of a browser's global scope and, in a page, of the document below it. Elsewhere it does nothing, and
 * costs nothing.
 *
 * @returns what ends that
 */
export function listen(types: readonly string[], listener: (event: Event) => void): () => void {
	// Of all runtimes only browsers have an opinion about that. Elsewhere events may be refused, as in workerd.
	if (scope.navigator?.onLine === undefined) types = [];
	// Seen on its way down, an event of the document need not bubble. A navigator alone, of a test or a polyfill, has no events.
	for (const type of types) globalThis.addEventListener?.(type, listener, true);
	return () => {
		for (const type of types) globalThis.removeEventListener?.(type, listener, true);
	};
}

/**
 * Calls `listener` when the page is shown, hidden or resumed, or the network is back: at the end of a sleep, and at the
 * last moment before a page's timers are held back.
 *
 * @param listener told how long the machine has slept, in milliseconds, while `performance.now()` stood still, as it does in
 * many browsers; sleeps of less than a minute are not told from a wall clock that was corrected
 * @returns what ends that
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

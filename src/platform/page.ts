/**
 * Support for pages of a browser, whose timers are throttled.
 *
 * @module
 */

import { scope } from "./scope.ts";

/** Whether this is a page of a browser, or an imitation. */
export function isPage(): boolean {
	return typeof scope.document === "object";
}

/**
 * Calls back in a new macrotask of a page. A timer would take 4 ms. In a page that has been hidden for long, timers
 * that are set by a timer fire once a minute only; timers that are set from here are not throttled like that.
 */
export function hop(callback: () => void): void {
	const { port1, port2 } = new MessageChannel();
	port1.onmessage = () => {
		port1.close();
		callback();
	};
	port2.postMessage(0);
}

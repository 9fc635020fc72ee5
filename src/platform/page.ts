/**
 * What is special about the pages of a browser: their timers are held back.
 *
 * @module
 */

import { scope } from "./scope.ts";

/** Whether this is a page of a browser, or looks like one. */
export function isPage(): boolean {
	return typeof scope.document === "object";
}

/**
 * Calls back in a new macrotask of a page. A timer would take 4 ms, and one that is armed by a timer is held back to
 * once a minute when the page is hidden for long; one that is armed from here is not.
 */
export function hop(callback: () => void): void {
	const { port1, port2 } = new MessageChannel();
	port1.onmessage = () => {
		port1.close();
		callback();
	};
	port2.postMessage(0);
}

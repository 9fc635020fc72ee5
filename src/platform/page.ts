/**
 * Support for pages of a browser, whose timers are throttled.
 *
 * @module
 */

import { scope } from "./scope.ts";

/** Whether this is a page of a browser. In an imitation on a server, an open channel could keep the process alive. */
export function isPage(): boolean {
	return scope.document !== undefined && scope.setImmediate === undefined;
}

/**
 * Channels of macrotasks that have come, for the next ones: at each message, WebKit visits every port that it has not
 * collected yet. Macrotasks that are under way at the same time, of which there are few, share none: so one that never
 * comes keeps no other.
 */
const idle: MessageChannel[] = [];

/**
 * Calls back in a new macrotask of a page. A timer would take 4 ms. In a page that has been hidden for long, timers
 * that are set by a timer fire once a minute only; timers that are set from here are not throttled like that.
 */
export function hop(callback: () => void): void {
	const channel = idle.shift() ?? new MessageChannel();
	channel.port1.onmessage = () => {
		idle.push(channel);
		callback();
	};
	channel.port2.postMessage(0);
}

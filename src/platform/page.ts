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
 * The channel of a macrotask that has come, for the next one. It is the only open one that no macrotask is waiting for: at
 * each message, WebKit asks another process about every open port. Macrotasks that are under way at the same time share
 * none, so that one that never comes keeps no other.
 */
let idle: MessageChannel | undefined;

/**
 * Calls back in a new macrotask of a page. A timer would take 4 ms. In a page that has been hidden for long, timers
 * that are set by a timer fire once a minute only; timers that are set from here are not throttled like that.
 */
export function hop(callback: () => void): void {
	const channel = idle ?? new MessageChannel();
	idle = undefined;
	channel.port1.onmessage = () => {
		idle?.port1.close();
		idle = channel;
		callback();
	};
	channel.port2.postMessage(0);
}

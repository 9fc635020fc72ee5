/**
 * The cheapest next macrotask of the platform.
 *
 * @module
 */

import { hop, isPage } from "./page.ts";

/** Calls back in a new macrotask, when all promises that need no event have settled. */
export function soon(callback: () => void): void {
	const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };
	(setImmediate ?? (isPage() ? hop : setTimeout))(callback);
}

/**
 * A {@link soon} with one macrotask for all callbacks that wait for it, each in its async context. So what several jobs do
 * next happens at once, and is stored in one call.
 *
 * @param schedule calls back in a new macrotask
 */
export function sharedSoon(schedule: typeof soon = soon): typeof soon {
	// In workerd, a macrotask ends with the request that asked for it.
	if (schedule === soon && globalThis.navigator?.userAgent === "Cloudflare-Workers") return soon;
	let next: Promise<void> | undefined;
	return (callback) => {
		next ??= new Promise((resolve) =>
			schedule(() => {
				next = undefined;
				resolve();
			})
		);
		void next.then(callback);
	};
}

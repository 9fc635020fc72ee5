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

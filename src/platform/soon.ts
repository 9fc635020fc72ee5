/**
 * The next macrotask, as cheap as the platform has it.
 *
 * @module
 */

import { hop, isPage } from "./page.ts";

/** Calls back in a new macrotask, after all promises that can settle by themselves have settled. */
export function soon(callback: () => void): void {
	const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => unknown };
	(setImmediate ?? (isPage() ? hop : setTimeout))(callback);
}

/**
 * Asks whether the browser may delete stored data.
 *
 * @module
 */

import { scope } from "../platform/scope.ts";

/** The result of {@link persistStorage}. */
export interface StorageReport {
	/**
	 * - `"persistent"`: only the user can delete the data;
	 * - `"best-effort"`: the browser may delete the data when space is short (Safari: also after days without a
	 *   visit);
	 * - `"unknown"`: the browser does not report it.
	 */
	readonly state: "persistent" | "best-effort" | "unknown";
	/** The approximate space that the origin uses, in bytes, if the browser reports it. */
	readonly usage?: number | undefined;
	/** The approximate space that the origin may use, in bytes, if the browser reports it. */
	readonly quota?: number | undefined;
}

/**
 * Asks the browser not to delete the data of this origin, and reports the available space. Firefox asks the user, and
 * the call takes until the user answers. So call it when the user has just done something worth keeping, and do not
 * let other work wait for it. In workers it only reads the state.
 *
 * @returns a report; never rejects
 *
 * @example
 * ```ts
 * import { persistStorage } from "upkeep/browser";
 *
 * const { state, quota } = await persistStorage();
 * console.log(`Storage is ${state}, quota: ${quota ?? "unknown"}`);
 * ```
 */
export async function persistStorage(): Promise<StorageReport> {
	const storage = scope.navigator?.storage;
	const isPersistent = await attempt(() => storage?.persist?.()) ?? await attempt(() => storage?.persisted?.());
	const { usage, quota } = await attempt(() => storage?.estimate?.()) ?? {};
	const state = isPersistent === undefined ? "unknown" : isPersistent ? "persistent" : "best-effort";
	return { state, usage, quota };
}

/** The storage API rejects in an origin without storage, for example in a sandbox. */
async function attempt<T>(ask: () => T): Promise<Awaited<T> | undefined> {
	try {
		return await ask();
	} catch {
		return undefined;
	}
}

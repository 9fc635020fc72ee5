/**
 * Whether the browser may clear what is stored.
 *
 * @module
 */

import { scope } from "../platform/scope.ts";

/** What {@link persistStorage} has found. */
export interface StorageReport {
	/**
	 * - `"persistent"`: only the user can clear it;
	 * - `"best-effort"`: the browser may clear it when space is short (or, as Safari, after days without a visit);
	 * - `"unknown"`: it does not say.
	 */
	readonly state: "persistent" | "best-effort" | "unknown";
	/** About how much the origin uses, in bytes, if the browser says so. */
	readonly usage?: number | undefined;
	/** About how much it may use, in bytes, if the browser says so. */
	readonly quota?: number | undefined;
}

/**
 * Asks the browser not to clear what this origin stores, and tells how much room there is. Firefox asks the
 * user, and it takes as long as the answer does: it is best called when somebody has just done something worth keeping,
 * and not awaited before anything else. In workers it only looks.
 *
 * @returns what is known; never rejects
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

/** An origin without storage of its own, as in a sandbox, rejects. */
async function attempt<T>(ask: () => T): Promise<Awaited<T> | undefined> {
	try {
		return await ask();
	} catch {
		return undefined;
	}
}

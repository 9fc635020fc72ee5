/**
 * The parts of the global scope of browsers that are used here.
 *
 * Declared here, so that the sources compile without the DOM types: by default, a Deno program does not have them.
 *
 * @module
 */

/** The part of `navigator.locks` that threads need. */
export interface ScopeLocks {
	/** Calls `callback` when the lock is granted, and releases the lock when the returned promise has settled. */
	request(name: string, callback: () => unknown): Promise<unknown>;
}

/** The part of `navigator.storage` that is used here. Some browsers lack parts of it. */
export interface ScopeStorage {
	persist?(): Promise<boolean>;
	persisted?(): Promise<boolean>;
	estimate?(): Promise<{ usage?: number; quota?: number }>;
}

/** A global scope. */
export interface Scope {
	/** Present in pages only. */
	readonly document?: { readonly baseURI: string; readonly visibilityState: string } | undefined;
	readonly navigator?:
		| { readonly onLine?: boolean; readonly locks?: ScopeLocks; readonly storage?: ScopeStorage }
		| undefined;
	/** Present on servers only. */
	readonly setImmediate?: unknown;
}

/** The global scope of this realm. */
export const scope = globalThis as unknown as Scope;

/**
 * What only the global scopes of browsers have, as far as it is used here.
 *
 * Declared here and not taken from the types of the DOM, so that the sources compile in a program that does without them, as
 * a Deno program does unless it says otherwise.
 *
 * @module
 */

/** The part of `navigator.locks` that threads need. */
export interface ScopeLocks {
	/** Calls `callback` when the lock is granted, and gives it back when what that returned has settled. */
	request(name: string, callback: () => unknown): Promise<unknown>;
}

/** The part of `navigator.storage` that is used here; some browsers lack some of it. */
export interface ScopeStorage {
	persist?(): Promise<boolean>;
	persisted?(): Promise<boolean>;
	estimate?(): Promise<{ usage?: number; quota?: number }>;
}

/** A global scope. */
export interface Scope {
	/** Only pages have one. */
	readonly document?: { readonly baseURI: string; readonly visibilityState: string } | undefined;
	readonly navigator?:
		| { readonly onLine?: boolean; readonly locks?: ScopeLocks; readonly storage?: ScopeStorage }
		| undefined;
}

/** The global scope of this realm. */
export const scope = globalThis as unknown as Scope;

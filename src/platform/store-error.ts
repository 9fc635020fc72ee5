/**
 * What a store says when it cannot do what it was asked for.
 *
 * It is on the ground floor because the stores throw it, the engine reads it, and neither imports the other.
 *
 * @module
 */

/**
 * - `"newer-schema"`: the database was written by a later version of this library. Nothing was changed; update the library.
 * - `"not-open"`: used before {@link Store.open} had resolved.
 * - `"closed"`: the caller has closed the connection, or deleted the database.
 * - `"corrupt"`: the database itself cannot be read.
 * - `"full"`: no space left, or the quota is used up.
 * - `"busy"`: somebody else holds the database, for longer than this store waits.
 * - `"blocked"`: another connection of an older version keeps the schema from being updated.
 * - `"refused"`: the database does not let this client do it, and will not: a missing right, a wrong password.
 * - `"unavailable"`: anything else that may pass: a lost connection, a restarted server.
 */
export type StoreErrorCode =
	| "newer-schema"
	| "not-open"
	| "closed"
	| "corrupt"
	| "full"
	| "busy"
	| "blocked"
	| "refused"
	| "unavailable";

/** What no waiting will mend. */
const lasting: readonly StoreErrorCode[] = ["newer-schema", "not-open", "closed", "corrupt", "refused"];

/**
 * A store failed. Its `cause` is the error of the platform or the driver.
 *
 * What a caller asked for rejects with it: an `add`, a `list`. What the engine does on its own (claims, settlements,
 * leases) is tried again with a backoff while {@link isTransient}, and reported to `onError`; a lasting error ends
 * `run` and `drain` with it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { StoreError } from "upkeep";
 *
 * const error = new StoreError("full", "No space left", { cause: new Error("SQLITE_FULL") });
 * assert.equal(error.code, "full");
 * assert.equal(error.isTransient, true);
 * ```
 */
export class StoreError extends Error {
	/** The name of this error. */
	override readonly name = "StoreError";
	/** What is wrong, for a program. */
	readonly code: StoreErrorCode;

	/**
	 * Made by a store.
	 *
	 * @param code what is wrong, for a program
	 * @param message what is wrong, for a person, and what can be done
	 * @param options the error behind it
	 */
	constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown }) {
		super(message, options);
		this.code = code;
	}

	/** Whether it may be different later. */
	get isTransient(): boolean {
		return !lasting.includes(this.code);
	}
}

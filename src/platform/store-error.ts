/**
 * The error of a store that cannot do what was requested.
 *
 * It is in this folder because the stores throw it, the engine reads it, and neither imports the other.
 *
 * @module
 */

/**
 * - `"newer-schema"`: a later version of this library wrote the database. Nothing was changed; update the library.
 * - `"not-open"`: the store was used before {@link Store.open} had resolved.
 * - `"closed"`: the caller closed the connection or deleted the database.
 * - `"corrupt"`: the database is damaged and cannot be read.
 * - `"full"`: no space is left, or the quota is exceeded.
 * - `"busy"`: another connection has locked the database for longer than this store waits.
 * - `"blocked"`: an open connection of an older version prevents the schema update.
 * - `"refused"`: the database permanently refuses the request of this client, for example because of a missing
 *   permission or a wrong password.
 * - `"unavailable"`: any other temporary failure, for example a lost connection or a restarted server.
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

/** Errors that retrying cannot fix. */
const lasting: readonly StoreErrorCode[] = ["newer-schema", "not-open", "closed", "corrupt", "refused"];

/**
 * A store failed. Its `cause` is the error of the platform or the driver.
 *
 * Calls such as `add` and `list` reject with it. If a request of the engine (a claim, a settlement, a lease) fails,
 * the error is reported to `onError`. If it {@link isTransient}, the engine retries with a backoff; otherwise `run`
 * and `drain` reject with it.
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
	/** The kind of failure, for programs. */
	declare readonly code: StoreErrorCode;

	/**
	 * Created by a store.
	 *
	 * @param code the kind of failure, for programs
	 * @param message what is wrong and what can be done, for people
	 * @param options the underlying error as `cause`
	 */
	constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown }) {
		super(message, options);
		this.code = code;
	}

	/** Whether a retry can succeed. */
	get isTransient(): boolean {
		return !lasting.includes(this.code);
	}
}

/** The `code` of an error, which is that of a {@link StoreError} of any build; a class would identify only that of this one. */
export function codeOf(error: unknown): unknown {
	return propertyOf(error, "code");
}

/** A property of a thrown value; `undefined` if it has none or it cannot be read, as that of a revoked proxy. */
export function propertyOf(thrown: unknown, name: string): unknown {
	try {
		return (thrown as Record<string, unknown> | null | undefined)?.[name];
	} catch {
		return undefined;
	}
}

/**
 * The options of the store for Postgres.
 *
 * @module
 */

import { check } from "../../platform/check.ts";

/** Options for `postgresStore`. */
export interface PostgresStoreOptions {
	/** The name of the schema with the tables and functions: letters, digits and `_`. @default "upkeep" */
	schema?: string | undefined;
	/**
	 * The interval between checks for added tasks, in milliseconds, while there are watchers and notifications do not
	 * arrive: because the driver cannot listen, the connection was lost, or a pooler is in between. @default 1_000
	 */
	pollInterval?: number | undefined;
	/**
	 * The time limit of a call, in milliseconds, including the wait for a free connection. After that the call rejects
	 * with a `StoreError` with the code `unavailable`, and a pool of pg discards the connection. Each added task gets
	 * an additional millisecond, and `counts` may take six times as long. It should be less than half the lease of a
	 * basket; otherwise a lease may expire before a failed extension is noticed. `Infinity`: the limits of the driver.
	 * @default 10_000
	 */
	timeout?: number | undefined;
}

/** @throws {TypeError | RangeError} for an invalid name */
export function checkSchema(schema = "upkeep"): string {
	const isAllowed = typeof schema === "string" && /^(?!pg_)[a-z_]\w{0,62}$/i.test(schema);
	return check(
		"schema",
		schema,
		"string",
		isAllowed,
		"at most 63 letters, digits and _, beginning with no digit and not with pg_",
	);
}

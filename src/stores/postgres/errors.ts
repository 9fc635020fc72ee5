/**
 * What the drivers throw, in the words of the stores.
 *
 * @module
 */

import { StoreError, type StoreErrorCode } from "../../platform/store-error.ts";

/** What an error of a driver can have; Bun has the server's code in `errno`. */
interface Failure {
	readonly code?: unknown;
	readonly errno?: unknown;
	readonly message?: unknown;
	readonly errors?: readonly unknown[];
}

/** The server's codes, and what the drivers say of themselves. Everything else may pass. */
const kinds: readonly (readonly [StoreErrorCode, codes: RegExp, words?: RegExp])[] = [
	["full", /^53100/],
	["busy", /^(40|55P03|57014)/],
	["corrupt", /^XX00[12]/],
	["not-open", /^(3F000|42P01|42883)/],
	[
		"closed",
		/^CONNECTION_ENDED|ERR_POSTGRES_CONNECTION_CLOSED_BY_USER/,
		/after calling end|not queryable|is closed$|was closed/,
	],
];

/** Makes a StoreError of what a driver threw, if it is none already. */
export function toStoreError(error: unknown): StoreError {
	if (error instanceof StoreError) return error;
	const { code, errno, message, errors } = Object(error) as Failure;
	const text = String(message || errors?.map((each) => String(Object(each).message ?? each)).join("; ") || error);
	const codes = [errno, code].map(String);
	const kind = kinds.find(([, pattern, words]) => codes.some((each) => pattern.test(each)) || words?.test(text));
	return new StoreError(kind?.[0] ?? "unavailable", `Postgres: ${text}`, { cause: error });
}

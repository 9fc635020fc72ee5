/**
 * What the drivers throw, in the words of the stores.
 *
 * @module
 */

import { StoreError, type StoreErrorCode } from "../../platform/store-error.ts";

/** What an error of a driver can have. */
interface Failure {
	/** The server's code, or the driver's; with Bun only the driver's. */
	readonly code?: unknown;
	/** With Bun, the server's code. */
	readonly errno?: unknown;
	readonly message?: unknown;
	/** Of a connection that was tried with several addresses. */
	readonly errors?: readonly unknown[];
}

/** By the server's codes, and by what drivers say that have none of their own. Everything else may pass. */
const kinds: readonly (readonly [StoreErrorCode, codes: RegExp, words?: RegExp])[] = [
	["full", /^53100/],
	["busy", /^(40|55P03|57014)/],
	["corrupt", /^XX00[12]/],
	["not-open", /^(3F000|42P01|42883)/],
	["refused", /^(0A|22|28|3D|42|54)/],
	["closed", /^CONNECTION_ENDED/, /end on the pool|PGlite is clos|Client was closed/],
];

/** Makes a StoreError of what a driver threw, if it is none already. */
export function toStoreError(error: unknown): StoreError {
	if (error instanceof StoreError) return error;
	const { code, errno, message, errors } = Object(error) as Failure;
	const text = String(message || errors?.map((each) => (each as Failure)?.message).join("; ") || code || error);
	const codes = [errno, code].filter((each) => typeof each === "string");
	const kind = kinds.find(([, pattern, words]) => codes.some((each) => pattern.test(each)) || words?.test(text));
	return new StoreError(kind?.[0] ?? "unavailable", `Postgres: ${text}`, { cause: error });
}

/**
 * Converts errors of the drivers to errors of the store.
 *
 * @module
 */

import { StoreError, type StoreErrorCode } from "../../platform/store-error.ts";
import { tooNew } from "../sql/sql.ts";
import { version } from "./sql.ts";

/** The members that an error of a driver can have. */
interface Failure {
	/** The code of the server or of the driver; in Bun only of the driver. */
	readonly code?: unknown;
	/** The code of the server in Bun. */
	readonly errno?: unknown;
	readonly message?: unknown;
	/** The errors of a connection attempt with several addresses. */
	readonly errors?: readonly unknown[];
}

/**
 * The kinds of errors, by the codes of the server and the messages of drivers without codes. All other errors are
 * transient.
 */
const kinds: readonly (readonly [StoreErrorCode, codes: RegExp, words?: RegExp])[] = [
	["full", /^53100/],
	["busy", /^(40|55P03|57014)/],
	["corrupt", /^XX00[12]/],
	["not-open", /^(3F000|42P01|42883)/],
	["refused", /^(0A|22|25P|28|3D|42|54)/],
	["closed", /^CONNECTION_ENDED/, /end on the pool|PGlite is clos/],
];

/** Converts an error of a driver to a StoreError, unless it already is one. */
export function toStoreError(error: unknown): StoreError {
	if (error instanceof StoreError) return error;
	const { code, errno, message, errors } = Object(error) as Failure;
	const text = String(message || errors?.map((each) => (each as Failure)?.message).join("; ") || code || error);
	const codes = [errno, code].filter((each) => typeof each === "string");
	const kind = kinds.find(([, pattern, words]) => codes.some((each) => pattern.test(each)) || words?.test(text));
	return new StoreError(kind?.[0] ?? "unavailable", `Postgres: ${text}`, { cause: error });
}

/**
 * Determines the cause of a failure that may be transient or permanent.
 *
 * @param versionOf returns the version of the tables; 0 if there are none
 * @param isReadOnly whether transactions are read-only by a setting. On a standby they are so until it is promoted, which
 *   may have happened since the failure, so it does not suffice to ask whether the server is a standby now.
 */
export async function explain(
	failure: StoreError,
	versionOf: () => Promise<number>,
	isReadOnly: () => Promise<boolean>,
): Promise<StoreError> {
	const { code, errno } = Object(failure.cause) as Failure;
	try {
		if ((code === "25006" || errno === "25006") && await isReadOnly()) return readOnly(failure);
		if (failure.code === "not-open") return missing(failure, await versionOf());
	} catch {
		// The cause cannot be determined.
	}
	return failure;
}

function readOnly({ message, cause }: StoreError): StoreError {
	const advice =
		"whoever works on a basket has to write: see default_transaction_read_only of the database and the role";
	return new StoreError("refused", `${message}; ${advice}`, { cause });
}

function missing({ message, cause }: StoreError, found: number): StoreError {
	if (found > version) return tooNew(found, version);
	if (found < version) {
		return new StoreError("not-open", `${message}; open the store again, or run what postgresSchema() gives`, {
			cause,
		});
	}
	return new StoreError("corrupt", `${message}; restore what is missing in the schema, or drop it to start over`, {
		cause,
	});
}

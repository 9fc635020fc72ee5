/**
 * Converts errors of the drivers to errors of the store.
 *
 * @module
 */

import { StoreError, type StoreErrorCode } from "../../platform/store-error.ts";

/** A kind of error. */
interface Kind {
	readonly code: StoreErrorCode;
	/** SQLite's result codes; a number above 255 is one extended code. */
	readonly numbers: readonly number[];
	/** Matches the messages of drivers without a code (Deno) or with an imprecise one. */
	readonly words: RegExp;
	/** What the user can do, if it is not obvious. */
	readonly advice?: string | undefined;
}

const kinds: readonly Kind[] = [
	{
		code: "closed",
		numbers: [1032],
		words: /\bnot open|closed|finalized/i,
		advice: "open the database again",
	},
	{ code: "busy", numbers: [5, 6], words: /is locked/ },
	{ code: "full", numbers: [13], words: /is full/, advice: "free space on its disk, or raise max_page_count" },
	{
		code: "corrupt",
		numbers: [11, 26],
		words: /malformed|not a database/,
		advice: "restore it from a backup",
	},
	{
		code: "corrupt",
		numbers: [],
		words: /no such (table|column|index)|no column named|already exists/,
		advice:
			"tables of the store were dropped or changed: restore them, or drop the others too and open the store again",
	},
	{
		code: "refused",
		numbers: [3, 8, 23],
		words: /readonly database|not authorized/,
		advice:
			"open the connection for writing, and check the permissions of the file and its folder, and PRAGMA query_only",
	},
	{ code: "refused", numbers: [18, 19, 20], words: /constraint failed|too big|mismatch|can only bind/ },
	{
		code: "unavailable",
		numbers: [14],
		words: /unable to open|cannot open database/i,
		advice: "check that the folder exists, and the permissions of the file and its folder",
	},
];

/** The names of the result codes in better-sqlite3; a suffix after another `_` gives details. */
const names: Readonly<Record<string, number>> = {
	SQLITE_ERROR: 1,
	SQLITE_PERM: 3,
	SQLITE_BUSY: 5,
	SQLITE_LOCKED: 6,
	SQLITE_READONLY: 8,
	SQLITE_CORRUPT: 11,
	SQLITE_FULL: 13,
	SQLITE_CANTOPEN: 14,
	SQLITE_TOOBIG: 18,
	SQLITE_CONSTRAINT: 19,
	SQLITE_MISMATCH: 20,
	SQLITE_AUTH: 23,
	SQLITE_NOTADB: 26,
	SQLITE_READONLY_DBMOVED: 1032,
};

/** The members that an error of a driver can have. */
interface Thrown {
	/** SQLite's result code (node:sqlite). */
	readonly errcode?: unknown;
	/** SQLite's result code (bun:sqlite). */
	readonly errno?: unknown;
	/** SQLite's result code (libsql). */
	readonly rawCode?: unknown;
	/** The name of the result code (better-sqlite3). */
	readonly code?: unknown;
	readonly message?: unknown;
}

/** Converts an error of a driver to a StoreError, unless it already is one. */
export function toStoreError(error: unknown): StoreError {
	if (error instanceof StoreError) return error;
	const { errcode, errno, rawCode, code: name, message } = Object(error) as Thrown;
	const number = Number(errcode ?? errno ?? rawCode) || numberOf(name);
	const text = String(message ?? error);
	const kind = kinds.find(({ numbers }) => numbers.includes(number)) ??
		kinds.find(({ numbers }) => numbers.includes(number & 0xff)) ??
		kinds.find(({ words }) => number <= 1 && words.test(text));
	// A request that the driver itself refuses will be refused again.
	const code: StoreErrorCode = kind?.code ??
		(error instanceof TypeError || error instanceof RangeError ? "refused" : "unavailable");
	return new StoreError(code, `SQLite: ${text}${kind?.advice === undefined ? "" : `: ${kind.advice}`}`, {
		cause: error,
	});
}

/** Returns 0 if it is not an error of SQLite. */
function numberOf(name: unknown): number {
	const [primary] = /^SQLITE_[A-Z]+/.exec(String(name)) ?? [];
	// Codes that are not in the list need no details from the message.
	return primary === undefined ? 0 : names[name as string] ?? names[primary] ?? 2;
}

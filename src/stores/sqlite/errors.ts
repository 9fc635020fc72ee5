/**
 * What the drivers throw, in the words of the stores.
 *
 * @module
 */

import { StoreError, type StoreErrorCode } from "../../platform/store-error.ts";

/** Errors of one kind. */
interface Kind {
	readonly code: StoreErrorCode;
	/** SQLite's result codes; one above 255 stands for that extended code alone. */
	readonly numbers: readonly number[];
	/** What the drivers say where they give no number (Deno), or one that says too little. */
	readonly words: RegExp;
	/** What can be done, if that is not plain. */
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

/** How better-sqlite3 calls the result codes; what follows after another `_` says more. */
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

/** What an error of a driver can have. */
interface Thrown {
	/** SQLite's result code, with node:sqlite. */
	readonly errcode?: unknown;
	/** The same, with bun:sqlite. */
	readonly errno?: unknown;
	/** The same, with libsql. */
	readonly rawCode?: unknown;
	/** Its name, with better-sqlite3. */
	readonly code?: unknown;
	readonly message?: unknown;
}

/** Makes a StoreError of what a driver threw, if it is none already. */
export function toStoreError(error: unknown): StoreError {
	if (error instanceof StoreError) return error;
	const { errcode, errno, rawCode, code: name, message } = Object(error) as Thrown;
	const number = Number(errcode ?? errno ?? rawCode) || numberOf(name);
	const text = String(message ?? error);
	const kind = kinds.find(({ numbers }) => numbers.includes(number)) ??
		kinds.find(({ numbers }) => numbers.includes(number & 0xff)) ??
		kinds.find(({ words }) => number <= 1 && words.test(text));
	// What a driver refuses before it asks SQLite will be refused again.
	const code: StoreErrorCode = kind?.code ??
		(error instanceof TypeError || error instanceof RangeError ? "refused" : "unavailable");
	return new StoreError(code, `SQLite: ${text}${kind?.advice === undefined ? "" : `: ${kind.advice}`}`, {
		cause: error,
	});
}

/** 0: it is none of SQLite's. */
function numberOf(name: unknown): number {
	const [primary] = /^SQLITE_[A-Z]+/.exec(String(name)) ?? [];
	// One that is not in the list is not one of which the message says more.
	return primary === undefined ? 0 : names[name as string] ?? names[primary] ?? 2;
}

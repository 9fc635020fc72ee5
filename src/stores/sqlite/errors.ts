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
		words: /not open|closed|finalized/i,
		advice: "open the database again",
	},
	{ code: "busy", numbers: [5, 6], words: /is locked/ },
	{ code: "full", numbers: [13], words: /is full/, advice: "free space on its disk, or raise max_page_count" },
	{
		code: "corrupt",
		numbers: [11, 26],
		words: /malformed|not a database/,
		advice: "restore it from a copy",
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
			"open the connection for writing, and see to the rights of the file and its folder, and to PRAGMA query_only",
	},
	{ code: "refused", numbers: [18, 19, 20], words: /constraint failed|too big|mismatch/ },
];

/** Makes a StoreError of what a driver threw, if it is none already. */
export function toStoreError(error: unknown): StoreError {
	if (error instanceof StoreError) return error;
	const { errcode, errno, message } = Object(error) as { errcode?: unknown; errno?: unknown; message?: unknown };
	const number = Number(errcode ?? errno) || 0;
	const text = String(message ?? error);
	const kind = kinds.find(({ numbers }) => numbers.includes(number)) ??
		kinds.find(({ numbers }) => numbers.includes(number & 0xff)) ??
		kinds.find(({ words }) => number <= 1 && words.test(text));
	// What a driver refuses before it asks SQLite will be refused again.
	const code = kind?.code ?? (error instanceof TypeError || error instanceof RangeError ? "refused" : "unavailable");
	return new StoreError(code, `SQLite: ${text}${kind?.advice === undefined ? "" : `: ${kind.advice}`}`, {
		cause: error,
	});
}

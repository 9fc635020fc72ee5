/**
 * What the drivers throw, in the words of the stores.
 *
 * @module
 */

import { StoreError, type StoreErrorCode } from "../../platform/store-error.ts";

/** SQLite's primary result codes, and what the drivers say where they give no code (Deno), or have none of SQLite's. */
const kinds: readonly (readonly [StoreErrorCode, codes: readonly number[], words: RegExp])[] = [
	["busy", [5, 6], /is locked/],
	["full", [13], /is full/],
	["corrupt", [11, 26], /malformed|not a database/],
	["closed", [], /not open|closed|finalized/],
];

/** Makes a StoreError of what a driver threw, if it is none already. */
export function toStoreError(error: unknown): StoreError {
	if (error instanceof StoreError) return error;
	const { errcode, errno, message } = Object(error) as { errcode?: unknown; errno?: unknown; message?: unknown };
	const code = Number(errcode ?? errno) & 0xff; // the rest of an extended code says more than is needed
	const text = String(message ?? error);
	const kind = kinds.find(([, codes, words]) => code > 0 ? codes.includes(code) : words.test(text));
	return new StoreError(kind?.[0] ?? "unavailable", `SQLite: ${text}`, { cause: error });
}

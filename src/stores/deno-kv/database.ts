/**
 * The used part of the interface of Deno KV, so that nothing needs Deno's types.
 *
 * @module
 */

import { StoreError, type StoreErrorCode } from "../../platform/store-error.ts";

/** A part of a key. */
export type DenoKvKeyPart = Uint8Array | string | number | bigint | boolean;

/** The entry of a key, which may be absent. */
export interface DenoKvEntry {
	/** The key. */
	readonly key: readonly unknown[];
	/** The value; `null` if the key is absent. */
	readonly value: unknown;
	/** The version; `null` if the key is absent. */
	readonly versionstamp: string | null;
}

/** The used part of a `Deno.AtomicOperation`. */
export interface DenoKvOperation {
	/** Makes the commit fail unless the key still has this version. */
	check(...checks: { key: DenoKvKeyPart[]; versionstamp: string | null }[]): unknown;
	/** Stores a value. */
	set(key: DenoKvKeyPart[], value: unknown): unknown;
	/** Removes a value. */
	delete(key: DenoKvKeyPart[]): unknown;
	/** Commits all changes or none. */
	commit(): Promise<{ ok: boolean }>;
}

/** The used part of a `Deno.Kv`, of Deno itself or of `@deno/kv` for Node. */
export interface DenoKv<Tx extends DenoKvOperation = DenoKvOperation> {
	/** Reads up to ten keys in one snapshot. */
	getMany(keys: DenoKvKeyPart[][]): Promise<DenoKvEntry[]>;
	/** Reads a range of keys. */
	list(
		selector: { prefix: DenoKvKeyPart[]; start?: DenoKvKeyPart[] } | { prefix: DenoKvKeyPart[]; end: DenoKvKeyPart[] },
		options: { limit?: number; batchSize?: number; reverse?: boolean },
	): AsyncIterable<DenoKvEntry>;
	/** Begins a commit. */
	atomic(): Tx;
	/** Reports each new value. */
	watch(keys: DenoKvKeyPart[][]): ReadableStream<DenoKvEntry[]>;
	/** Closes the database. Required if the store has opened it. */
	close?(): unknown;
}

/** Errors of SQLite and of the runtime, in the order in which they are tried. */
const failures: readonly [RegExp, StoreErrorCode, string][] = [
	[/BadResource|Interrupted|is closed/i, "closed", "The database was closed: pass an open one to the store"],
	[/locked|busy/i, "busy", "Another process holds the database"],
	[/\bfull\b|quota|no space/i, "full", "There is no space left for the database: free some, or delete tasks"],
	[
		/malformed|not a database|corrupt|no such table/i,
		"corrupt",
		"The database cannot be read: restore it from a backup",
	],
	[
		/read-?only|permission|unauthorized|forbidden|\b40[13]\b/i,
		"refused",
		"The database does not let this process use it: check the permissions of its file, or the access token",
	],
];

/** The messages for invalid keys, values or commits. Deno KV also throws TypeErrors for errors of SQLite. */
const misuse = /too (large|many)|must be|expected/i;

/** The maximum number of tries of a conflicting request. */
export const mostTries = 30;

/** Makes a request to the database, retries it while others lock the database, and converts errors. */
export async function ask<T>(request: () => Promise<T>): Promise<T> {
	for (let tries = 1;; tries++) {
		try {
			return await request();
		} catch (error) {
			const failure = toStoreError(error);
			if (!(failure instanceof StoreError) || failure.code !== "busy" || tries >= mostTries) throw failure;
			await pause(tries);
		}
	}
}

/** Converts an error to a `StoreError`, except errors about the size of keys and values. */
export function toStoreError(error: unknown): unknown {
	if (error instanceof StoreError) return error;
	const { name, message } = Object(error) as Error;
	const [, code, text] = failures.find(([pattern]) => pattern.test(`${name} ${message}`)) ?? [];
	if (code !== undefined) return new StoreError(code, text!, { cause: error });
	if (error instanceof TypeError && misuse.test(message)) return error;
	return new StoreError("unavailable", "The database failed", { cause: error });
}

/** Waits for a random time that grows with each try, so that conflicting processes separate. */
export function pause(tries: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(2 ** tries, 100)));
}

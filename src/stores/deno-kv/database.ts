/**
 * What is asked of Deno KV: its own names and shapes, as far as they are used, so that nothing needs Deno's types.
 *
 * @module
 */

import { StoreError, type StoreErrorCode } from "../../platform/store-error.ts";

/** A part of a key. */
export type DenoKvKeyPart = Uint8Array | string | number | bigint | boolean;

/** What is stored under a key, or that there is nothing. */
export interface DenoKvEntry {
	/** Where it is. */
	readonly key: readonly unknown[];
	/** What it is; `null` if there is nothing. */
	readonly value: unknown;
	/** Of which commit it is; `null` if there is nothing. */
	readonly versionstamp: string | null;
}

/** A `Deno.AtomicOperation`, as far as it is used. */
export interface DenoKvOperation {
	/** Lets the commit fail unless the key is as it was at that version. */
	check(...checks: { key: DenoKvKeyPart[]; versionstamp: string | null }[]): unknown;
	/** Stores a value. */
	set(key: DenoKvKeyPart[], value: unknown): unknown;
	/** Removes a value. */
	delete(key: DenoKvKeyPart[]): unknown;
	/** Makes all changes, or none. */
	commit(): Promise<{ ok: boolean }>;
}

/** A `Deno.Kv`, of Deno itself or of `@deno/kv` for Node, as far as it is used. */
export interface DenoKv<Tx extends DenoKvOperation = DenoKvOperation> {
	/** Reads up to ten keys at one moment. */
	getMany(keys: DenoKvKeyPart[][]): Promise<DenoKvEntry[]>;
	/** Reads a range of keys. */
	list(
		selector: { prefix: DenoKvKeyPart[]; start?: DenoKvKeyPart[] } | { prefix: DenoKvKeyPart[]; end: DenoKvKeyPart[] },
		options: { limit?: number; batchSize?: number; reverse?: boolean },
	): AsyncIterable<DenoKvEntry>;
	/** Begins a commit. */
	atomic(): Tx;
	/** Tells of each new value. */
	watch(keys: DenoKvKeyPart[][]): ReadableStream<DenoKvEntry[]>;
	/** Closes the database; needed where the store has opened it. */
	close?(): unknown;
}

/** Of SQLite and of the runtime, in the order in which they are tried. */
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

/** What Deno KV says of a key, a value or a commit that it does not take. Of SQLite it throws TypeErrors, too. */
const misuse = /too (large|many)|must be|expected/i;

/** How often something is tried again that is in the way of others. */
export const mostTries = 30;

/** Does something with the database, several times if others hold it, and says in the words of stores what went wrong. */
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

/** The error of a store, except for what was given to the database: that a key or value is too large. */
export function toStoreError(error: unknown): unknown {
	if (error instanceof StoreError) return error;
	const { name, message } = Object(error) as Error;
	const [, code, text] = failures.find(([pattern]) => pattern.test(`${name} ${message}`)) ?? [];
	if (code !== undefined) return new StoreError(code, text!, { cause: error });
	if (error instanceof TypeError && misuse.test(message)) return error;
	return new StoreError("unavailable", "The database failed", { cause: error });
}

/** A random while, longer each time, so that those who are in each other's way get out of it. */
export function pause(tries: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(2 ** tries, 100)));
}

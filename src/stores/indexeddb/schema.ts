/**
 * The object stores: their names, creation and version.
 *
 * @module
 */

import { checkMethods } from "../../platform/check.ts";
import { StoreError } from "../../platform/store-error.ts";
import { result } from "./request.ts";

/** The object store of the rows of all tables. */
export const rowsName = "upkeep.rows";
/** Its only index. */
export const indexName = "in";
/** The object store for other data: the version of the schema, and the reserved space. */
export const metaName = "upkeep.meta";

/** The key of the schema version in the object store {@link metaName}. */
const versionKey = "version";

/**
 * The version of the schema of this library. The store's own database has the same version. Version 2 has limits: an
 * older library would take tasks with a limit key for damaged ones.
 */
export const schemaVersion = 2;

/**
 * The names of the store's object stores, for a transaction that you pass as `tx`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { indexedDBStoreNames } from "upkeep/stores/indexeddb";
 *
 * // database.transaction([...indexedDBStoreNames, "mails"], "readwrite")
 * assert.deepEqual([...indexedDBStoreNames, "mails"], ["upkeep.rows", "upkeep.meta", "mails"]);
 * ```
 */
export const indexedDBStoreNames: readonly string[] = [rowsName, metaName];

/**
 * Creates or updates the store's object stores in your own database. Call it in each `upgradeneeded`: it creates only
 * what is missing. If a new version of the library has a new schema (see its CHANGELOG), open the database with a
 * higher version number.
 *
 * With its own database (`indexedDBStore("name")`), the store does this automatically.
 *
 * @param database the database that is being upgraded
 * @param transaction the transaction of the upgrade: `request.transaction` of the request that opens the database
 * @throws {TypeError} for other arguments
 *
 * @example
 * ```ts browser
 * import { indexedDBStore, upgradeIndexedDB } from "upkeep/stores/indexeddb";
 *
 * const request = indexedDB.open("mail", 1);
 * request.onupgradeneeded = () => {
 * 	request.result.createObjectStore("mails", { autoIncrement: true });
 * 	upgradeIndexedDB(request.result, request.transaction!);
 * };
 * await new Promise((resolve, reject) => {
 * 	request.onsuccess = resolve;
 * 	request.onerror = () => reject(request.error);
 * });
 * const store = indexedDBStore(request.result);
 * await store.open();
 * ```
 */
export function upgradeIndexedDB(database: IDBDatabase, transaction: IDBTransaction): void {
	checkMethods("database", database, "createObjectStore");
	checkMethods("transaction", transaction, "objectStore");
	if (!hasSchema(database)) {
		database.createObjectStore(rowsName, { keyPath: "$key" }).createIndex(indexName, "$in", { multiEntry: true });
		database.createObjectStore(metaName);
	}
	const meta = transaction.objectStore(metaName);
	const request = meta.get(versionKey);
	request.onsuccess = () => {
		// The rows are those of version 1. A later version stays.
		if (!(request.result >= schemaVersion)) meta.put(schemaVersion, versionKey);
	};
}

function hasSchema(database: IDBDatabase): boolean {
	return indexedDBStoreNames.every((name) => database.objectStoreNames.contains(name));
}

/** Rejects if this version of the library cannot use the database. */
export async function checkSchema(database: IDBDatabase): Promise<void> {
	if (!hasSchema(database)) {
		throw new StoreError(
			"not-open",
			`The database "${database.name}" lacks the object stores ${indexedDBStoreNames.join(" and ")}: ` +
				"call upgradeIndexedDB when it is upgraded",
		);
	}
	const meta = database.transaction(metaName).objectStore(metaName);
	const version = await result(meta.get(versionKey)) as number;
	if (version > schemaVersion) throw newerSchema(database.name, `its schema has the version ${version}`);
	if (version < schemaVersion) {
		throw new StoreError(
			"not-open",
			`The database "${database.name}" has the schema ${version}, and this library needs ${schemaVersion}: ` +
				"open it with a higher version number, and call upgradeIndexedDB when it is upgraded",
		);
	}
}

/** The error for a database of a later version. */
export function newerSchema(name: string, why: string, cause?: unknown): StoreError {
	const message = `The database "${name}" was written by a later version of this library, or by something else: ${why}`;
	return new StoreError("newer-schema", message, { cause });
}

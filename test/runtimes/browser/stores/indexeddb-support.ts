// Connections and transactions like those of applications, for the tests of indexedDBStore().
import { indexedDBStoreNames, upgradeIndexedDB } from "../../../../src/stores/indexeddb/indexeddb.ts";

/** Opens a database of an application, which has an object store in addition to those of the store. */
export function openOwn(name: string): Promise<IDBDatabase> {
	const request = indexedDB.open(name, 7);
	request.onupgradeneeded = () => {
		request.result.createObjectStore("mine");
		upgradeIndexedDB(request.result, request.transaction!);
	};
	return settled(request);
}

/** Opens a connection that blocks upgrades: it closes only on request. */
export function openPlain(
	name: string,
	version?: number,
	upgrade?: (database: IDBDatabase) => void,
): Promise<IDBDatabase> {
	const request = indexedDB.open(name, version);
	request.onupgradeneeded = () => upgrade?.(request.result);
	return settled(request);
}

/** Resolves with the result of a request. */
export function settled<T>(request: IDBRequest<T>): Promise<T> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
}

/** Resolves when a transaction is committed. */
export function committed(transaction: IDBTransaction): Promise<void> {
	return new Promise((resolve, reject) => {
		transaction.oncomplete = () => resolve();
		transaction.onabort = () => reject(transaction.error);
	});
}

/** Runs work in a transaction that commits if the work resolves, and rolls back if it rejects. */
export async function transactIn(
	database: IDBDatabase,
	work: (tx: IDBTransaction) => Promise<unknown>,
): Promise<void> {
	const transaction = database.transaction(indexedDBStoreNames, "readwrite");
	const commit = committed(transaction);
	commit.catch(() => {}); // the cause of the abort below is reported instead
	try {
		await work(transaction);
	} catch (error) {
		transaction.abort();
		throw error;
	}
	await commit;
}

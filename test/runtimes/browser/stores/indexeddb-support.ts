// Connections and transactions as applications make them, for the tests of indexedDBStore().
import { indexedDBStoreNames, upgradeIndexedDB } from "../../../../src/stores/indexeddb/indexeddb.ts";

/** A database of an application, with one object store of its own besides those of the store. */
export function openOwn(name: string): Promise<IDBDatabase> {
	const request = indexedDB.open(name, 7);
	request.onupgradeneeded = () => {
		request.result.createObjectStore("mine");
		upgradeIndexedDB(request.result, request.transaction!);
	};
	return settled(request);
}

/** A connection that is good for nobody: it closes when it is told to, and not before. */
export function openPlain(
	name: string,
	version?: number,
	upgrade?: (database: IDBDatabase) => void,
): Promise<IDBDatabase> {
	const request = indexedDB.open(name, version);
	request.onupgradeneeded = () => upgrade?.(request.result);
	return settled(request);
}

/** What a request comes to. */
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

/** Commits if the work resolves, and rolls back if it rejects. */
export async function transactIn(
	database: IDBDatabase,
	work: (tx: IDBTransaction) => Promise<unknown>,
): Promise<void> {
	const transaction = database.transaction(indexedDBStoreNames, "readwrite");
	const commit = committed(transaction);
	commit.catch(() => {}); // an abort below is told by what caused it
	try {
		await work(transaction);
	} catch (error) {
		transaction.abort();
		throw error;
	}
	await commit;
}

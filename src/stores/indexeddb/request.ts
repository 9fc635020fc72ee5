/**
 * Requests of IndexedDB as promises, and its errors as those of a store.
 *
 * A promise that is resolved by a request's event runs on while that event is dispatched, when the transaction takes new
 * requests; so a function that awaits nothing but requests may make the next one.
 *
 * @module
 */

import { StoreError, type StoreErrorCode } from "../../platform/store-error.ts";

/**
 * What a request comes to. An error of it aborts the transaction; if it is tolerant, an error means only that there is something that
 * cannot be read: then it is `undefined`, and the transaction goes on.
 */
export function result<T>(request: IDBRequest<T>): Promise<T>;
export function result<T>(request: IDBRequest<T>, isTolerant: true): Promise<T | undefined>;
export function result<T>(request: IDBRequest<T>, isTolerant?: true): Promise<T | undefined> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = (event) => {
			// The connection is lost, or somebody has aborted: that is not the fault of the record.
			if (!isTolerant || request.error?.name === "AbortError") return reject(request.error);
			event.preventDefault();
			event.stopPropagation();
			resolve(undefined);
		};
	});
}

const fullMessage =
	"no space is left on the disk, or in the quota of this origin (see navigator.storage.estimate()). " +
	"Delete data or tasks, or work tasks off";

/**
 * The error of a store for one of IndexedDB, which is known by its name: it may be of another realm, or of something that stands in for
 * IndexedDB. Others, which are faults of a program, stay as they are.
 */
export function toStoreError(error: unknown, what: string): unknown {
	if (!/^(?!Type|Range|Store)\w+Error\b/.test(String(error))) return error;
	const { name, message } = error as Error;
	// Browsers say nothing more about it.
	const [code, why]: [StoreErrorCode, string] = isFull(error) ? ["full", fullMessage] : ["unavailable", message];
	return new StoreError(code, [what, name, why].filter(Boolean).join(": "), { cause: error });
}

/** Whether the connection may be what was at fault. WebKit says "Connection to Indexed Database server lost". */
export function isLost(error: unknown): boolean {
	return /^(InvalidState|Abort|Unknown.*(connection|server))/i.test(String(error));
}

/** Whether there is no space left. */
export function isFull(error: unknown): boolean {
	return (error as Partial<Error> | undefined)?.name === "QuotaExceededError";
}

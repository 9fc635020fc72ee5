/**
 * Converts requests of IndexedDB to promises, and its errors to errors of a store.
 *
 * Reactions of a promise that a request's event resolves run while the event is dispatched, when the transaction
 * accepts new requests. So a function that awaits only requests can make the next one.
 *
 * @module
 */

import { StoreError, type StoreErrorCode } from "../../platform/store-error.ts";

/**
 * The result of a request. An error aborts the transaction. For a tolerant request, an error means only that the
 * record cannot be read: then the result is `undefined`, and the transaction continues.
 */
export function result<T>(request: IDBRequest<T>): Promise<T>;
export function result<T>(request: IDBRequest<T>, isTolerant: true): Promise<T | undefined>;
export function result<T>(request: IDBRequest<T>, isTolerant?: true): Promise<T | undefined> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = (event) => {
			// The connection is lost, or the transaction was aborted: the record is not the cause.
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
 * Converts an error of IndexedDB to an error of a store. It is identified by its name, because it may come from another
 * realm or from an imitation of IndexedDB. Other errors, which are faults of a program, stay as they are.
 */
export function toStoreError(error: unknown, what: string): unknown {
	if (!/^(?!Type|Range|Store)\w+Error\b/.test(String(error))) return error;
	const { name, message } = error as Error;
	// Browsers give no details.
	const [code, why]: [StoreErrorCode, string] = isFull(error) ? ["full", fullMessage] : ["unavailable", message];
	return new StoreError(code, [what, name, why].filter(Boolean).join(": "), { cause: error });
}

/** Whether the connection may be the cause. WebKit says "Connection to Indexed Database server lost". */
export function isLost(error: unknown): boolean {
	return /^(InvalidState|Abort|Unknown.*(connection|server))/i.test(String(error));
}

/** Whether no space is left. */
export function isFull(error: unknown): boolean {
	return (error as Partial<Error> | undefined)?.name === "QuotaExceededError";
}

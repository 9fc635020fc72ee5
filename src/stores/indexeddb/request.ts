/**
 * Requests of IndexedDB as promises, and its errors as those of a store.
 *
 * A promise that is resolved by a request's event runs on while that event is dispatched, when the transaction takes new
 * requests; so a function that awaits nothing but requests may make the next one.
 *
 * @module
 */

import { StoreError, type StoreErrorCode } from "../../platform/store-error.ts";

/** What a request comes to. An error of it aborts the transaction. */
export function result<T>(request: IDBRequest<T>): Promise<T> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
}

/** What a read comes to, `undefined` if there is something that cannot be read. The transaction goes on. */
export function tolerant<T>(request: IDBRequest<T>): Promise<T | undefined> {
	return new Promise((resolve, reject) => {
		request.onsuccess = () => resolve(request.result);
		request.onerror = (event) => {
			// The connection is lost, or somebody has aborted: that is not the fault of the record.
			if (request.error?.name === "AbortError") return reject(request.error);
			event.preventDefault();
			event.stopPropagation();
			resolve(undefined);
		};
	});
}

const fullMessage =
	"no space is left on the disk, or in the quota of this origin. Delete data or tasks, or work tasks off; " +
	"navigator.storage.estimate() tells how much there is";

const codes: Readonly<Record<string, StoreErrorCode>> = {
	QuotaExceededError: "full",
	VersionError: "newer-schema",
};

/** The error of a store for one of IndexedDB. Others, which are faults of a program, stay as they are. */
export function toStoreError(error: unknown, what: string): unknown {
	if (!isPlatformError(error)) return error;
	const code = codes[error.name] ?? "unavailable";
	// Browsers say nothing more about it.
	const why = code === "full" ? fullMessage : error.message;
	return new StoreError(code, [what, error.name, why].filter(Boolean).join(": "), { cause: error });
}

/** By name: the error may be of another realm, or of something that stands in for IndexedDB. */
function isPlatformError(error: unknown): error is DOMException {
	if (error === null || typeof error !== "object" || error instanceof StoreError) return false;
	return error instanceof DOMException || !(error instanceof TypeError || error instanceof RangeError) &&
			/^\w+Error$/.test((error as Error).name) && (error as Error).name !== "Error";
}

/** Whether the connection may be what was at fault. WebKit says "Connection to Indexed Database server lost". */
export function isLost(error: unknown): boolean {
	const { name, message } = (error ?? {}) as Partial<Error>;
	return name === "InvalidStateError" || name === "AbortError" ||
		name === "UnknownError" && /connection|server/i.test(message ?? "");
}

/** Whether there is no space left. */
export function isFull(error: unknown): boolean {
	return (error as Partial<Error> | undefined)?.name === "QuotaExceededError" ||
		error instanceof StoreError && error.code === "full";
}

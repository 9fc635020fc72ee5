/**
 * Runs a member of the store in its own transaction or in one of the caller.
 *
 * @module
 */

import type { WakeReason } from "../../basket/store.ts";
import { check } from "../../platform/check.ts";
import { indexedDBStoreNames } from "./schema.ts";
import { result } from "./request.ts";
import type { Rows } from "./rows.ts";

/**
 * Resolves when the transaction has committed. `onCommit` is called when the commit begins: before, the transaction
 * has no effect.
 */
export function transact<T>(
	transaction: IDBTransaction,
	body: () => T | Promise<T>,
	onCommit?: () => void,
): Promise<T> {
	return new Promise((resolve, reject) => {
		let value: T;
		let failure: unknown;
		transaction.oncomplete = () => resolve(value);
		// The transaction knows the failed request; the other aborted requests do not.
		transaction.onabort = () => reject(transaction.error ?? failure);
		const begin = async (): Promise<void> => {
			try {
				value = await body();
				onCommit?.();
				failure = new DOMException("The transaction was aborted", "AbortError");
				transaction.commit?.();
			} catch (error) {
				failure = error;
				try {
					transaction.abort();
				} catch { /* It has ended already. */ }
			}
		};
		void begin();
	});
}

/** Resolves while the caller's transaction is still active, so that the caller can continue to use it. */
export async function join<T>(
	tx: IDBTransaction,
	makeRows: () => Rows,
	body: (rows: Rows) => Promise<T>,
	wake: (reason?: WakeReason) => void,
): Promise<T> {
	try {
		const rows = makeRows();
		const value = await body(rows);
		if (rows.isAwake) tx.addEventListener("complete", () => wake(rows.reason));
		if (rows.write?.readyState === "pending") await result(rows.write);
		return value;
	} catch (error) {
		if (tx.error || !/^(TransactionInactive|InvalidState)E/.test(String(error))) throw tx.error ?? error;
		throw new TypeError('"tx" is not active: inside it, await only its requests', { cause: error });
	}
}

/** Throws if a transaction of the caller cannot be used. */
export function checkTransaction(tx: IDBTransaction, databaseName: string): void {
	const names = check("tx.objectStoreNames", check("tx", tx, "object").objectStoreNames, "object");
	const isOver = indexedDBStoreNames.every((name) => names.contains(name));
	if (isOver && tx.mode !== "readonly" && tx.db.name === databaseName) return;
	const tell = (mode: string, over: Iterable<string>, name: string) =>
		`a "${mode}" transaction over ${[...over].join(", ")} of the database "${name}"`;
	const wanted = tell("readwrite", indexedDBStoreNames, databaseName);
	throw new TypeError(`"tx" must be ${wanted}: it is ${tell(tx.mode, names, tx.db.name)}`);
}

/**
 * Runs what a member of the store does, in a transaction of its own or in one of the caller.
 *
 * @module
 */

import type { WakeReason } from "../../basket/store.ts";
import { check } from "../../platform/check.ts";
import { indexedDBStoreNames } from "./schema.ts";
import { result } from "./request.ts";
import type { Rows } from "./rows.ts";

/** Resolves once the transaction is committed. `onCommit` is told when that begins: until then nothing can have come of it. */
export function transact<T>(
	transaction: IDBTransaction,
	body: () => T | Promise<T>,
	onCommit: () => void,
): Promise<T> {
	return new Promise((resolve, reject) => {
		let value: T;
		let failure: unknown;
		transaction.oncomplete = () => resolve(value);
		// The transaction knows which request was at fault; those that were swept away with it do not.
		transaction.onabort = () => reject(transaction.error ?? failure);
		const begin = async (): Promise<void> => {
			try {
				value = await body();
				onCommit();
				failure = new DOMException("The transaction was aborted", "AbortError");
				transaction.commit?.();
			} catch (error) {
				failure = error;
				quietly(() => transaction.abort());
			}
		};
		void begin();
	});
}

/** Resolves while the caller's transaction is still active, so that the caller may go on with it. */
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
		if (!isInactive(error) || tx.error) throw tx.error ?? error;
		throw new TypeError('"tx" is not active: await nothing but its requests inside it', { cause: error });
	}
}

/** A transaction of the caller that can be used. */
export function checkTransaction(tx: IDBTransaction, databaseName: string): IDBTransaction {
	const names = check("tx.objectStoreNames", check("tx", tx, "object").objectStoreNames, "object");
	if (!indexedDBStoreNames.every((name) => names.contains(name))) {
		throw new TypeError(`"tx" must be over ${indexedDBStoreNames.join(" and ")}: it is over ${[...names].join(", ")}`);
	}
	if (tx.mode === "readonly") throw new TypeError('"tx" must be a "readwrite" transaction: it is "readonly"');
	if (tx.db.name !== databaseName) {
		throw new TypeError(`"tx" must be of the database "${databaseName}": it is of "${tx.db.name}"`);
	}
	return tx;
}

function isInactive(error: unknown): boolean {
	return nameOf(error) === "TransactionInactiveError" || nameOf(error) === "InvalidStateError";
}

function nameOf(error: unknown): string | undefined {
	return (error as Partial<Error> | undefined)?.name;
}

function quietly(action: () => void): void {
	try {
		action();
	} catch { /* It has ended already. */ }
}

/**
 * The options of the store for SQLite, and its members in addition to those of a {@link Store}.
 *
 * @module
 */

import type { Store } from "../../basket/store.ts";
import type { Clock } from "../../platform/clock.ts";
import type { SqliteConnection } from "./statements.ts";

/** Options for `sqliteStore`. */
export interface SqliteStoreOptions {
	/** The prefix of the table names: letters, digits and `_`. @default "upkeep_" */
	prefix?: string | undefined;
	/** The interval between checks for changes by other processes, in milliseconds, while there are watchers. @default 20 */
	pollInterval?: number | undefined;
	/**
	 * How long to retry while another connection is writing, in milliseconds; then the call rejects with a
	 * `StoreError` with the code `busy`. The `busy_timeout` of the connection does not apply, because it would block
	 * the event loop. @default 10_000
	 */
	busyTimeout?: number | undefined;
	/**
	 * The clock for stored times; only its wall clock is read. Waits for other connections always take real time.
	 * @default systemClock
	 */
	clock?: Clock | undefined;
}

/** A {@link Store} in an SQLite database. */
export interface SqliteStore<Db extends SqliteConnection = SqliteConnection> extends Store<Db> {
	/**
	 * Runs a function inside a transaction: BEGIN IMMEDIATE before it, COMMIT when it resolves, ROLLBACK when it
	 * rejects. The function may await: meanwhile neither another such transaction nor the store itself interferes.
	 * Inside it, await only work of this transaction: a call of the store without `tx` waits for the end of the
	 * transaction, so awaiting it would wait forever.
	 *
	 * @param work the function; its argument is the connection, to be passed as `tx`
	 * @returns the result of the function, when the transaction has committed
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` if the calls are nested, or if the transaction
	 * ended before the function: SQLite ends it when the disk is full
	 * @throws {StoreError} (as a rejection) if the transaction cannot begin or commit; then nothing has changed
	 */
	transaction<T>(work: (tx: Db) => T | PromiseLike<T>): Promise<T>;
	/**
	 * Closes the connection if the store has opened it with the given function, when requested writes have ended. A
	 * basket that still runs ends with a `StoreError` with the code `closed`. Does nothing if an open connection was
	 * passed.
	 */
	close(): Promise<void>;
}

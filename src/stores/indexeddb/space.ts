/**
 * IndexedDB as rows in transactions.
 *
 * @module
 */

import type { StoreCapabilities, TurnResult, WakeReason } from "../../basket/store.ts";
import type { Clock } from "../../platform/clock.ts";
import { StoreError } from "../../platform/store-error.ts";
import { endLeases } from "../../records/owning.ts";
import {
	drive,
	type Purpose,
	type RecordSpace,
	type RecordTransaction,
	type TransactOptions,
	type Work,
} from "../../records/records.ts";
import { type Connection, GivenConnection } from "./connection.ts";
import { ownerOf, Owners } from "./owners.ts";
import { isFull, isLost, toStoreError } from "./request.ts";
import { Reserve } from "./reserve.ts";
import { Rows } from "./rows.ts";
import { indexedDBStoreNames } from "./schema.ts";
import { checkTransaction, join, transact } from "./transact.ts";
import { Wakes } from "./wakes.ts";

/** How often to look for claims of others while there is something else to do, in milliseconds. */
const lookInterval = 1_000;

export class IndexedDBSpace implements RecordSpace<IDBTransaction> {
	readonly capabilities: StoreCapabilities = { durable: true, shared: true, tx: true, clock: "machine" };
	readonly isOptimistic = false;
	readonly inline = 1_000;
	readonly #connection: Connection;
	readonly #durability: IDBTransactionDurability;
	readonly #clock: Clock;
	readonly #wakes: Wakes;
	readonly #owners: Owners;
	readonly #reserve = new Reserve();
	/** When somebody else's claims were looked for last. */
	#lookedAt = -Infinity;
	#isOpen = false;

	constructor(connection: Connection, durability: IDBTransactionDurability, clock: Clock) {
		this.#connection = connection;
		this.#durability = durability;
		this.#clock = clock;
		this.#wakes = new Wakes(connection.name);
		this.#owners = new Owners(connection.name);
	}

	async open(): Promise<void> {
		try {
			await this.#connection.database();
			this.#isOpen = true;
		} catch (error) {
			throw this.#errorOf(error);
		}
	}

	mark(): Promise<string> {
		return this.#owners.mark();
	}

	async transact<R>(
		basket: string,
		work: (tx: RecordTransaction) => Work<R>,
		{ tx, purpose }: TransactOptions<IDBTransaction>,
	): Promise<R> {
		if (tx !== undefined) return await this.#within(tx, basket, work);
		for (let tries = 3;; tries--) {
			let database: IDBDatabase | undefined;
			let isCommitting = false;
			try {
				database = await this.#connection.database();
				const transaction = begin(database, purpose, this.#durability);
				const rows = new Rows(transaction, basket, this.#clock.now());
				const value = await transact(transaction, () => workOn(rows, work), () => isCommitting = true);
				if (rows.isAwake) this.#wakes.send(basket, rows.reason);
				// Nobody waits for it, and it may fail: it is only for worse times.
				if (purpose === "add" && this.#reserve.grown(rows.size)) this.#keepReserve(database).catch(() => {});
				return value;
			} catch (error) {
				// What adds something is not what the reserve is for.
				if (isFull(error) && purpose !== "add" && await this.#freeReserve(database!)) continue;
				// What may have been committed must not be done twice.
				const isUndone = database !== undefined && !isCommitting && isLost(error);
				if (!isUndone || !this.#connection.forget(database!) || tries === 1) throw this.#errorOf(error);
			}
		}
	}

	watch(basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void): () => void {
		const stop = this.#wakes.watch(basket, wake, onError);
		return () => {
			stop();
			if (!this.#wakes.has(basket)) this.#owners.forget(basket);
		};
	}

	/** Looks who holds claims when there is nothing else to do, and now and then. */
	seekOwners(basket: string, { claims, dueIn }: TurnResult): ((tokens: readonly string[]) => void) | undefined {
		const now = this.#clock.now();
		const isIdle = claims.length === 0 || now - this.#lookedAt >= lookInterval;
		if (!isIdle || dueIn === 0 || dueIn === Infinity || !this.#wakes.has(basket)) return undefined;
		this.#lookedAt = now;
		return (tokens) => {
			const others = new Set(tokens.map(ownerOf).filter((owner) => owner !== undefined));
			this.#owners.await(basket, others, (owner) => this.#bereave(basket, owner));
		};
	}

	async close(): Promise<void> {
		this.#wakes.end();
		this.#owners.leave();
		this.#connection.close();
	}

	/** The claims of one who has gone are free. */
	async #bereave(basket: string, owner: string): Promise<void> {
		try {
			const isGone = (token: string) => ownerOf(token) === owner;
			await this.transact(basket, (tx) => endLeases(tx, isGone), { purpose: "lease" });
		} catch {
			// They will be, when their leases are over.
		}
	}

	async #keepReserve(database: IDBDatabase): Promise<void> {
		const transaction = database.transaction(indexedDBStoreNames, "readwrite");
		await transact(transaction, () => this.#reserve.keep(transaction), () => {});
	}

	/** Whether there is some more space now. */
	async #freeReserve(database: IDBDatabase): Promise<boolean> {
		try {
			const transaction = database.transaction(indexedDBStoreNames, "readwrite");
			return await transact(transaction, () => this.#reserve.free(transaction), () => {});
		} catch {
			return false;
		}
	}

	/** Inside a transaction of the caller. The first requests are made before this returns. */
	async #within<R>(tx: IDBTransaction, basket: string, work: (tx: RecordTransaction) => Work<R>): Promise<R> {
		checkTransaction(tx, this.#connection.name);
		if (!this.#isOpen) throw new StoreError("not-open", "Await open() before you use the store in a transaction");
		try {
			const makeRows = () => new Rows(tx, basket, this.#clock.now());
			return await join(tx, makeRows, (rows) => workOn(rows, work), (reason) => this.#wakes.send(basket, reason));
		} catch (error) {
			throw this.#errorOf(error);
		}
	}

	#errorOf(error: unknown): unknown {
		const { name } = this.#connection;
		if (this.#connection instanceof GivenConnection && (error as Partial<Error>)?.name === "InvalidStateError") {
			const message = `The connection to the database "${name}" was closed: open another one, and make a store of it`;
			return new StoreError("closed", message, { cause: error });
		}
		return toStoreError(error, `The database "${name}"`);
	}
}

function begin(database: IDBDatabase, purpose: Purpose, durability: IDBTransactionDurability): IDBTransaction {
	if (purpose === "read") return database.transaction(indexedDBStoreNames, "readonly");
	// A lease need not outlive a power failure, since nobody who holds one does.
	const care = purpose === "lease" ? "relaxed" : durability;
	return database.transaction(indexedDBStoreNames, "readwrite", { durability: care });
}

async function workOn<R>(rows: Rows, work: (tx: RecordTransaction) => Work<R>): Promise<R> {
	const result = drive(work(rows), rows.answer);
	const value = result instanceof Promise ? await result : result;
	rows.flush();
	return value;
}

/**
 * IndexedDB as rows with transactions.
 *
 * @module
 */

import type { StoreCapabilities, TurnResult, WakeReason } from "../../basket/store.ts";
import { listen } from "../../platform/awake.ts";
import type { Clock } from "../../platform/clock.ts";
import { StoreError } from "../../platform/store-error.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import { endLeases } from "../../records/owning.ts";
import type { RecordSpace, RecordTransaction, TransactOptions, Work } from "../../records/records.ts";
import type { Connection } from "./connection.ts";
import { ownerOf, Owners } from "./owners.ts";
import { isFull, isLost, toStoreError } from "./request.ts";
import { pause, reserve, urgent, worthwhile } from "./reserve.ts";
import { Rows } from "./rows.ts";
import { rowsName } from "./schema.ts";
import { checkTransaction, join, transact } from "./transact.ts";
import { Wakes } from "./wakes.ts";

/** The interval between checks for claims of other owners while there is other work, in milliseconds. */
const lookInterval = 1_000;

export class IndexedDBSpace implements RecordSpace<IDBTransaction> {
	readonly capabilities: StoreCapabilities = {
		durable: true,
		shared: true,
		tx: true,
		clock: "machine",
		clones: true,
	};
	readonly isOptimistic = false;
	/** Of 10 kB a row of its own costs adding more than it saves renewed leases; of 50 kB it saves nine tenths of their time. */
	readonly inline = 16_000;
	readonly #connection: Connection;
	readonly #durability: IDBTransactionDurability;
	readonly #clock: Clock;
	readonly #wakes: Wakes;
	readonly #owners: Owners;
	/** The number of bytes that were added since there was no reserve. */
	#added = 0;
	readonly #reserving = new CallbackTimer(() => this.#keepReserve(), true);
	#unlisten: (() => void) | undefined;
	/** The time of the last check for claims of other owners. */
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
			this.#unlisten ??= listen(["pagehide", "pageshow"], (event) => this.#onPage(event as PageTransitionEvent));
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
				const mode = purpose === "read" ? "readonly" : "readwrite";
				// A lease need not survive a power failure, because its owner does not either.
				const durability = purpose === "lease" ? "relaxed" : this.#durability;
				const transaction = database.transaction(rowsName, mode, { durability });
				const rows = new Rows(transaction, basket, this.#clock.now());
				const value = await transact(transaction, () => workOn(rows, work), () => isCommitting = true);
				if (rows.isAwake) this.#wakes.send(basket, rows.reason);
				if (purpose === "add") this.#planReserve(rows.size);
				return value;
			} catch (error) {
				// The reserve is not for additions.
				if (isFull(error) && purpose !== "add") {
					if (await this.#freeReserve(database)) continue;
					// Chromium keeps files that it no longer needs, which count, until it opens the database again.
					if (database) this.#connection.forget(database);
				}
				// A work that may have been committed must not be repeated.
				const isUndone = database && !isCommitting && isLost(error);
				if (!isUndone || !this.#connection.forget(database) || tries === 1) throw this.#errorOf(error);
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

	/** Checks for the owners of claims when there is no other work, and at intervals. */
	seekOwners(
		basket: string,
		{ claims, dueIn }: TurnResult,
	): ((tokens: readonly string[]) => Promise<boolean>) | undefined {
		const now = this.#clock.now();
		const isIdle = claims.length === 0 || now - this.#lookedAt >= lookInterval;
		if (!isIdle || dueIn === 0 || dueIn === Infinity || !this.#wakes.has(basket)) return undefined;
		this.#lookedAt = now;
		return (tokens) => {
			const marks = new Set(tokens.map(ownerOf));
			return this.#owners.await(basket, marks, (mark) => this.#bereave(basket, mark));
		};
	}

	async close(): Promise<void> {
		this.#unlisten?.();
		this.#clock.clear(this.#reserving);
		this.#wakes.end();
		this.#owners.leave();
		this.#connection.close();
	}

	/** A connection in a page that is kept for its back button would block the upgrades of others, or cost it that place. */
	#onPage({ type, persisted }: PageTransitionEvent): void {
		if (type === "pagehide") {
			this.#connection.forget();
			this.#wakes.hide();
			this.#owners.leave();
		} else if (persisted) {
			this.#wakes.show();
			this.#owners.return();
		}
	}

	/** Releases the claims of an owner that has gone. Returns whether there were any. */
	async #bereave(basket: string, mark: string): Promise<boolean> {
		try {
			const isGone = (token: string) => ownerOf(token) === mark;
			return await this.transact(basket, (tx) => endLeases(tx, isGone), { purpose: "lease" });
		} catch {
			return false; // they are released when their leases expire
		}
	}

	/** The reserve costs as much as 4 MB of tasks: it does not delay the additions that follow at once. */
	#planReserve(size: number): void {
		const before = this.#added;
		this.#added += size;
		const reaches = (mark: number) => before < mark && this.#added >= mark;
		if (reaches(urgent)) this.#keepReserve();
		else if (reaches(worthwhile)) this.#clock.set(this.#reserving, pause);
	}

	/** Not awaited, and it may fail: the reserve is only a precaution. */
	#keepReserve(): void {
		this.#clock.clear(this.#reserving);
		this.#connection.database().then((database) => reserve(database, true)).catch(() => {});
	}

	/** Releases the reserve. Returns whether there was one. */
	async #freeReserve(database: IDBDatabase | undefined): Promise<boolean> {
		this.#added = 0;
		return database !== undefined && await reserve(database, false).catch(() => false);
	}

	/** Runs a work inside a transaction of the caller. The first requests are made synchronously. */
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
		if (this.#connection.isGiven && (error as Partial<Error>)?.name === "InvalidStateError") {
			const message =
				`The connection to the database "${name}" was closed: open another one, and create a store with it`;
			return new StoreError("closed", message, { cause: error });
		}
		return toStoreError(error, `The database "${name}"`);
	}
}

/** Does a work. Its first reads are asked before this returns. */
async function workOn<R>(rows: Rows, work: (tx: RecordTransaction) => Work<R>): Promise<R> {
	const steps = work(rows);
	for (let answers: unknown[] = [];;) {
		const { done, value } = steps.next(answers);
		if (done) {
			rows.flush();
			return value;
		}
		answers = await Promise.all(value.map(rows.answer));
	}
}

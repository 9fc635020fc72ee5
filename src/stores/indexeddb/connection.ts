/**
 * The source of transactions: a connection that is opened by name and reopened whenever it is lost, or a connection
 * of the caller.
 *
 * @module
 */

import type { Clock } from "../../platform/clock.ts";
import { StoreError } from "../../platform/store-error.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import { checkSchema, newerSchema, schemaVersion, upgradeIndexedDB } from "./schema.ts";
import { result, toStoreError } from "./request.ts";

/**
 * How long opening a database may take before it is reported, in milliseconds. The event `blocked` does not help:
 * only the first request that waits for another tab's connection gets it.
 */
const patience = 5000;

/** A connection to a database. */
export interface Connection {
	/** The name of the database. */
	readonly name: string;
	/** Whether the connection belongs to the caller, who opens and closes it. */
	readonly isGiven: boolean;
	/** Resolves with an open connection whose schema was checked. */
	database(): Promise<IDBDatabase>;
	/** Drops the given connection, which is unusable, or the current one. Returns whether another one may be opened. */
	forget(database?: IDBDatabase): boolean;
	/** Closes the connection that it has opened. */
	close(): void;
}

/** A connection of the caller, who also closes it. */
export function givenConnection(database: IDBDatabase): Connection {
	let isChecked = false;
	return {
		name: database.name,
		isGiven: true,
		async database() {
			if (!isChecked) await checkSchema(database);
			isChecked = true;
			return database;
		},
		forget: () => false,
		close() {},
	};
}

/**
 * A connection by name.
 *
 * States: closed → (use) → opening → open → closed, when another tab upgrades or deletes the database, when the
 * browser closes the connection, or when the page enters the back/forward cache. The next use reopens it. Only
 * `close()` is final.
 */
export class NamedConnection implements Connection {
	readonly name: string;
	readonly isGiven = false;
	readonly #clock: Clock;
	#database: IDBDatabase | undefined;
	/** The current request. A second request would queue behind a blocked one without notification. */
	#opening: Promise<IDBDatabase> | undefined;
	#isClosed = false;

	constructor(name: string, clock: Clock) {
		this.name = name;
		this.#clock = clock;
	}

	async database(): Promise<IDBDatabase> {
		if (this.#isClosed) throw new StoreError("closed", `The store of the database "${this.name}" was closed`);
		return this.#database ?? await this.#wait(this.#opening ??= this.#open());
	}

	forget(database: IDBDatabase | undefined = this.#database): boolean {
		if (this.#database === database) {
			database?.close();
			this.#database = undefined;
		}
		return !this.#isClosed;
	}

	close(): void {
		this.#isClosed = true;
		this.forget();
	}

	/** Rejects a caller that has waited too long for another tab to close its connection. The request continues. */
	#wait(opening: Promise<IDBDatabase>): Promise<IDBDatabase> {
		return new Promise((resolve, reject) => {
			const message =
				`Cannot open the database "${this.name}": close other tabs, which may keep an old version of it open`;
			const timer = new CallbackTimer(() => reject(new StoreError("blocked", message)));
			this.#clock.set(timer, patience);
			opening.then(resolve, reject).then(() => this.#clock.clear(timer));
		});
	}

	async #open(): Promise<IDBDatabase> {
		try {
			const database = this.#database = await this.#request();
			database.onversionchange = database.onclose = () => void this.forget(database);
			if (this.#isClosed) this.forget();
			await this.#check(database);
			return database;
		} catch (error) {
			this.forget();
			throw this.#errorOf(error);
		} finally {
			this.#opening = undefined;
		}
	}

	/** If the connection is already lost, the first transaction detects it and requests another one. */
	async #check(database: IDBDatabase): Promise<void> {
		try {
			await checkSchema(database);
		} catch (error) {
			if (this.#database === database) throw error;
		}
	}

	/** Always asynchronous, so that it throws only after the opening state is set. */
	async #request(): Promise<IDBDatabase> {
		const { indexedDB } = globalThis;
		if (!indexedDB) throw new StoreError("unavailable", "IndexedDB is not available here");
		const request = indexedDB.open(this.name, schemaVersion);
		request.onupgradeneeded = () => upgradeIndexedDB(request.result, request.transaction!);
		return await result(request);
	}

	#errorOf(error: unknown): unknown {
		const { name, message } = Object(error) as Error;
		if (name === "VersionError") return newerSchema(this.name, message, error);
		return toStoreError(error, `Cannot open the database "${this.name}"`);
	}
}

/**
 * Where the transactions come from: a connection that is opened by name and opened again whenever it is gone, or one that
 * belongs to the caller.
 *
 * @module
 */

import type { Clock } from "../../platform/clock.ts";
import { StoreError } from "../../platform/store-error.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import { checkSchema, newerSchema, schemaVersion, upgradeIndexedDB } from "./schema.ts";
import { result, toStoreError } from "./request.ts";

/**
 * How long a database may take to open before that is reported, in milliseconds. The event `blocked` is no help: only the
 * first of those who wait for another tab's connection to close is told.
 */
const patience = 5000;

/** A database and how to get at it. */
export interface Connection {
	/** What the database is called. */
	readonly name: string;
	/** Whether it is the caller's, who opens and closes it. */
	readonly isGiven: boolean;
	/** An open connection to it, whose schema is known. */
	database(): Promise<IDBDatabase>;
	/** Lets go of a connection that is of no use any more, or of the current one; whether there may be another one. */
	forget(database?: IDBDatabase): boolean;
	/** Closes what it has opened. */
	close(): void;
}

/** The caller's own connection, which stays the caller's to open and to close. */
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
 * States: closed → (use) → opening → open → closed, when another tab upgrades or deletes the database, when the browser
 * takes the connection away, or when the page goes into the back/forward cache; the next use opens it again. Only
 * `close()` is for good.
 */
export class NamedConnection implements Connection {
	readonly name: string;
	readonly isGiven = false;
	readonly #clock: Clock;
	#database: IDBDatabase | undefined;
	/** The request that is under way: a second one would queue behind a blocked one, and not even be told that. */
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

	/** Does not let somebody wait for ever for another tab that does not close its connection. The request goes on. */
	#wait(opening: Promise<IDBDatabase>): Promise<IDBDatabase> {
		return new Promise((resolve, reject) => {
			const message = `Cannot open the database "${this.name}": another tab keeps an old version of it open, perhaps`;
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

	/** A connection that is gone already is for the first transaction to find out, which asks for another one. */
	async #check(database: IDBDatabase): Promise<void> {
		try {
			await checkSchema(database);
		} catch (error) {
			if (this.#database === database) throw error;
		}
	}

	/** Asynchronous in any case: what it throws comes when it is known that something is opening. */
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

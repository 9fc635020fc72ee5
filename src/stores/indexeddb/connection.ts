/**
 * Where the transactions come from: a connection that is opened by name and opened again whenever it is gone, or one that
 * belongs to the caller.
 *
 * @module
 */

import type { Clock } from "../../platform/clock.ts";
import { isPage } from "../../platform/page.ts";
import { StoreError } from "../../platform/store-error.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import { checkSchema, newerSchema, schemaVersion, upgradeIndexedDB } from "./schema.ts";
import { toStoreError } from "./request.ts";

/**
 * How long a database may take to open before that is reported, in milliseconds. The event `blocked` is no help: only the
 * first of those who wait for another tab's connection to close is told.
 */
const patience = 5000;

/** A database and how to get at it. */
export interface Connection {
	/** What the database is called. */
	readonly name: string;
	/** An open connection to it, whose schema is known. */
	database(): Promise<IDBDatabase>;
	/** Says that a connection is of no use any more; whether there may be another one. */
	forget(database: IDBDatabase): boolean;
	/** Closes what it has opened. */
	close(): void;
}

/** The caller's own connection, which stays the caller's to open and to close. */
export class GivenConnection implements Connection {
	readonly #database: IDBDatabase;
	#checked: Promise<void> | undefined;

	constructor(database: IDBDatabase) {
		this.#database = database;
	}

	get name(): string {
		return this.#database.name;
	}

	async database(): Promise<IDBDatabase> {
		await (this.#checked ??= this.#check());
		return this.#database;
	}

	forget(): boolean {
		return false;
	}

	close(): void {}

	async #check(): Promise<void> {
		try {
			await checkSchema(this.#database);
		} catch (error) {
			this.#checked = undefined;
			throw error;
		}
	}
}

/** Who waits for a database to open. */
interface Waiter {
	resolve(database: IDBDatabase): void;
	reject(error: unknown): void;
	timer: CallbackTimer;
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
	readonly #clock: Clock;
	#database: IDBDatabase | undefined;
	/** Those who wait for the request that is under way, if there is one. */
	#waiters: Set<Waiter> | undefined;
	#isClosed = false;

	constructor(name: string, clock: Clock) {
		this.name = name;
		this.#clock = clock;
	}

	async database(): Promise<IDBDatabase> {
		if (this.#isClosed) throw new StoreError("closed", `The store of the database "${this.name}" was closed`);
		return this.#database ?? await this.#wait();
	}

	forget(database: IDBDatabase): boolean {
		if (this.#database === database) this.#drop();
		return !this.#isClosed;
	}

	close(): void {
		this.#isClosed = true;
		this.#drop();
	}

	/** One request serves all who wait: a second one would queue behind a blocked one, and not even be told that. */
	#wait(): Promise<IDBDatabase> {
		return new Promise((resolve, reject) => {
			const timer = new CallbackTimer(() => this.#giveUp(waiter));
			const waiter: Waiter = { resolve, reject, timer };
			this.#clock.set(timer, patience);
			const isOpening = this.#waiters !== undefined;
			(this.#waiters ??= new Set()).add(waiter);
			if (!isOpening) void this.#open();
		});
	}

	async #open(): Promise<void> {
		let settle: (waiter: Waiter) => void;
		try {
			const database = await this.#request();
			this.#keep(database);
			await this.#check(database);
			settle = ({ resolve }) => resolve(database);
		} catch (error) {
			this.#drop();
			settle = ({ reject }) => reject(this.#errorOf(error));
		}
		const waiters = this.#waiters!;
		this.#waiters = undefined;
		for (const waiter of waiters) {
			this.#clock.clear(waiter.timer);
			settle(waiter);
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

	#request(): Promise<IDBDatabase> {
		const { indexedDB } = globalThis;
		if (!indexedDB) throw new StoreError("unavailable", "There is no IndexedDB here");
		return new Promise((resolve, reject) => {
			const request = indexedDB.open(this.name, schemaVersion);
			request.onupgradeneeded = () => upgradeIndexedDB(request.result, request.transaction!);
			request.onsuccess = () => resolve(request.result);
			request.onerror = () => reject(request.error);
		});
	}

	/** Does not let somebody wait for ever for another tab that does not close its connection. The request goes on. */
	#giveUp(waiter: Waiter): void {
		this.#waiters?.delete(waiter);
		const message = `The database "${this.name}" does not open: another tab keeps an old version of it open, perhaps`;
		waiter.reject(new StoreError("blocked", message));
	}

	/** A connection in a page that is kept for its back button would block the upgrades of others, or cost it that place. */
	#keep(database: IDBDatabase): void {
		this.#database = database;
		database.onversionchange = database.onclose = () => void this.forget(database);
		if (this.#isClosed) this.#drop();
		else if (isPage()) addEventListener("pagehide", this.#drop);
	}

	readonly #drop = (): void => {
		this.#database?.close();
		this.#database = undefined;
		if (isPage()) removeEventListener("pagehide", this.#drop);
	};

	#errorOf(error: unknown): unknown {
		const { name, message } = (error ?? {}) as Partial<Error>;
		if (name === "VersionError") return newerSchema(this.name, message!, error);
		return toStoreError(error, `Cannot open the database "${this.name}"`);
	}
}

/**
 * One connection, which the store shares with its owner. Each uses it when it is free, and neither works inside a
 * transaction of the other.
 *
 * The store's own work is synchronous from BEGIN to COMMIT, so that nothing interferes. If the owner has an open
 * transaction or another process writes, the store retries later: SQLite's own busy handler would block the event
 * loop meanwhile.
 *
 * @module
 */

import { sleep } from "../../platform/clock.ts";
import { soon } from "../../platform/soon.ts";
import { StoreError } from "../../platform/store-error.ts";
import { toStoreError } from "./errors.ts";
import { type AnyConnection, type SqliteConnection, Statements, type Value } from "./statements.ts";

/** The used part of an `AsyncLocalStorage` of `node:async_hooks`. */
interface Context {
	run<R>(store: object, work: () => R): R;
	getStore(): object | undefined;
}

/** The work since the event loop last continued. */
interface Labour {
	readonly since: number;
	/** Resolves when the event loop continues. */
	readonly rest: Promise<void>;
	/** Whether the owner has set no busy timeout. Absent if that is not known. */
	isImpatient?: boolean | undefined;
}

/** The work and the time, in milliseconds, after which the event loop continues. A row that is read or changed counts 1. */
const mostAtOnce = 1_024;
const costOfStatement = 4;
const costOfCommit = 40;
const longestAtOnce = 3;

/** The maximum pause between two tries, in milliseconds. */
const longestPause = 20;

export type { SqliteConnection };

export class Connection {
	readonly #patience: number;
	readonly #statements = new Statements();
	/** States: absent → (use) → open → (end, or the owner closes it) → closed. */
	#db: AnyConnection | undefined;
	#isEnded = false;
	/** The last of the queued writers. */
	#last: Promise<unknown> | undefined;
	/** Detects calls from inside a transaction. */
	#context: Context | undefined;
	/** The open transaction of {@link transaction}. */
	#current: object | undefined;
	/** Absent if there was none. */
	#labour: Labour | undefined;
	/** The work since the event loop last continued. */
	#asked = 0;
	/** Whether the transaction of the current {@link read} writes by now. */
	#isLocked = false;
	/** The number of commits of the store itself. */
	commits: number = 0;
	/** How many transactions the store itself has rolled back. */
	rollbacks: number = 0;

	/** @param patience how long to retry while another connection writes, in milliseconds */
	constructor(patience: number) {
		this.#patience = patience;
	}

	/** Uses this connection from now on. */
	use(db: SqliteConnection): void {
		this.#db = db;
		this.#statements.clear();
		if (this.#labour !== undefined) this.#labour.isImpatient = undefined;
	}

	/** Closes the connection when queued writes have ended. Later calls are refused. */
	end(): Promise<void> {
		return this.#inTurn(async () => {
			const db = this.#db;
			this.#isEnded = true;
			// libsql closes the file when no statement is left.
			this.#statements.clear();
			try {
				await db?.close?.();
			} catch (error) {
				const failure = toStoreError(error);
				if (failure.code !== "closed") throw failure;
			}
		});
	}

	/** On a closed connection, better-sqlite3 reports that no transaction is open, and libsql still runs its statements. */
	get #open(): AnyConnection {
		const db = this.#db;
		if (db === undefined) throw new StoreError("not-open", "Call open() first: it opens the database");
		if (!this.#isEnded && db.open !== false) return db;
		this.#statements.clear();
		throw new StoreError("closed", "SQLite: The connection is not open: open the database again");
	}

	/** Whether a transaction is open. Throws if the connection is closed. */
	get isInTransaction(): boolean {
		const db = this.#open;
		return (db.isTransaction ?? db.inTransaction) === true;
	}

	/** The file of the database. Empty if the database is not a file; `undefined` if the connection is closed. */
	get file(): string | undefined {
		try {
			const databases = this.all<{ name: string; file: string | null }>("PRAGMA database_list");
			return databases.find(({ name }) => name === "main")?.file ?? "";
		} catch {
			return undefined;
		}
	}

	/** Returns all rows. Numbers that JavaScript cannot represent are rounded: they were written by hand. */
	all<Row>(sql: string, ...parameters: Value[]): Row[] {
		const rows = this.#statements.all(this.#open, sql, parameters) as Row[];
		this.#asked += costOfStatement + rows.length;
		return rows;
	}

	/** Returns the number of changed rows. */
	run(sql: string, ...parameters: Value[]): number {
		const changed = this.#statements.run(this.#open, sql, parameters);
		this.#asked += costOfStatement + changed;
		return changed;
	}

	/**
	 * Runs a statement that may fail because a lock is not available. A failed statement of libsql stays active, so
	 * that no transaction can end until it runs again; statements run by `exec` do not stay active.
	 */
	#control(sql: string): void {
		const db = this.#open;
		if (db.pragma !== undefined && db.exec !== undefined) db.exec(sql);
		else this.run(sql);
	}

	/** Runs a read in one snapshot of the database. */
	read<T>(work: () => T): Promise<T> {
		return this.#persist(() => {
			this.#isLocked = false;
			const result = this.#inTransaction("BEGIN", work);
			if (this.#isLocked) this.commits++;
			return result;
		});
	}

	/**
	 * Lets the work of {@link read} write from now on. `false`: another connection writes, or a {@link write} is
	 * before it.
	 *
	 * @param lock a statement that needs the write lock and changes nothing: see #control
	 */
	tryLock(lock: string): boolean {
		if (this.#last !== undefined) return false;
		try {
			this.#control(lock);
			return this.#isLocked = true;
		} catch (error) {
			if (toStoreError(error).code === "busy") return false;
			throw error;
		}
	}

	/** Runs a write in one commit. Writers run in the order of their calls. */
	write<T>(work: () => T): Promise<T> {
		const since = performance.now();
		const commit = () => {
			const result = this.#inTransaction("BEGIN IMMEDIATE", work);
			this.commits++;
			return result;
		};
		return this.#inTurn(() => this.#persist(commit, since));
	}

	/**
	 * Runs a work as a part of the caller's own transaction, completely or not at all, synchronously.
	 *
	 * @param lock a statement that needs the write lock and changes nothing: see #control
	 */
	inside<T>(tx: unknown, work: () => T, lock: string): T {
		if (tx !== this.#open) throw new TypeError(`"tx" must be the connection of the store`);
		try {
			if (!this.isInTransaction) throw invalidState("No transaction is open on this connection");
			return this.#inSavepoint(work, lock);
		} catch (error) {
			throw error instanceof DOMException ? error : toStoreError(error);
		}
	}

	/** See `SqliteStore.transaction`. */
	transaction<T>(work: () => T | PromiseLike<T>, onCommit: () => void): Promise<T> {
		this.#context ??= makeContext();
		const outer = this.#context?.getStore();
		if (outer !== undefined && outer === this.#current) {
			return Promise.reject(invalidState("A transaction is already open here, and SQLite has no nested transactions"));
		}
		const since = performance.now();
		return this.#inTurn(async () => {
			await this.#persist(() => this.#control("BEGIN IMMEDIATE"), since);
			const result = await this.#whileCurrent(work);
			onCommit();
			return result;
		});
	}

	async #whileCurrent<T>(work: () => T | PromiseLike<T>): Promise<T> {
		const current = this.#current = {};
		try {
			const result = await (this.#context === undefined ? work() : this.#context.run(current, work));
			await this.#persist(() => this.#commit(), performance.now(), true);
			return result;
		} catch (error) {
			this.#rollback("ROLLBACK");
			throw error;
		} finally {
			this.#current = undefined;
		}
	}

	/** After an error such as a full disk, SQLite has rolled back automatically, and the function may not have noticed. */
	#commit(): void {
		if (!this.isInTransaction) throw invalidState("The transaction ended before its function");
		this.#control("COMMIT");
	}

	#inTransaction<T>(begin: string, work: () => T): T {
		this.#control(begin);
		try {
			const result = work();
			this.#asked += costOfCommit;
			this.#control("COMMIT");
			return result;
		} catch (error) {
			this.rollbacks++;
			this.#rollback("ROLLBACK");
			throw error;
		}
	}

	#inSavepoint<T>(work: () => T, lock: string): T {
		this.#control("SAVEPOINT upkeep");
		try {
			if (this.#open.pragma !== undefined) this.#control(lock);
			return work();
		} catch (error) {
			this.#rollback("ROLLBACK TO upkeep");
			throw error;
		} finally {
			if (this.isInTransaction) this.#control("RELEASE upkeep");
		}
	}

	#rollback(how: string): void {
		try {
			if (this.isInTransaction) this.#control(how);
		} catch {
			// The caller gets the original error.
		}
	}

	/** Runs at once if no other writer is queued. */
	#inTurn<T>(work: () => Promise<T>): Promise<T> {
		const result = this.#last === undefined ? work() : this.#last.then(work);
		const leave = () => {
			if (this.#last === last) this.#last = undefined;
		};
		const last = result.then(leave, leave);
		this.#last = last;
		return result;
	}

	/** Retries while others block it: other writers up to the limit, the owner's own transaction without limit. */
	async #persist<T>(work: () => T, since: number = performance.now(), isInside = false): Promise<T> {
		for (let rest; !isInside && (rest = this.#rest());) await rest;
		for (let pause = 1;; pause = Math.min(2 * pause, longestPause)) {
			try {
				if (isInside || !this.isInTransaction) return this.#withoutWaiting(work);
				since = Infinity;
			} catch (error) {
				if (error instanceof DOMException) throw error;
				const failure = toStoreError(error);
				since = Math.min(since, performance.now());
				if (failure.code !== "busy" || performance.now() - since >= this.#patience) throw failure;
			}
			await sleep(pause);
		}
	}

	/**
	 * Calls end in the microtask in which they began, so a caller that awaits many calls in sequence would block
	 * timers and input until the last one.
	 */
	#rest(): Promise<void> | undefined {
		const labour = this.#labour ??= {
			since: performance.now(),
			rest: new Promise((resolve) =>
				soon(() => {
					this.#labour = undefined;
					this.#asked = 0;
					resolve();
				})
			),
		};
		const isTired = this.#asked > mostAtOnce && performance.now() - labour.since > longestAtOnce;
		return isTired ? labour.rest : undefined;
	}

	/**
	 * The owner may have set a busy timeout, for which SQLite would block this thread. If there is none, it is looked for once
	 * per macrotask. If there is one, it is looked for each time: a value that the owner has replaced must not come back.
	 */
	#withoutWaiting<T>(work: () => T): T {
		const labour = this.#labour;
		if (labour?.isImpatient) return work();
		const { timeout } = this.all<{ timeout: number }>("PRAGMA busy_timeout")[0]!;
		if (Number(timeout) === 0) {
			if (labour !== undefined) labour.isImpatient = true;
			return work();
		}
		this.all("PRAGMA busy_timeout = 0");
		try {
			return work();
		} finally {
			this.all(`PRAGMA busy_timeout = ${timeout}`);
		}
	}
}

function invalidState(message: string): DOMException {
	return new DOMException(message, "InvalidStateError");
}

/** All platforms of this store have it. Without it, a nested transaction would wait for itself. */
function makeContext(): Context | undefined {
	type Modules = { getBuiltinModule?(name: string): { AsyncLocalStorage: new () => Context } | undefined };
	const { process } = globalThis as { process?: Modules };
	const hooks = process?.getBuiltinModule?.("node:async_hooks");
	return hooks && new hooks.AsyncLocalStorage();
}

/**
 * One connection, which the store shares with its owner: whoever finds it free takes it, and nobody works inside
 * somebody else's transaction.
 *
 * All of the store's own work is synchronous, from its BEGIN to its COMMIT, so that nothing comes between. What it cannot
 * do at once, because the owner has a transaction open or another process writes, it tries again later: SQLite's own
 * busy handler would stop the whole event loop meanwhile.
 *
 * @module
 */

import { sleep } from "../../platform/clock.ts";
import { soon } from "../../platform/soon.ts";
import { StoreError } from "../../platform/store-error.ts";
import { toStoreError } from "./errors.ts";

/** A prepared statement, as far as a store needs it. */
export interface SqliteStatement {
	/** Runs it, and gives all rows. */
	all(...parameters: unknown[]): unknown[];
	/** Runs it, and gives how many rows it has changed. */
	run(...parameters: unknown[]): unknown;
}

/**
 * An open connection, as far as a store needs it: a `DatabaseSync` of node:sqlite, a `Database` of bun:sqlite, of better-sqlite3
 * or of libsql.
 */
export interface SqliteConnection {
	/** Compiles a statement. */
	prepare(sql: string): SqliteStatement;
	/** Whether a transaction is open, in the words of node:sqlite. */
	readonly isTransaction?: boolean;
	/** Whether a transaction is open, in the words of bun:sqlite and better-sqlite3. */
	readonly inTransaction?: boolean;
	/** Closes the connection; needed where the store has opened it. */
	close?(): unknown;
}

/** What some connections have besides. */
interface Extras {
	/** better-sqlite3: whether it is open. (node:sqlite: a method.) */
	readonly open?: unknown;
	/** Only better-sqlite3 has it, and what is like it. */
	readonly pragma?: unknown;
	exec?(sql: string): unknown;
}

/** What makes rows look the same whatever the connection was told: two of node:sqlite, one of the others. */
interface Switches {
	safeIntegers?(isOn: boolean): unknown;
	setReadBigInts?(isOn: boolean): void;
	setReturnArrays?(isOn: boolean): void;
}

/** A statement that is kept. */
interface Prepared {
	readonly statement: SqliteStatement & Switches;
	/** Whether its parameters have to be named by their numbers. */
	readonly isNamed: boolean;
}

type Value = string | number | null | Uint8Array;

/** An `AsyncLocalStorage` of `node:async_hooks`, as far as it is needed here. */
interface Context {
	run<R>(store: object, work: () => R): R;
	getStore(): object | undefined;
}

/** How many statements are kept: lists have many forms. */
const mostStatements = 200;

/** How often and how long to work, in milliseconds, before others get the event loop: few calls wait for nobody. */
const mostAtOnce = 16;
const longestAtOnce = 5;

/** The longest pause between two tries, in milliseconds. */
const longestPause = 20;

export class Connection {
	readonly #patience: number;
	readonly #statements = new Map<string, Prepared>();
	/** States: absent → (use) → open → (end, or its owner closes it) → closed. */
	#db: (SqliteConnection & Extras) | undefined;
	#isEnded = false;
	/** Whether the number of a parameter is a name to this connection. Absent: nobody has looked yet. */
	#areNumbersNames: boolean | undefined;
	/** The last of those that write, one after the other. */
	#last: Promise<unknown> | undefined;
	/** Tells who calls from inside a transaction. */
	#context: Context | undefined;
	/** The transaction that is open through {@link transaction}. */
	#current: object | undefined;
	/** What was done since the event loop was free last; absent if nothing. */
	#labour: { count: number; readonly since: number; readonly rest: Promise<void> } | undefined;
	/** Whether the transaction of the current {@link read} writes by now. */
	#isLocked = false;
	/** How many commits the store itself has made. */
	commits: number = 0;
	/** How many transactions the store itself has rolled back. */
	rollbacks: number = 0;

	/** @param patience how long to try while somebody else writes, in milliseconds */
	constructor(patience: number) {
		this.#patience = patience;
	}

	/** Works with this connection from now on. */
	use(db: SqliteConnection): void {
		this.#db = db;
		this.#areNumbersNames = undefined;
	}

	/** Closes the connection once those that write have ended. What comes later is refused. */
	end(): Promise<void> {
		return this.#inTurn(async () => {
			const db = this.#db;
			this.#isEnded = true;
			// libsql lets go of the file when nobody has a statement any more.
			this.#statements.clear();
			try {
				await db?.close?.();
			} catch (error) {
				const failure = toStoreError(error);
				if (failure.code !== "closed") throw failure;
			}
		});
	}

	/** better-sqlite3 says of a closed connection that no transaction is open, and libsql goes on with statements that it has. */
	get #open(): SqliteConnection & Extras {
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

	/**
	 * The file of the database, which others can open, and which outlives this connection. An empty text: there is none.
	 * `undefined`: the connection is closed, so nobody knows.
	 */
	get file(): string | undefined {
		try {
			const databases = this.all<{ name: string; file: string | null }>("PRAGMA database_list");
			return databases.find(({ name }) => name === "main")?.file ?? "";
		} catch {
			return undefined;
		}
	}

	/** All rows. Numbers that JavaScript cannot hold are rounded: somebody has written them by hand. */
	all<Row>(sql: string, ...parameters: Value[]): Row[] {
		const prepared = this.#prepare(sql);
		const given = argumentsOf(prepared, parameters);
		try {
			return prepared.statement.all(...given) as Row[];
		} catch (error) {
			// A statement that writes must not be run again: its rows hold numbers of ours only.
			if (!(error instanceof RangeError) || !/^\s*(SELECT|WITH)/.test(sql)) throw error;
			return readRounded(prepared.statement, given) as Row[];
		}
	}

	/** How many rows it has changed. */
	run(sql: string, ...parameters: Value[]): number {
		const prepared = this.#prepare(sql);
		const { changes } = prepared.statement.run(...argumentsOf(prepared, parameters)) as { changes: number | bigint };
		return Number(changes);
	}

	/**
	 * Where a lock may be missing. A statement of libsql that has failed for want of one is still under way, so that no
	 * transaction can end until it is run again; what `exec` runs is over.
	 */
	#control(sql: string): void {
		const db = this.#open;
		if (db.pragma !== undefined && db.exec !== undefined) db.exec(sql);
		else this.run(sql);
	}

	#prepare(sql: string): Prepared {
		const db = this.#open;
		let prepared = this.#statements.get(sql);
		if (prepared === undefined) {
			if (this.#statements.size >= mostStatements) this.#statements.clear();
			const statement: Prepared["statement"] = db.prepare(sql);
			statement.setReadBigInts?.(false);
			statement.setReturnArrays?.(false);
			statement.safeIntegers?.(false);
			prepared = { statement, isNamed: /\?\d/.test(sql) && (this.#areNumbersNames ??= takesNames(db)) };
			this.#statements.set(sql, prepared);
		}
		return prepared;
	}

	/** Sees the database at one moment. */
	read<T>(work: () => T): Promise<T> {
		return this.#persist(() => {
			this.#isLocked = false;
			const result = this.#inTransaction("BEGIN", work);
			if (this.#isLocked) this.commits++;
			return result;
		});
	}

	/**
	 * Lets the work of {@link read} write from now on. `false`: another connection writes, or a {@link write} is before it.
	 *
	 * @param lock a statement that needs the lock of those who write, and changes nothing: see #control
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

	/** One commit. Those that write do it in the order in which they asked. */
	write<T>(work: () => T): Promise<T> {
		const since = performance.now();
		return this.#inTurn(async () => {
			const result = await this.#persist(() => this.#inTransaction("BEGIN IMMEDIATE", work), since);
			this.commits++;
			return result;
		});
	}

	/**
	 * Part of the caller's own transaction, all or none: done before this returns.
	 *
	 * @param lock a statement that needs the lock of those who write, and changes nothing: see #control
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

	/** After an error such as a full disk SQLite has rolled back on its own, and the function may not have noticed. */
	#commit(): void {
		if (!this.isInTransaction) throw invalidState("The transaction ended before its function");
		this.#control("COMMIT");
	}

	#inTransaction<T>(begin: string, work: () => T): T {
		this.#control(begin);
		try {
			const result = work();
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
			// What made it necessary is what the caller has to know.
		}
	}

	/** At once if nobody is before it. */
	#inTurn<T>(work: () => Promise<T>): Promise<T> {
		const result = this.#last === undefined ? work() : this.#last.then(work);
		const leave = () => {
			if (this.#last === last) this.#last = undefined;
		};
		const last = result.then(leave, leave);
		this.#last = last;
		return result;
	}

	/** Tries until nobody is in the way: other writers up to a limit, the owner's own transaction however long it takes. */
	async #persist<T>(work: () => T, since: number = performance.now(), isInside = false): Promise<T> {
		const rest = isInside ? undefined : this.#rest();
		if (rest !== undefined) await rest;
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
	 * Each call ends in the microtask in which it began, so that a caller who awaits one after the other would keep timers and
	 * input waiting until the last.
	 */
	#rest(): Promise<void> | undefined {
		const labour = this.#labour ??= {
			count: 0,
			since: performance.now(),
			rest: new Promise((resolve) =>
				soon(() => {
					this.#labour = undefined;
					resolve();
				})
			),
		};
		const isTired = ++labour.count > mostAtOnce && performance.now() - labour.since > longestAtOnce;
		return isTired ? labour.rest : undefined;
	}

	/** The owner may have set a busy timeout, for which SQLite would wait in this very thread. */
	#withoutWaiting<T>(work: () => T): T {
		const { timeout } = this.all<{ timeout: number }>("PRAGMA busy_timeout")[0]!;
		if (Number(timeout) === 0) return work();
		this.all("PRAGMA busy_timeout = 0");
		try {
			return work();
		} finally {
			this.all(`PRAGMA busy_timeout = ${timeout}`);
		}
	}
}

/** better-sqlite3 does, and so does node:sqlite in Node 22.13 to 22.18 and later, which is found out by trying. */
function takesNames(db: SqliteConnection & Extras): boolean {
	if (db.pragma !== undefined) return true;
	try {
		db.prepare("SELECT ?1").all(0);
		return false;
	} catch {
		return true;
	}
}

/** In the form in which the driver takes them. */
function argumentsOf({ isNamed }: Prepared, values: readonly Value[]): readonly unknown[] {
	return isNamed ? [Object.fromEntries(values.map((value, index) => [index + 1, value]))] : values;
}

/** node:sqlite throws where a number is too large. */
function readRounded(statement: SqliteStatement & Switches, parameters: readonly unknown[]): unknown[] {
	statement.setReadBigInts?.(true);
	try {
		const round = (value: unknown) => typeof value === "bigint" ? Number(value) : value;
		return statement.all(...parameters).map((row) =>
			Object.fromEntries(Object.entries(row as object).map(([name, value]) => [name, round(value)]))
		);
	} finally {
		statement.setReadBigInts?.(false);
	}
}

function invalidState(message: string): DOMException {
	return new DOMException(message, "InvalidStateError");
}

/** All platforms of this store have it; where one has not, a nested transaction waits for itself. */
function makeContext(): Context | undefined {
	type Modules = { getBuiltinModule?(name: string): { AsyncLocalStorage: new () => Context } | undefined };
	const { process } = globalThis as { process?: Modules };
	const hooks = process?.getBuiltinModule?.("node:async_hooks");
	return hooks && new hooks.AsyncLocalStorage();
}

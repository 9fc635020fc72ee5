/**
 * Stores the tasks of baskets in an SQLite database, optionally in the same file as your own tables.
 *
 * It uses a connection of `node:sqlite` (Node from 22.13 on, Deno, Bun), of `bun:sqlite`, or of the packages `libsql`
 * (Node from 20 on) and `better-sqlite3` (version 13: Node from 22.14 on), and includes no driver. Several processes of
 * one machine can work on one file. For several machines use `upkeep/stores/postgres`.
 *
 * @module
 */

import type {
	Added,
	Change,
	Counts,
	Data,
	Done,
	ListQuery,
	LogEntry,
	LogRead,
	Message,
	NewTask,
	Pauses,
	Ref,
	Save,
	StoreCapabilities,
	StoredTask,
	Turn,
	TurnResult,
	WakeReason,
} from "../../basket/store.ts";
import { check, checkDelay, checkLimit } from "../../platform/check.ts";
import { checkClock, type Clock } from "../../platform/clock.ts";
import { Resource } from "../../platform/resource.ts";
import { soon } from "../../platform/soon.ts";
import { StoreError } from "../../platform/store-error.ts";
import { isGrowing, SqliteClaims } from "./claims.ts";
import { Connection } from "./connection.ts";
import { seqOfKey } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import { checkKind, checkNames } from "./data.ts";
import { toStoreError } from "./errors.ts";
import { DatabaseFile } from "./file.ts";
import { SqliteLists } from "./lists.ts";
import type { SqliteStore, SqliteStoreOptions } from "./options.ts";
import { checkVersion, create, isCurrent } from "./schema.ts";
import { nameTables, type Tables } from "./tables.ts";
import type { SqliteConnection, SqliteStatement } from "./statements.ts";
import { SqliteOverall } from "./overall.ts";
import { SqliteTurns } from "./turns.ts";
import { Watch } from "./watch.ts";

export type { SqliteConnection, SqliteStatement, SqliteStore, SqliteStoreOptions };

/** The number of listed tasks that are read before the event loop continues. */
const pageSize = 1_000;

/** The interval between checks whether the file still exists, in milliseconds. */
const lookInterval = 1_000;

/**
 * Creates a store over a connection to an SQLite database.
 *
 * | connection | in |
 * | --- | --- |
 * | `new DatabaseSync(path)` of `node:sqlite` | Node from 22.13 on, Deno, Bun |
 * | `new Database(path)` of `bun:sqlite` | Bun |
 * | `new Database(path)` of the package `libsql` | Node from 20 on; its binaries come with the package |
 * | `new Database(path)` of the package `better-sqlite3` 13 | Node from 22.14 on; its binaries come with the package |
 *
 * An open connection belongs to the caller, who can use it, and closes it when no basket runs anymore. A function
 * that opens a connection is called when the store is first opened, and again by the next `open()` if it fails;
 * `close()` of the store closes that connection. So a basket can be created before anything is awaited.
 *
 * Opening the store creates the tables; the first use of a basket opens its store. If the store opens the connection
 * itself, `capabilities` assumes a file until then: a database in memory is not durable.
 *
 * The `tx` of `add`, `save`, `complete`, `delete` and `change` is the connection itself, while a transaction is open on it. Without `tx`,
 * the store does nothing inside your transaction: it waits for its end.
 *
 * The store does not change the settings of the database. Use write-ahead logging for speed, and so that readers and
 * writers do not block each other: `PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL`. Keep this order;
 * otherwise processes that start at the same time find the database locked. `PRAGMA synchronous = NORMAL` is even
 * faster, but a power failure may then lose the last commits.
 *
 * SQLite works in the thread of its caller. The store yields to the event loop every few milliseconds: a list of more
 * than 1,000 tasks is read in parts, each at its own moment. One `add` is one commit, which blocks the event loop for
 * about a millisecond per 1,000 tasks and cannot be divided. So add large numbers of tasks in parts.
 *
 * The first task with the key of a limit adds what limits need to the tables, which takes about a second per million
 * tasks, and waits until nobody iterates over the rows of a statement of this connection. A database without limits pays
 * nothing for them. Older versions of this library refuse the changed tables.
 *
 * Names (of baskets, kinds and lanes) and ids must be well-formed text without NUL; others are refused.
 *
 * A connection of libsql keeps its file open after `close()` until its statements are garbage-collected. libsql
 * ignores the option `readonly`. If a statement of libsql fails because another connection writes, it stays active,
 * and nothing can be committed until it runs again: begin your own transactions with BEGIN IMMEDIATE, or use
 * `transaction()`.
 *
 * @param db an open connection, or a function that opens one; SQLite 3.38 or later
 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { DatabaseSync } from "node:sqlite";
 * import { sqliteStore } from "upkeep/stores/sqlite";
 *
 * const db = new DatabaseSync(":memory:"); // in Bun also new Database("tasks.db") of bun:sqlite
 * db.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)");
 * const store = sqliteStore(db);
 * await store.open();
 *
 * // The order and its mail: both are committed, or none.
 * await store.transaction(async (tx) => {
 * 	tx.exec("INSERT INTO orders VALUES (1)");
 * 	await store.add("outbox", [{ kind: "mail", payload: "order 1", delay: 0, priority: 0 }], tx);
 * });
 * assert.equal((await store.counts("outbox")).waiting, 1);
 * db.close();
 * ```
 */
export function sqliteStore<Db extends SqliteConnection>(
	db: Db | (() => Db | PromiseLike<Db>),
	options: SqliteStoreOptions = {},
): SqliteStore<Db> {
	const { prefix = "upkeep_", pollInterval = 20, busyTimeout = 10_000, clock } = check("options", options, "object");
	const isAllowed = typeof prefix === "string" && /^[a-z_]\w*$/i.test(prefix);
	check("prefix", prefix, "string", isAllowed, "letters, digits and _, beginning with no digit");
	checkLimit("pollInterval", pollInterval);
	checkDelay("busyTimeout", busyTimeout);
	if (typeof db !== "function") checkConnection("db", db);
	return new Sqlite(db, new Connection(busyTimeout), nameTables(prefix), pollInterval, checkClock(clock));
}

function checkConnection(name: string, db: SqliteConnection): void {
	const rule = `an open database, as \`new DatabaseSync("tasks.db")\` is, or a function that opens one`;
	check(`${name}.prepare`, check(name, db, "object", true, rule).prepare, "function");
}

class Sqlite<Db extends SqliteConnection> implements SqliteStore<Db> {
	readonly capabilities: StoreCapabilities;
	readonly #db: Resource<Db>;
	readonly #connection: Connection;
	readonly #tables: Tables;
	readonly #tasks: SqliteClaims;
	readonly #turns: SqliteTurns;
	readonly #lists: SqliteLists;
	readonly #watch: Watch;
	readonly #clock: Clock;
	#isOpen = false;
	/** Whether other connections can open the database, and it outlives its connection. */
	#isFile = true;
	#file: DatabaseFile | undefined;
	/** The time of the next check of the file, on the monotonic clock. */
	#lookAt = 0;

	constructor(
		db: Db | (() => Db | PromiseLike<Db>),
		connection: Connection,
		tables: Tables,
		pollInterval: number,
		clock: Clock,
	) {
		const isFile = () => this.#isFile;
		this.capabilities = {
			get durable() {
				return isFile();
			},
			get shared() {
				return isFile();
			},
			tx: true,
			clock: "machine",
		};
		this.#connection = connection;
		this.#db = typeof db === "function" ? this.#openedBy(db) : this.#given(db);
		this.#tables = tables;
		this.#tasks = new SqliteClaims(connection, tables);
		this.#turns = new SqliteTurns(this.#tasks, new SqliteOverall(connection, tables));
		this.#lists = new SqliteLists(connection, tables);
		this.#watch = new Watch(connection, tables, pollInterval);
		this.#clock = clock;
	}

	#given(db: Db): Resource<Db> {
		this.#use(db);
		return new Resource(db);
	}

	#openedBy(open: () => Db | PromiseLike<Db>): Resource<Db> {
		return new Resource<Db>(undefined, {
			open,
			use: (db) => {
				checkConnection("db()", db);
				check("db().close", db.close, "function");
				this.#use(db);
			},
			explain: toStoreError,
			end: () => this.#connection.end().finally(() => this.#watch.end()),
		});
	}

	#use(db: Db): void {
		this.#connection.use(db);
		this.#isFile = this.#connection.file !== "";
	}

	async open(): Promise<void> {
		await this.#db.open();
		const isCurrentNow = await this.#connection.read(() => isCurrent(this.#connection, this.#tables));
		if (!isCurrentNow) await this.#connection.write(() => create(this.#connection, this.#tables));
		const { file } = this.#connection;
		if (!this.#isOpen && file) this.#file = new DatabaseFile(file);
		this.#isOpen = true;
	}

	async add(basket: string, tasks: readonly NewTask[], tx?: Db): Promise<readonly Added[]> {
		checkNames(basket, tasks);
		const work = () => this.#tasks.add(basket, tasks, this.#now(), tx === undefined);
		if (tx === undefined) this.#checkOpen(); // the work looks at the version itself
		const added = tx === undefined ? await this.#connection.write(work) : this.#inside(basket, work, tx);
		if (tx === undefined) this.#watch.wake(basket);
		if (added instanceof TypeError) throw added;
		return added;
	}

	async turn(basket: string, turn: Turn): Promise<TurnResult> {
		this.#checkOpen();
		const tried = () => this.#turns.tryTurn(basket, turn, this.#now(), () => this.#connection.tryLock(this.#lock));
		const done = turn.settle.length > 0 ? undefined : await this.#connection.read(tried);
		const offspring = turn.settle.flatMap(({ children = [] }) => children);
		if (offspring.length > 0) checkNames(basket, offspring);
		const { isStirred, isClaimed, ...result } = done ??
			await this.#connection.write(() => this.#turns.turn(basket, turn, this.#now()));
		if (isStirred || isClaimed) this.#watch.wake(basket, isClaimed ? "claims" : undefined);
		return result;
	}

	async complete(basket: string, ref: Ref, done: Done, tx: Db): Promise<boolean> {
		return this.#inside(basket, () => this.#tasks.complete(basket, ref, done, this.#now()), tx);
	}

	async extend(basket: string, refs: readonly Ref[], lease: number): Promise<readonly ("ok" | "lost" | "posted")[]> {
		return this.#write(() => this.#tasks.extend(basket, refs, lease, this.#now()));
	}

	async save(basket: string, saves: readonly Save[], tx?: Db): Promise<readonly boolean[]> {
		const isGrown = saves.some(isGrowing);
		if (isGrown) checkNames(basket, saves.flatMap(({ children = [] }) => children));
		const work = () => this.#tasks.save(basket, saves, this.#now(), tx === undefined);
		if (tx !== undefined) return this.#inside(isGrown ? basket : undefined, work, tx);
		if (isGrown) return this.#change(basket, work);
		this.#checkOpen();
		return this.#connection.write(() => this.#tasks.append(basket, saves) ?? this.#ofThisVersion(work));
	}

	async log(basket: string, reads: readonly LogRead[]): Promise<readonly (readonly LogEntry[] | undefined)[]> {
		return this.#read(() => this.#tasks.log(basket, reads, this.#now()));
	}

	async get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
		return this.#read(() => this.#tasks.get(basket, id, this.#now()));
	}

	async list(basket: string, query: ListQuery): Promise<readonly StoredTask[]> {
		const { limit } = query;
		const found: StoredTask[] = [];
		let after = query.isReverse && query.after === undefined ? State.never + 1 : seqOfKey(query.after);
		while (true) {
			const most = Math.min(limit - found.length, pageSize);
			const page = { ...query, limit: most };
			const tasks = await this.#read(() => {
				const now = this.#now();
				const family = query.parent === undefined ? undefined : this.#tasks.familyOf(basket, query.parent, now);
				return this.#lists.list(basket, page, after, now, family);
			});
			for (const task of tasks) found.push(task);
			if (tasks.length < most || found.length >= limit) return found;
			after = seqOfKey(tasks.at(-1)!.key);
			await new Promise<void>(soon);
		}
	}

	async counts(basket: string): Promise<Counts> {
		return this.#read(() => this.#lists.counts(basket, this.#now()));
	}

	async delete(basket: string, ids: readonly string[], tx?: Db): Promise<readonly boolean[]> {
		const work = () => this.#tasks.delete(basket, ids, this.#now());
		if (tx !== undefined) return this.#inside(basket, work, tx).removed;
		const { removed, isClaimed } = await this.#write(work);
		this.#watch.wake(basket, isClaimed ? "claims" : undefined);
		return removed;
	}

	async change(basket: string, ids: readonly string[], change: Change, tx?: Db): Promise<readonly boolean[]> {
		const work = () => this.#tasks.change(basket, ids, change, this.#now(), tx === undefined);
		return tx === undefined ? this.#change(basket, work) : this.#inside(basket, work, tx);
	}

	async pause(basket: string, kind: string | undefined, isPaused: boolean): Promise<boolean> {
		checkKind(basket, kind);
		return this.#change(basket, () => this.#tasks.pauses.set(basket, kind, isPaused));
	}

	async pauses(basket: string): Promise<Pauses> {
		return this.#read(() => this.#tasks.pauses.get(basket));
	}

	async hasten(basket: string, within: number): Promise<number> {
		return this.#change(basket, () => this.#tasks.hasten(basket, within, this.#now()));
	}

	async post(basket: string, id: string, data: Data): Promise<boolean> {
		const { isPosted, isClaimed } = await this.#write(() => this.#tasks.post(basket, id, data, this.#now()));
		this.#watch.wake(basket, isClaimed ? "claims" : undefined);
		return isPosted;
	}

	watch(basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void): () => void {
		return this.#watch.add(basket, wake, onError);
	}

	async transaction<T>(work: (tx: Db) => T | PromiseLike<T>): Promise<T> {
		check("work", work, "function");
		const db = this.#db.value;
		return this.#connection.transaction(() => work(db), () => this.#watch.wakeTouched());
	}

	close(): Promise<void> {
		return this.#db.close();
	}

	/** Rounded, because the driver accepts only integers in STRICT columns. */
	#now(): number {
		return Math.floor(this.#clock.now());
	}

	#read<T>(work: () => T): Promise<T> {
		this.#checkOpen();
		return this.#connection.read(() => this.#ofThisVersion(work));
	}

	#write<T>(work: () => T): Promise<T> {
		this.#checkOpen();
		return this.#connection.write(() => this.#ofThisVersion(work));
	}

	/** Checks the version: a later version of this library, in another process, may have changed the tables meanwhile. */
	#ofThisVersion<T>(work: () => T): T {
		checkVersion(this.#connection, this.#tables);
		return work();
	}

	/** Makes a change after which tasks may be due. */
	async #change<T>(basket: string, work: () => T): Promise<T> {
		const result = await this.#write(work);
		this.#watch.wake(basket);
		return result;
	}

	#inside<T>(basket: string | undefined, work: () => T, tx: Db): T {
		this.#checkOpen();
		const result = this.#connection.inside(tx, () => this.#ofThisVersion(work), this.#lock);
		if (basket !== undefined) this.#watch.touch(basket);
		return result;
	}

	/** A statement that takes the write lock without a change. */
	get #lock(): string {
		return `UPDATE ${this.#tables.schema} SET version = version WHERE 0`;
	}

	#checkOpen(): void {
		if (!this.#isOpen) throw new StoreError("not-open", "Call open() first: it creates the tables");
		const now = this.#clock.monotonic();
		if (this.#file === undefined || now < this.#lookAt) return;
		if (this.#file.isGone) {
			const message = `The file ${this.#file.path} was deleted or replaced while it was open: open the database again`;
			throw new StoreError("closed", message);
		}
		this.#lookAt = now + lookInterval;
	}
}

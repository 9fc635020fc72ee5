/**
 * Stores the tasks of baskets in a Postgres database, optionally beside your own tables, for any number of processes
 * on any number of machines.
 *
 * It uses an open client of `pg`, `postgres`, Bun or pglite, and includes no driver. For a single machine, SQLite is
 * faster and needs no server: `upkeep/stores/sqlite`.
 *
 * @module
 */

import type { PostgresClient, PostgresQueryable, PostgresSql, Query } from "./client.ts";
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
	Store,
	StoreCapabilities,
	StoredTask,
	Turn,
	TurnResult,
	WakeReason,
} from "../../basket/store.ts";
import { check, checkLimit } from "../../platform/check.ts";
import { StoreError } from "../../platform/store-error.ts";
import { countsOf, seqOf, tooNew } from "../sql/sql.ts";
import { type AddAnswer, columnsOf, showAdded } from "./adding.ts";
import {
	type ClaimColumns,
	claimsIn,
	decodeText,
	duration,
	encode,
	type MessageRow,
	nameOf,
	refOf,
	showClaims,
	showLimit,
	showLog,
	showMessage,
	showRead,
	showRequest,
	showTaken,
	showTask,
	type TaskRow,
} from "./data.ts";
import { Connection, type PostgresSource } from "./connection.ts";
import { queryIn } from "./driver.ts";
import { explain, toStoreError } from "./errors.ts";
import { checkSchema, type PostgresStoreOptions } from "./options.ts";
import { again, impatiently, isLocked, oneByOne, settleAlone } from "./patience.ts";
import { changesOf, queryOf } from "./query.ts";
import { migration, quote } from "./schema.ts";
import { nameIn, version } from "./sql.ts";
import { Watch } from "./watch.ts";
import { cornersOf, isShort, showEnding, showSave } from "./writes.ts";

export type { PostgresClient, PostgresQueryable, PostgresSource, PostgresSql, PostgresStoreOptions };

/**
 * Returns the SQL that creates or updates everything that {@link postgresStore} needs, in one statement, for programs
 * whose role must not do this. The program then needs only these rights, and its `open()` changes nothing:
 *
 * ```sql
 * GRANT USAGE ON SCHEMA upkeep TO worker;
 * GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA upkeep TO worker;
 * GRANT USAGE ON ALL SEQUENCES IN SCHEMA upkeep TO worker;
 * ```
 *
 * (and `EXECUTE` on the functions if it was revoked from PUBLIC). Grant them again after an update, which may create
 * new tables.
 *
 * @param options the name of the schema
 * @throws {TypeError | RangeError} for an invalid name
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { postgresSchema } from "upkeep/stores/postgres";
 *
 * assert.match(postgresSchema({ schema: "tasks" }), /CREATE TABLE "tasks".tasks/);
 * ```
 */
export function postgresSchema(options: { readonly schema?: string | undefined } = {}): string {
	return migration(quote(checkSchema(check("options", options, "object").schema)));
}

/** A {@link Store} in a Postgres database. */
export interface PostgresStore extends Store<PostgresClient> {
	/**
	 * Ends the client if the store has opened it with the given function, when its running calls are answered. A
	 * basket that still runs ends with a `StoreError` with the code `closed`. Does nothing if a client was passed.
	 */
	close(): Promise<void>;
}

/**
 * Creates a {@link Store} over a client.
 *
 * A passed client belongs to the caller, who configures it, and closes it when no basket runs anymore. A function
 * that creates a client is called when the store is first opened, and again by the next `open()` if it fails;
 * `close()` of the store ends that client. So a basket can be created before anything is awaited.
 *
 * These clients are supported. A `tx` is a transaction object of the driver. If the transaction is rolled back, tasks
 * that were added in it do not exist.
 *
 * | client | `tx` |
 * | --- | --- |
 * | a `Pool` of pg | a client of the pool, between its `BEGIN` and `COMMIT` |
 * | a `Client` of pg, best one that nobody else uses | that `Client` |
 * | `sql` of postgres | what `sql.begin` gives |
 * | `sql` of Bun, a `new SQL()` | what `sql.begin` gives |
 * | a `PGlite` | what `transaction` gives |
 *
 * The first process that opens the store creates the schema, the tables and the functions; the first use of a basket
 * opens its store. See {@link postgresSchema} for roles that must not create them.
 *
 * Each call of the store is one statement, and nothing is prepared, so a pooler such as pgbouncer works in
 * transaction mode. Workers are notified of added tasks over one connection of the pool, with `LISTEN`. If this is
 * not possible, or notifications do not arrive (a pooler, a pool of one connection), the store polls every
 * `pollInterval`, and a running task that was deleted elsewhere ends at the next renewal of its lease.
 *
 * If a process hangs or loses its connection inside its own transaction, the tasks that it has completed, replaced,
 * changed or deleted and the lanes that it has added to stay locked until the server ends that transaction: set
 * `idle_in_transaction_session_timeout`. The store itself never waits in a circle with such a transaction. The store listens for errors of a pool, of its clients, and of a passed
 * client. So a lost connection rejects the calls on it, and never ends the process. Set `connectionTimeoutMillis` for
 * a pool of pg: otherwise an unanswered connection attempt occupies a place in the pool and prevents the pool from
 * ending. The package postgres, at least up to 3.4.9, can end the whole process when a connection is lost during a
 * write (porsager/postgres#1154) or while it is being opened; its option `fetch_types: false` avoids the latter.
 *
 * All times are those of the server. Its encoding must be UTF-8. Transactions that add to a lane or end a task of a
 * lane must be READ COMMITTED, the default; others are refused.
 *
 * @param client an open client, a pool, or a function that creates one; Postgres 13 or later
 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
 *
 * @example
 * ```ts no-run it needs a server
 * import { Pool } from "pg";
 * import { Basket } from "upkeep";
 * import { postgresStore } from "upkeep/stores/postgres";
 *
 * const pool = new Pool({ connectionString: "postgres://localhost/shop", connectionTimeoutMillis: 5_000 });
 * const outbox = new Basket({
 * 	store: postgresStore(pool),
 * 	name: "outbox",
 * 	tasks: { mail: async (to: string) => console.log("Mail to", to) },
 * });
 *
 * // The order and its mail: both are committed, or none.
 * const client = await pool.connect();
 * await client.query("BEGIN");
 * await client.query("INSERT INTO orders VALUES (1)");
 * await outbox.add("mail", "ann@example.org", { tx: client });
 * await client.query("COMMIT");
 * client.release();
 * await outbox.run();
 * ```
 */
export function postgresStore(client: PostgresSource, options: PostgresStoreOptions = {}): PostgresStore {
	const { schema, pollInterval = 1_000, timeout = 10_000 } = check("options", options, "object");
	checkLimit("pollInterval", pollInterval);
	checkLimit("timeout", timeout);
	return new Postgres(client, checkSchema(schema), pollInterval, timeout);
}

interface CallOptions {
	readonly tx?: PostgresClient | undefined;
	readonly timeout?: number | undefined;
	/** Whether the call gives up a lock early. */
	readonly isImpatient?: boolean | undefined;
}

class Postgres implements PostgresStore {
	readonly capabilities: StoreCapabilities = { durable: true, shared: true, tx: true, clock: "server", turns: 2 };
	readonly #connection: Connection;
	readonly #query: Query;
	readonly #schema: string;
	readonly #timeout: number;
	#isOpen = false;

	constructor(client: PostgresSource, schema: string, pollInterval: number, timeout: number) {
		this.#timeout = timeout;
		this.#schema = quote(schema);
		const tell = (message: string) => this.#ask(`SELECT ${this.#schema}.${nameIn("tell")}($1)`, [message]);
		this.#connection = new Connection(client, (listen) => new Watch(listen, tell, schema, pollInterval));
		this.#query = this.#connection.query;
	}

	get #watch(): Watch {
		return this.#connection.watch;
	}

	close(): Promise<void> {
		return this.#connection.close();
	}

	async open(): Promise<void> {
		await this.#connection.open();
		const found = await this.#version();
		if (found < version) await this.#ask(migration(this.#schema), []);
		if (found > version) throw tooNew(found, version);
		this.#isOpen = true;
	}

	/** The version of the tables; 0 if there are none. */
	async #version(): Promise<number> {
		const text = `SELECT version FROM ${this.#schema}.version`;
		const found = await this.#query(text, [], this.#timeout).catch((error) => {
			const failure = toStoreError(error);
			if (failure.code === "not-open") return 0;
			throw failure;
		});
		if (found === 0 || Number(found) > 0) return Number(found);
		const message =
			`The table ${this.#schema}.version does not say which version the tables are of: restore its only row`;
		throw new StoreError("corrupt", message);
	}

	async add(basket: string, tasks: readonly NewTask[], tx?: PostgresClient): Promise<readonly Added[]> {
		if (tasks.length === 0) return [];
		const isReplacing = tasks.some(({ ifPresent }) => ifPresent !== undefined);
		const isNews = isReplacing || tasks.some(({ delay }) => delay < 60_000);
		const hint = isNews && (tx !== undefined || this.#watch.mayTell(encode(basket))) ? "1" : "";
		const isImpatient = tx === undefined && tasks.length > 1 &&
			tasks.some(({ id, lane }) => (id ?? lane) !== undefined);
		const options = { tx, timeout: this.#timeout + tasks.length, isImpatient };
		const member = isReplacing ? "put" : "add";
		const columns = columnsOf(tasks, isReplacing);
		const add = () => this.#call<AddAnswer>(options, member, basket, ...columns, hint);
		return showAdded(tasks, await (isImpatient ? again(options.timeout, add) : add()));
	}

	async turn(basket: string, turn: Turn): Promise<TurnResult> {
		try {
			return await this.#turn(undefined, basket, turn);
		} catch (error) {
			if (turn.settle.length < 2 || !isLocked(error)) throw error;
		}
		const alone = (settle: Turn["settle"]) => this.#turn(undefined, basket, { ...turn, settle, claim: [] });
		const settled = await settleAlone(turn.settle, alone);
		return { ...await this.#turn(undefined, basket, { ...turn, settle: [] }), settled };
	}

	async #turn(tx: PostgresClient | undefined, basket: string, turn: Turn): Promise<TurnResult> {
		const { settle, claim, lease, limits, overall, runs = [], worker = "" } = turn;
		const areShort = settle.map(isShort);
		const short = settle.filter((_, index) => areShort[index]).map(({ ref }) => seqOf(ref));
		const others = settle.filter((_, index) => !areShort[index]);
		const wanted = claim.map((request) => showRequest(request, limits));
		const [gone, settledOthers, columns, dueIn, isStirred] = await this.#call<
			[number[] | null, boolean[], ClaimColumns[], number | null, boolean]
		>(
			...[
				...[{ tx, isImpatient: tx === undefined && settle.length > 1 }, "turn", basket] as const,
				`{${short}}`,
				others.map(showEnding),
				wanted,
				`${duration(lease)}`,
				tx === undefined ? "" : "1",
				runs.map(({ kind, most }) => ({ kind: encode(kind), most })),
				showLimit(overall),
				cornersOf(settle),
				encode(worker),
			] as const,
		);
		if (isStirred && tx === undefined) this.#watch.tell(encode(basket));
		const removed = new Set(gone);
		let next = 0;
		const settled = settle.map(({ ref }, index) => areShort[index] ? removed.has(seqOf(ref)) : settledOthers[next++]!);
		const claims = columns.flatMap(showClaims);
		if (claims.includes(undefined)) await this.#bury(basket, columns, claims);
		return { settled, ...showTaken(claims, dueIn) };
	}

	/** Makes unreadable tasks dead. */
	async #bury(basket: string, columns: readonly ClaimColumns[], claims: readonly unknown[]): Promise<void> {
		const unread = columns.flatMap(claimsIn).filter((_, index) => claims[index] === undefined);
		const e = "The stored task is damaged and cannot be read";
		const endings = unread.map((row) => ({ ...row, t: 6, d: null, e, v: "" }));
		await this.#call({}, "turn", basket, "{}", endings, [], "0", "1", []);
	}

	async complete(basket: string, ref: Ref, done: Done, tx: PostgresClient): Promise<boolean> {
		const { settled } = await this.#turn(tx, basket, { settle: [{ ref, outcome: done }], claim: [], lease: 0 });
		return settled[0]!;
	}

	async extend(basket: string, refs: readonly Ref[], lease: number): Promise<readonly ("ok" | "lost" | "posted")[]> {
		const answers = await this.#call<number[]>({}, "extend", basket, refs.map(refOf), `${duration(lease)}`);
		return answers.map((answer) => (["lost", "ok", "posted"] as const)[answer]!);
	}

	async save(basket: string, saves: readonly Save[], tx?: PostgresClient): Promise<readonly boolean[]> {
		return this.#each(tx, "save", basket, saves.map(showSave), cornersOf(saves));
	}

	async log(basket: string, reads: readonly LogRead[]): Promise<readonly (readonly LogEntry[] | undefined)[]> {
		return (await this.#call<(MessageRow[] | null)[]>({}, "log", basket, reads.map(showRead))).map(showLog);
	}

	async get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
		const row = await this.#call<[...TaskRow, MessageRow[] | null] | null>({}, "get", basket, nameOf(id));
		if (row === null) return undefined;
		const inbox = ((row.at(-1) ?? []) as MessageRow[]).map(showMessage);
		return { ...showTask(row as TaskRow), inbox };
	}

	async list(basket: string, query: ListQuery): Promise<readonly StoredTask[]> {
		return (await this.#call<TaskRow[]>({}, "list", basket, queryOf(query))).map(showTask);
	}

	async counts(basket: string): Promise<Counts> {
		return countsOf(await this.#call<[number, number][]>({ timeout: this.#timeout * 6 }, "counts", basket));
	}

	async delete(basket: string, ids: readonly string[], tx?: PostgresClient): Promise<readonly boolean[]> {
		return this.#each(tx, "remove", basket, ids.map(nameOf), tx === undefined ? "1" : "");
	}

	async change(
		basket: string,
		ids: readonly string[],
		change: Change,
		tx?: PostgresClient,
	): Promise<readonly boolean[]> {
		return this.#each(tx, "change", basket, ...changesOf(ids, change));
	}

	async pause(basket: string, kind: string | undefined, isPaused: boolean): Promise<boolean> {
		return this.#call({}, "pause", basket, [kind === undefined ? null : encode(kind)], isPaused ? "1" : "");
	}

	async pauses(basket: string): Promise<Pauses> {
		const kinds = (await this.#call<(string | null)[]>({}, "pauses", basket)).map(decodeText);
		return { all: kinds.includes(null), kinds: kinds.filter((kind) => kind !== null).sort() };
	}

	async hasten(basket: string, within: number): Promise<number> {
		return this.#call({}, "hasten", basket, `${duration(within)}`);
	}

	async post(basket: string, id: string, data: Data): Promise<boolean> {
		return this.#call({}, "post", basket, nameOf(id), encode(data));
	}

	watch(basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void): () => void {
		return this.#watch.add(encode(basket), wake, onError);
	}

	/** Calls a function of several items, which are only in a transaction of the caller inseparable. */
	#each<T, R>(tx: PostgresClient | undefined, name: string, basket: string, items: readonly T[], ...rest: string[]) {
		const call = (some: readonly T[]) => {
			const isImpatient = tx === undefined && some.length > 1;
			return this.#call<readonly R[]>({ tx, isImpatient }, name, basket, some, ...rest);
		};
		return tx === undefined ? oneByOne(items, call) : call(items);
	}

	/** Calls one of the functions. */
	async #call<T>(
		{ tx, timeout, isImpatient }: CallOptions,
		name: string,
		basket: string,
		...given: unknown[]
	): Promise<T> {
		if (!this.#isOpen) throw new StoreError("not-open", "Open the store first: this creates its tables");
		const values = given.map((value) => typeof value === "string" ? value : JSON.stringify(value));
		const places = ["basket", ...values].map((_, index) => `$${index + 1}`);
		const call = `${this.#schema}.${nameIn(name)}(${places})`;
		const text = isImpatient ? impatiently(call) : `SELECT ${call}`;
		const query = tx === undefined ? this.#query : queryIn(tx);
		return JSON.parse(await this.#ask(text, [encode(basket), ...values], query, timeout) ?? "null");
	}

	async #ask(text: string, values: string[], query: Query = this.#query, timeout: number = this.#timeout) {
		try {
			return await query(text, values, timeout);
		} catch (error) {
			if (error instanceof TypeError && query !== this.#query) throw error; // it is not a transaction
			const failure = toStoreError(error);
			// A failed transaction allows no further query, and a single connection may be that of the transaction.
			throw query === this.#query ? await explain(failure, () => this.#version(), this.#isReadOnly) : failure;
		}
	}

	readonly #isReadOnly = async (): Promise<boolean> => {
		const text = "SELECT (current_setting('transaction_read_only')::bool AND NOT pg_catalog.pg_is_in_recovery())::int4";
		return await this.#query(text, [], this.#timeout) as unknown === 1;
	};
}

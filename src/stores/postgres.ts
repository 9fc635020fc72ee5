/**
 * Keeps the tasks of baskets in a Postgres database, beside the caller's own tables if that is wanted, for any number of
 * processes on any number of machines.
 *
 * It takes an open client of `pg`, of `postgres`, of Bun or of pglite, and brings no driver. For one machine, SQLite is
 * faster and needs no server: `upkeep/stores/sqlite`.
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
	Message,
	NewTask,
	Outcome,
	Ref,
	Save,
	Settlement,
	Store,
	StoreCapabilities,
	StoredTask,
	Turn,
	TurnResult,
} from "../basket/store.ts";
import { check, checkLimit } from "../platform/check.ts";
import { StoreError } from "../platform/store-error.ts";
import {
	arrayOf,
	type ClaimColumns,
	duration,
	encode,
	encodeText,
	formsOf,
	type MessageRow,
	nameOf,
	refOf,
	showClaims,
	showCounts,
	showMessage,
	showTask,
	type TaskRow,
} from "./postgres/data.ts";
import {
	driverOf,
	type PostgresClient,
	type PostgresQueryable,
	type PostgresSql,
	type Query,
	queryIn,
} from "./postgres/driver.ts";
import { toStoreError } from "./postgres/errors.ts";
import { columns as taskColumns } from "./postgres/functions.ts";
import { migration, quote, version } from "./postgres/schema.ts";
import { mostTold, Watch } from "./postgres/watch.ts";

export type { PostgresClient, PostgresQueryable, PostgresSql };

/** What a {@link postgresStore} can be told. */
export interface PostgresStoreOptions {
	/** The schema that has the tables and functions: letters, digits and `_`. @default "upkeep" */
	schema?: string | undefined;
	/**
	 * How often to look for what others have added, in milliseconds, while somebody watches and notifications do not come
	 * through: the driver cannot listen, the connection was lost, a pooler is in between. @default 1_000
	 */
	pollInterval?: number | undefined;
	/**
	 * How long a call may take, in milliseconds: the wait for a free connection and the answer of the server. Then it rejects
	 * with a `StoreError` with the code `unavailable`, and a pool of pg gives up the connection. For each task that is added
	 * there is a millisecond more, and `counts` may take six times as long. Less than half the lease of a basket, or a lease
	 * may end before somebody notices that it was not extended. `Infinity`: as long as the driver does. @default 10_000
	 */
	timeout?: number | undefined;
}

/**
 * The SQL that makes everything a {@link postgresStore} needs, or brings it up to date, in one statement; for those whose
 * programs may not do that themselves. A program then needs these rights and no more, and its `open()` changes nothing:
 *
 * ```sql
 * GRANT USAGE ON SCHEMA upkeep TO worker;
 * GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA upkeep TO worker;
 * GRANT USAGE ON ALL SEQUENCES IN SCHEMA upkeep TO worker;
 * ```
 *
 * (and `EXECUTE` on the functions where that was taken away from everybody).
 *
 * @param options which schema
 * @throws {TypeError | RangeError} if the name is not what it must be
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

/**
 * Makes a {@link Store} of a client, which stays the caller's: to configure, and to close once no basket runs any more.
 *
 * A client is one of these. With all of them, a transaction of the caller is what the driver itself calls by that name, and
 * tasks that were added in one that is rolled back never were.
 *
 * | client | `tx` |
 * | --- | --- |
 * | a `Pool` of pg | a client of the pool, between its `BEGIN` and `COMMIT` |
 * | a `Client` of pg, best one that nobody else uses | that `Client` |
 * | `sql` of postgres | what `sql.begin` gives |
 * | `sql` of Bun, a `new SQL()` | what `sql.begin` gives |
 * | a `PGlite` | what `transaction` gives |
 *
 * Schema, tables and functions are made when the store is opened, which the first use of a basket does, by whichever
 * process comes first; see {@link postgresSchema} for roles that may not.
 *
 * Each call of the store is one statement, and nothing is prepared, so that a pooler such as pgbouncer may stand between in
 * its transaction mode. Who works hears of what others have added over one connection of the pool, with `LISTEN`; where that
 * is not possible, or nothing comes through (a pooler, a pool of one), it looks every `pollInterval` instead.
 *
 * A process that hangs, or whose line is dead, in the middle of a transaction of its own holds on to the tasks that it has
 * completed and the lanes that it has added to there until the server ends that transaction: set its
 * `idle_in_transaction_session_timeout`. The store listens for the errors of a pool and of its clients, and of a client given
 * to it, so that a lost connection rejects what was asked on it, and never ends the process. The package postgres, up to 3.4.9 at least, can end the whole process when a
 * connection is lost (porsager/postgres#1154).
 *
 * All times are those of the server, whose encoding has to be UTF-8. What adds to a lane or ends a task of one has to be READ
 * COMMITTED, as transactions are by default; others are refused.
 *
 * @param client an open client, or a pool of them; Postgres 13 or later
 * @throws {TypeError | RangeError} if an argument is not what it must be
 *
 * @example
 * ```ts no-run it needs a server
 * import { Pool } from "pg";
 * import { Basket } from "upkeep";
 * import { postgresStore } from "upkeep/stores/postgres";
 *
 * const pool = new Pool({ connectionString: "postgres://localhost/shop" });
 * const outbox = new Basket({
 * 	store: postgresStore(pool),
 * 	name: "outbox",
 * 	tasks: { mail: async (to: string) => console.log("Mail to", to) },
 * });
 *
 * // The order and its mail: both or none.
 * const client = await pool.connect();
 * await client.query("BEGIN");
 * await client.query("INSERT INTO orders VALUES (1)");
 * await outbox.add("mail", "ann@example.org", { tx: client });
 * await client.query("COMMIT");
 * client.release();
 *
 * await outbox.run();
 * ```
 */
export function postgresStore(client: PostgresClient, options: PostgresStoreOptions = {}): Store<PostgresClient> {
	const { schema, pollInterval = 1_000, timeout = 10_000 } = check("options", options, "object");
	checkLimit("pollInterval", pollInterval);
	checkLimit("timeout", timeout);
	return new Postgres(client, checkSchema(schema), pollInterval, timeout);
}

function checkSchema(schema = "upkeep"): string {
	const isAllowed = /^(?!pg_)[a-z_]\w{0,62}$/i.test(schema);
	return check(
		"schema",
		schema,
		"string",
		isAllowed,
		"at most 63 letters, digits and _, beginning with no digit and not with pg_",
	);
}

class Postgres implements Store<PostgresClient> {
	readonly capabilities: StoreCapabilities = { durable: true, shared: true, tx: true, clock: "server" };
	readonly #query: Query;
	readonly #schema: string;
	readonly #timeout: number;
	readonly #watch: Watch;
	#isOpen = false;

	constructor(client: PostgresClient, schema: string, pollInterval: number, timeout: number) {
		const { query, listen } = driverOf(client);
		this.#query = query;
		this.#timeout = timeout;
		this.#schema = quote(schema);
		const tell = (message: string) =>
			this.#ask(`SELECT pg_notify($1, left($2, ${mostTold + 1}))::text`, [schema, message]);
		this.#watch = new Watch(listen, tell, schema, pollInterval);
	}

	async open(): Promise<void> {
		const found = await this.#version();
		if (found < version) await this.#ask(migration(this.#schema), []);
		if (found > version) {
			const message = `The tables are of version ${found}, and this library knows those up to ${version}: update it`;
			throw new StoreError("newer-schema", message);
		}
		this.#isOpen = true;
	}

	/** 0: there are no tables. */
	async #version(): Promise<number> {
		try {
			return Number(await this.#ask(`SELECT version FROM ${this.#schema}.version`, []));
		} catch (error) {
			if ((error as StoreError).code === "not-open") return 0;
			throw error;
		}
	}

	async add(basket: string, tasks: readonly NewTask[], tx?: PostgresClient): Promise<readonly Added[]> {
		if (tasks.length === 0) return [];
		const hasIds = tasks.some(({ id }) => id !== undefined);
		const isNews = tasks.some(({ delay }) => delay < 60_000);
		const [blocks, seqs] = await this.#call<[number[], number[] | null]>(
			...[tx, "add", basket] as const,
			arrayOf(tasks.map(({ kind }) => encode(kind))),
			hasIds ? arrayOf(tasks.map(({ id }) => encodeText(id))) : "",
			arrayOf(tasks.map(({ lane }) => encodeText(lane))),
			`{${tasks.map(({ priority }) => priority)}}`,
			`{${tasks.map(({ delay }) => duration(delay))}}`,
			arrayOf(tasks.map(({ payload }) => encode(payload))),
			isNews && (tx !== undefined || this.#watch.mayTell(encode(basket))) ? "1" : "",
		);
		const there = seqs && new Set(seqs);
		return tasks.map(({ id }, index) => {
			const seq = blocks[Math.floor(index / 1024)]! * 1024 + index % 1024;
			return { id: id ?? `_${seq}`, added: there?.has(seq) ?? true };
		});
	}

	turn(basket: string, turn: Turn): Promise<TurnResult> {
		return this.#turn(undefined, basket, turn);
	}

	async #turn(tx: PostgresClient | undefined, basket: string, { settle, claim, lease }: Turn): Promise<TurnResult> {
		const plain = settle.filter(isPlain).map(({ ref }) => seqOf(ref));
		const others = settle.filter((settlement) => !isPlain(settlement));
		const wanted = claim.map(({ kinds, limit }) => [Math.min(limit, 1_000_000), kinds.map(encode)]);
		const [gone, settledOthers, columns, dueIn, isStirred] = await this.#call<
			[number[] | null, boolean[], ClaimColumns[], number | null, boolean]
		>(
			...[
				tx,
				"turn",
				basket,
				`{${plain}}`,
				others.map(endingOf),
				wanted,
				`${duration(lease)}`,
				tx === undefined ? "" : "1",
			] as const,
		);
		if (isStirred && tx === undefined) this.#watch.tell(encode(basket));
		const removed = new Set(gone);
		let next = 0;
		const settled = settle.map((settlement) =>
			isPlain(settlement) ? removed.has(seqOf(settlement.ref)) : settledOthers[next++]!
		);
		const claims = columns.flatMap(showClaims);
		if (claims.includes(undefined)) await this.#bury(basket, columns, claims);
		const given = claims.filter((claim) => claim !== undefined);
		const pause = dueIn !== null && dueIn <= 0 && given.length === 0 ? 20 : 0;
		return { settled, claims: given, dueIn: Math.max(pause, dueIn ?? Infinity) };
	}

	/** Those that cannot be read end as dead. */
	async #bury(basket: string, columns: readonly ClaimColumns[], claims: readonly unknown[]): Promise<void> {
		const rows = columns.flatMap(([s, i, , , , , , a, , n]) => s.map((s, at) => ({ s, i: i[at], n: n[at], a: a[at] })));
		const unread = rows.filter((_, index) => claims[index] === undefined);
		const e = "The stored task is damaged and cannot be read";
		const endings = unread.map((row) => ({ ...row, t: 6, d: null, e, v: "" }));
		await this.#call(undefined, "turn", basket, "{}", endings, [], "0", "1");
	}

	async complete(basket: string, ref: Ref, done: Done, tx: PostgresClient): Promise<boolean> {
		const { settled } = await this.#turn(tx, basket, { settle: [{ ref, outcome: done }], claim: [], lease: 0 });
		return settled[0]!;
	}

	async extend(basket: string, refs: readonly Ref[], lease: number): Promise<readonly ("ok" | "lost" | "posted")[]> {
		const answers = await this.#call<number[]>(undefined, "extend", basket, refs.map(refOf), `${duration(lease)}`);
		return answers.map((answer) => (["lost", "ok", "posted"] as const)[answer]!);
	}

	async save(basket: string, saves: readonly Save[], tx?: PostgresClient): Promise<readonly boolean[]> {
		const rows = saves.map(({ ref, payload, progress, seen }) => ({
			...refOf(ref),
			v: payload === undefined ? undefined : encode(payload),
			g: encodeText(progress),
			m: seen,
		}));
		return this.#call(tx, "save", basket, rows);
	}

	async get(basket: string, id: string): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
		const { s, i } = nameOf(id);
		const found = await this.#read<[...TaskRow, MessageRow[] | null][]>(
			`SELECT json_agg(json_build_array(${taskColumns}, (
				SELECT json_agg(json_build_array(n, data) ORDER BY n) FROM ${this.#schema}.messages WHERE task = seq AND n > seen
			)))::text FROM ${this.#schema}.tasks WHERE basket = $1 AND (id = $2 OR seq = $3::bigint AND id IS NULL)`,
			...[encode(basket), i, `${s}`],
		);
		const [row] = found;
		return row &&
			{ ...showTask(row as unknown as TaskRow), inbox: ((row.at(-1) ?? []) as MessageRow[]).map(showMessage) };
	}

	async list(basket: string, { state, kind, after = "0", limit }: ListQuery): Promise<readonly StoredTask[]> {
		const forms = state === undefined ? [] : formsOf(state);
		const wanted = [
			...(state === undefined ? [] : [`state IN (${forms})`]),
			...(forms[0]! > 3 ? ["state > 3"] : []),
			...(kind === undefined ? [] : ["kind = $4"]),
		];
		const rows = await this.#read<TaskRow[]>(
			`SELECT json_agg(json_build_array(${taskColumns}) ORDER BY seq)::text FROM (
				SELECT * FROM ${this.#schema}.tasks WHERE ${["basket = $1 AND seq > $2::bigint", ...wanted].join(" AND ")}
				ORDER BY seq LIMIT $3::bigint
			) t`,
			...[
				encode(basket),
				`${Number(after)}`,
				`${Math.min(limit, 1_000_000)}`,
				...(kind === undefined ? [] : [encode(kind)]),
			],
		);
		return rows.map(showTask);
	}

	async counts(basket: string): Promise<Counts> {
		return showCounts(
			await this.#read<[state: number, count: number][]>(
				`SELECT json_agg(json_build_array(state, count))::text FROM (
					SELECT state, count(*) FROM ${this.#schema}.tasks WHERE basket = $1 GROUP BY state
				) t`,
				encode(basket),
			),
		);
	}

	async delete(basket: string, ids: readonly string[]): Promise<readonly boolean[]> {
		return this.#call(undefined, "remove", basket, ids.map(nameOf), "1");
	}

	async change(basket: string, ids: readonly string[], change: Change): Promise<readonly boolean[]> {
		return this.#call(undefined, "change", basket, ids.map(nameOf), change);
	}

	async hasten(basket: string, within: number): Promise<number> {
		return this.#call(undefined, "hasten", basket, `${duration(within)}`);
	}

	async post(basket: string, id: string, data: Data): Promise<boolean> {
		return this.#call(undefined, "post", basket, nameOf(id), encode(data));
	}

	watch(basket: string, wake: () => void, onError: (error: unknown) => void): () => void {
		return this.#watch.add(encode(basket), wake, onError);
	}

	/** Calls one of the functions. */
	async #call<T>(tx: PostgresClient | undefined, name: string, basket: string, ...given: unknown[]): Promise<T> {
		if (!this.#isOpen) throw new StoreError("not-open", "Open the store first: only that makes its tables");
		const values = given.map((value) => typeof value === "string" ? value : JSON.stringify(value));
		const places = ["basket", ...values].map((_, index) => `$${index + 1}`);
		const query = tx === undefined ? this.#query : queryIn(tx);
		return JSON.parse(
			(await this.#ask(`SELECT ${this.#schema}.${name}(${places})`, [encode(basket), ...values], query))!,
		);
	}

	async #read<T extends unknown[]>(text: string, ...values: string[]): Promise<T> {
		if (!this.#isOpen) throw new StoreError("not-open", "Open the store first: only that makes its tables");
		return JSON.parse(await this.#ask(text, values) ?? "[]");
	}

	async #ask(text: string, values: string[], query: Query = this.#query): Promise<string | undefined> {
		try {
			return await query(text, values, this.#timeout);
		} catch (error) {
			if (error instanceof TypeError && query !== this.#query) throw error; // it is no transaction
			throw toStoreError(error);
		}
	}
}

/** Whether it is only to be removed, its id was made by the store, and it was claimed once. */
function isPlain({ ref, outcome }: Settlement): boolean {
	const seq = seqOf(ref);
	return isRemoval(outcome) && ref.id === `_${seq}` && ref.token === `${seq}.1`;
}

function isRemoval(outcome: Outcome): boolean {
	return outcome.type === "done" && !((outcome.keep ?? 0) > 0);
}

function seqOf({ token }: Ref): number {
	return Number.parseInt(token);
}

/** What the function writes; what is absent it leaves as it is. */
function endingOf({ ref, outcome }: Settlement): Record<string, unknown> {
	const v = outcome.payload === undefined ? undefined : encode(outcome.payload);
	const base = { ...refOf(ref), v };
	if (outcome.type === "release") return { ...base, t: 0, d: 0 };
	if (outcome.type === "done") return { ...base, t: isRemoval(outcome) ? -1 : 7, d: duration(outcome.keep ?? 0) };
	if (outcome.type === "later") {
		const d = outcome.delay === null ? null : duration(outcome.delay);
		return { ...base, t: 0, d, a: 0, c: 0, m: outcome.seen, k: outcome.backoff };
	}
	const { attempts: a, error } = outcome;
	const failed = { ...base, a, e: encode(error) };
	if (outcome.type === "dead") return { ...failed, t: 6, d: null };
	return { ...failed, t: outcome.hold ? 4 : 0, d: duration(outcome.delay), c: 0, k: outcome.backoff };
}

// The two drivers for the tests of faults: a store on a pool, and transactions of the caller.
import pg from "pg";
import postgres from "postgres";
import type { Store } from "../../mod.ts";
import { postgresStore } from "../../src/stores/postgres/postgres.ts";

export type DriverName = "pg" | "postgres";
export const driverNames: readonly DriverName[] = ["pg", "postgres"];

/** The options of a store. */
export type StoreOptions = Parameters<typeof postgresStore>[1];

/** A pool of connections of one driver. */
// deno-lint-ignore no-explicit-any -- each driver has transactions of its own
export interface Connected<Tx = any> {
	readonly store: Store<Tx>;
	/** Runs a function in a transaction, which commits when the function resolves. */
	transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
	/** Sends a query in `tx`. */
	ask(tx: Tx, text: string): Promise<unknown>;
	close(): Promise<void>;
}

export interface ConnectOptions {
	/** The maximum number of connections. @default 5 */
	readonly max?: number | undefined;
	/** The time limit for a connection and for an answer, in milliseconds. @default no limit for answers with `pg` */
	readonly timeout?: number | undefined;
	/** Whether the driver may prepare statements, which PgBouncer does not allow. @default true */
	readonly isPreparing?: boolean | undefined;
	readonly store?: StoreOptions | undefined;
}

export function connectPostgres(driver: DriverName, url: string, options: ConnectOptions = {}): Connected {
	return driver === "pg" ? connectPg(url, options) : connectPostgresJs(url, options);
}

function connectPg(url: string, { max = 5, timeout, store }: ConnectOptions): Connected<pg.PoolClient> {
	const limits = timeout === undefined
		? { connectionTimeoutMillis: 5_000 }
		: { connectionTimeoutMillis: timeout, query_timeout: timeout };
	const pool = new pg.Pool({ connectionString: url, max, ...limits });
	return {
		store: postgresStore(pool, store),
		async transaction(work) {
			const tx = await pool.connect();
			let isDone = false;
			try {
				await tx.query("BEGIN");
				const result = await work(tx);
				await tx.query("COMMIT");
				isDone = true;
				return result;
			} finally {
				tx.release(!isDone); // closing a connection rolls back its transaction
			}
		},
		ask: (tx, text) => tx.query(text),
		close: () => pool.end(),
	};
}

function connectPostgresJs(
	url: string,
	{ max = 5, isPreparing = true, store }: ConnectOptions,
): Connected<postgres.TransactionSql> {
	const sql = postgres(url, { max, prepare: isPreparing, onnotice: () => {} });
	return {
		store: postgresStore(sql, store),
		transaction: <T>(work: (tx: postgres.TransactionSql) => Promise<T>) => sql.begin(work) as Promise<T>,
		ask: (tx, text) => tx.unsafe(text),
		close: () => sql.end({ timeout: 1 }),
	};
}

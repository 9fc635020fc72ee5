// The two drivers, as the tests of what goes wrong use them: a store on a pool, and transactions of the caller.
import pg from "pg";
import postgres from "postgres";
import type { Store } from "../../mod.ts";
import { postgresStore } from "../../src/stores/postgres/postgres.ts";

export type DriverName = "pg" | "postgres";
export const driverNames: readonly DriverName[] = ["pg", "postgres"];

/** What a store is told besides its client. */
export type StoreOptions = Parameters<typeof postgresStore>[1];

/** A pool of connections of one driver. */
// deno-lint-ignore no-explicit-any -- each driver has transactions of its own
export interface Connected<Tx = any> {
	readonly store: Store<Tx>;
	/** Asks in a transaction, committed when the function has resolved. */
	transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
	/** Asks in `tx`. */
	ask(tx: Tx, text: string): Promise<unknown>;
	close(): Promise<void>;
}

export interface ConnectOptions {
	/** How many connections there are at most. @default 5 */
	readonly max?: number | undefined;
	/** How long to wait for a connection, and for an answer, in milliseconds. @default for an answer for ever, by `pg` */
	readonly timeout?: number | undefined;
	/** Whether statements may be prepared, which PgBouncer does not allow. @default true */
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
				tx.release(!isDone); // the end of a connection is a rollback
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

// The drivers that postgresStore() is tested with.
import pg from "pg";
import postgres from "postgres";
import type { PostgresClient } from "../../../src/stores/postgres/postgres.ts";
import type { Connections, Driver } from "./suite.ts";

export const pool: Driver = {
	name: "postgresStore() with a Pool of pg",
	async open(url) {
		const pool = new pg.Pool({ connectionString: url });
		return {
			client: pool,
			run: (sql) => pool.query(sql),
			async transaction(work) {
				const client = await pool.connect();
				try {
					await client.query("BEGIN");
					await work(client);
					await client.query("COMMIT");
				} catch (error) {
					await client.query("ROLLBACK");
					throw error;
				} finally {
					client.release();
				}
			},
			close() {
				// The server may end before it has heard that this one has gone.
				pool.on("error", () => {});
				return pool.end();
			},
		};
	},
};

/** A connection that the store shares with nobody, and another one for transactions. */
export const single: Driver = {
	name: "postgresStore() with a Client of pg",
	async open(url) {
		const client = new pg.Client({ connectionString: url });
		await client.connect();
		const other = await pool.open(url);
		const close = () => {
			client.on("error", () => {});
			return Promise.all([client.end(), other.close()]);
		};
		return { ...other, client, close };
	},
};

export const sql: Driver = {
	name: "postgresStore() with sql of postgres",
	isFragile: true,
	open: async (url) => connectionsOf(postgres(url, { onnotice: () => {} }) as unknown as Sql),
};

/** What `postgres` and Bun have in common. */
export interface Sql {
	unsafe(text: string, values?: unknown[]): PromiseLike<unknown>;
	begin(work: (tx: PostgresClient) => Promise<unknown>): Promise<unknown>;
	end(options: { timeout: number }): Promise<unknown>;
}

export function connectionsOf(sql: Sql): Connections {
	return {
		client: sql,
		run: async (text) => await sql.unsafe(text),
		transaction: (work) => sql.begin(work),
		// Without a limit, postgres waits for ever after it has lost a connection that did nothing.
		close: () => sql.end({ timeout: 1 }),
	};
}

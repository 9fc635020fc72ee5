// The drivers for the tests of postgresStore().
import pg from "pg";
import postgres from "postgres";
import type { PostgresClient } from "../../../src/stores/postgres/postgres.ts";
import { isNode } from "../../support.ts";
import type { Connections, Driver } from "./suite.ts";

export const pool: Driver = {
	name: "postgresStore() with a Pool of pg",
	isMain: isNode,
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
				// The server may end before it has noticed the end of this connection.
				pool.on("error", () => {});
				return pool.end();
			},
		};
	},
};

/** A connection that only the store uses, and another one for transactions. */
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

/** The common interface of `postgres` and Bun. */
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
		// Without a limit, postgres waits forever if it has lost an idle connection.
		close: () => sql.end({ timeout: 1 }),
	};
}

// Postgres for the tests of jobs. The processes share one pool of connections, and the server has the time of the tests.
import { postgresStore } from "../../src/stores/postgres/postgres.ts";
import type { Driver } from "../stores/postgres/suite.ts";
import { startPostgres } from "../servers/postgres.ts";
import type { OpenDatabase } from "./database.ts";

const schema = "jobs";

export function openPostgres(driver: Driver): OpenDatabase {
	return async () => {
		const server = await startPostgres();
		const { client, run, transaction, close } = await driver.open(server.url);
		await postgresStore(client, { schema }).open();
		await run(`CREATE TABLE ${schema}.lines (n bigint GENERATED ALWAYS AS IDENTITY, name text, line text);
			CREATE TABLE ${schema}.test_clock AS SELECT 0::bigint AS at;
			CREATE OR REPLACE FUNCTION ${schema}.clock() RETURNS bigint LANGUAGE sql AS 'SELECT at FROM ${schema}.test_clock'`);
		return {
			connect(_clock, name) {
				let cut = () => {};
				const isCut = new Promise<never>((_, reject) => cut = () => reject(new Error("The process has died")));
				isCut.catch(() => {});
				const open = new Set<Promise<unknown>>();
				return {
					store: postgresStore(client, { schema }),
					async write(line, work) {
						const writing = transaction(async (tx) => {
							await query(tx, `INSERT INTO ${schema}.lines (name, line) VALUES ($1, $2)`, [name, line]);
							await Promise.race([work(tx), isCut]);
						});
						open.add(writing);
						await writing.finally(() => open.delete(writing));
					},
					async lines() {
						const sql = `SELECT line FROM ${schema}.lines WHERE name = $1 ORDER BY n`;
						return (await query(client, sql, [name])).map((row) => (row as { line: string }).line);
					},
					cut() {
						cut();
						return Promise.allSettled(open);
					},
				};
			},
			setTime: async (now) => void await run(`UPDATE ${schema}.test_clock SET at = ${Math.floor(now)}`),
			async close() {
				await close();
				await server.stop();
			},
		};
	};
}

/** The query methods of the drivers. */
interface Asked {
	query?(sql: string, values: unknown[]): Promise<{ rows: unknown[] }>;
	unsafe?(sql: string, values: unknown[]): PromiseLike<unknown[]>;
}

async function query(client: unknown, sql: string, values: unknown[]): Promise<unknown[]> {
	const asked = client as Asked;
	return asked.query === undefined ? await asked.unsafe!(sql, values) : (await asked.query(sql, values)).rows;
}

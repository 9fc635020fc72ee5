// The tests of postgresStore() that need a server, for each driver.
import { afterAll, beforeAll, test } from "vitest";
import { type PostgresClient, postgresStore } from "../src/stores/postgres.ts";
import { testStore } from "../src/testing.ts";
import { type PostgresServer, startPostgres } from "./servers/postgres.ts";

/** A driver, and how to work with it. */
export interface Driver {
	/** How to call the store in titles. */
	readonly name: string;
	/** Opens one that can have several connections, as another process would. */
	open(url: string): Promise<Connections>;
}

export interface Connections {
	readonly client: PostgresClient;
	/** Runs SQL that has no parameters and maybe several statements. */
	run(sql: string): Promise<unknown>;
	transaction(work: (tx: PostgresClient) => Promise<unknown>): Promise<unknown>;
	close(): Promise<unknown>;
}

export function testPostgres(driver: Driver): void {
	let server: PostgresServer;
	let connections: Connections;
	beforeAll(async () => {
		server = await startPostgres();
		connections = await driver.open(server.url);
	});
	afterAll(async () => {
		await connections?.close();
		await server?.stop();
	});
	conformance(driver.name, () => connections, () => driver.open(server.url));
}

/** The tests of the suite use one schema, one after the other, which is several times as fast as one for each. */
export function conformance(name: string, main: () => Connections, open: () => Promise<Connections>): void {
	const schema = "suite";
	let isReady = false;
	testStore(name, async () => {
		const { client, run, transaction } = main();
		const options = { schema, pollInterval: 50 };
		const store = postgresStore(client, options);
		await store.open();
		if (!isReady) await run(stoppedClock(schema));
		isReady = true;
		const others: Connections[] = [];
		return {
			store,
			transaction,
			advance: (duration: number) => run(`UPDATE ${schema}.test_clock SET at = at + ${Math.ceil(duration)}`),
			async another() {
				const other = await open();
				others.push(other);
				const store = postgresStore(other.client, options);
				await store.open();
				return store;
			},
			async close() {
				for (const other of others) await other.close();
				await run(`TRUNCATE ${schema}.tasks, ${schema}.messages, ${schema}.lanes`);
			},
		};
	}, { test });
}

/** The time of the server, which stands still until it is moved. */
export function stoppedClock(schema: string): string {
	return `CREATE TABLE ${schema}.test_clock AS SELECT 1700000000000::bigint AS at;
		CREATE OR REPLACE FUNCTION ${schema}.clock() RETURNS bigint LANGUAGE sql AS 'SELECT at FROM ${schema}.test_clock'`;
}

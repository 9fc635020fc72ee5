// The same as postgres-pg.test.ts, over a single connection, with tests of its own.
import { afterAll, beforeAll, expect, test } from "vitest";
import pg from "pg";
import { postgresStore } from "../../../../src/stores/postgres/postgres.ts";
import { single } from "../../../stores/postgres/drivers.ts";
import { conformance, type Connections } from "../../../stores/postgres/suite.ts";
import { type PostgresServer, startPostgres } from "../../../servers/postgres.ts";

let server: PostgresServer;
let connections: Connections;

beforeAll(async () => {
	server = await startPostgres();
	connections = await single.open(server.url);
});
afterAll(async () => {
	await connections?.close();
	await server?.stop();
});

conformance(single.name, () => connections, () => single.open(server.url));

test("postgresStore() with a Client of pg waits for a transaction that is open on it", async () => {
	const client = new pg.Client({ connectionString: server.url });
	await client.connect();
	const store = postgresStore(client, { schema: "waiting" });
	await store.open();
	const task = { kind: "work", payload: "", delay: 0, priority: 0 };
	await client.query("BEGIN");
	await store.add("basket", [{ ...task, id: "inside" }], client);
	const adding = store.add("basket", [{ ...task, id: "outside" }]);
	await new Promise((resolve) => setTimeout(resolve, 30));
	await client.query("ROLLBACK");
	await adding;
	expect((await store.list("basket", { limit: 9 })).map(({ id }) => id)).toEqual(["outside"]);
	await client.end();
});

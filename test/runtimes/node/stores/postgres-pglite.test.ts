// The same as postgres-pg.test.ts, on a Postgres in this process, which has one connection.
import { PGlite } from "@electric-sql/pglite";
import { afterAll, beforeAll } from "vitest";
import { conformance, type Connections } from "../../../postgres-suite.ts";

let db: PGlite;
let connections: Connections;

beforeAll(async () => {
	db = await PGlite.create();
	connections = {
		client: db,
		run: (sql) => db.exec(sql),
		transaction: (work) => db.transaction((tx) => work(tx)),
		close: async () => {},
	};
}, 60_000);
afterAll(() => db?.close());

conformance("postgresStore() with pglite", () => connections, async () => connections);

// The same as postgres-pg.test.ts, on a Postgres in this process with one connection.
import { PGlite } from "@electric-sql/pglite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { postgresStore } from "../../../../src/stores/postgres/postgres.ts";
import { conformance, type Connections } from "../../../stores/postgres/suite.ts";

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

test("postgresStore() of a function ends a PGlite in close()", async () => {
	const made: PGlite[] = [];
	const store = postgresStore(async () => {
		made.push(await PGlite.create());
		return made[0]!;
	});
	await store.open();
	const stop = store.watch!("basket", () => {}, () => {});
	expect((await store.counts("basket")).waiting).toBe(0);
	await store.close();
	stop();
	expect([made.length, made[0]!.closed]).toEqual([1, true]);
	await expect(store.counts("basket")).rejects.toMatchObject({ name: "StoreError", code: "closed" });
}, 60_000);

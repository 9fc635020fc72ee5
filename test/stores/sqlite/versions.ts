// The tables of earlier versions of sqliteStore().
import { expect, test } from "vitest";
import { sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { VirtualClock } from "../../../src/testing/testing.ts";
import { errorOf } from "../../support.ts";
import { type Database, inFile, type Open } from "./suite.ts";

const now = 1_700_000_000_000;
const lease = 30_000;
const kinds = ["work"];

/** The statements of version 4, with one task in each state. */
const version4 = `
	CREATE TABLE upkeep_schema (version INTEGER NOT NULL, seq INTEGER NOT NULL, news INTEGER NOT NULL DEFAULT 0) STRICT;
	CREATE TABLE upkeep_tasks (
		seq INTEGER PRIMARY KEY CHECK (seq BETWEEN 1 AND 9007199254740991),
		basket TEXT NOT NULL,
		kind TEXT NOT NULL,
		id TEXT,
		lane TEXT,
		priority INTEGER NOT NULL CHECK (abs(priority) <= 100),
		state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 7),
		due INTEGER NOT NULL,
		gone INTEGER,
		added INTEGER NOT NULL,
		attempts INTEGER NOT NULL DEFAULT 0,
		crashes INTEGER NOT NULL DEFAULT 0,
		claims INTEGER NOT NULL DEFAULT 0,
		posted INTEGER NOT NULL DEFAULT 0,
		seen INTEGER NOT NULL DEFAULT 0,
		backoff INTEGER NOT NULL DEFAULT 0,
		error TEXT,
		progress TEXT,
		payload ANY NOT NULL
	) STRICT;
	CREATE INDEX upkeep_tasks_claimable ON upkeep_tasks (basket, state, kind, priority DESC, due) WHERE state < 2;
	CREATE INDEX upkeep_tasks_lane ON upkeep_tasks (basket, lane) WHERE lane IS NOT NULL AND state < 6;
	CREATE INDEX upkeep_tasks_aside ON upkeep_tasks (basket, state, kind) WHERE state > 2;
	CREATE INDEX upkeep_tasks_kept ON upkeep_tasks (basket, gone, state) WHERE gone IS NOT NULL;
	CREATE UNIQUE INDEX upkeep_tasks_id ON upkeep_tasks (basket, id) WHERE id IS NOT NULL;
	CREATE INDEX upkeep_tasks_backoff ON upkeep_tasks (basket) WHERE backoff = 1;
	CREATE TABLE upkeep_blocks (
		basket TEXT NOT NULL,
		kind TEXT NOT NULL,
		block INTEGER NOT NULL,
		PRIMARY KEY (basket, kind, block)
	) STRICT, WITHOUT ROWID;
	CREATE TABLE upkeep_messages (
		task INTEGER NOT NULL,
		n INTEGER NOT NULL,
		data ANY NOT NULL,
		PRIMARY KEY (task, n)
	) STRICT, WITHOUT ROWID;
	INSERT INTO upkeep_schema VALUES (4, 108, 0);
	INSERT INTO upkeep_blocks VALUES ('b', 'work', 0);
	INSERT INTO upkeep_tasks VALUES
		(1, 'b', 'work', NULL, NULL, 0, 0, ${now}, NULL, ${now}, 0, 0, 0, 0, 0, 0, NULL, NULL, '1'),
		(2, 'b', 'work', 'running', NULL, 5, 1, ${now + lease}, NULL, ${now}, 1, 0, 3, 1, 0, 0, 'x', '[1]', X'02'),
		(3, 'b', 'work', 'head', 'l', 0, 4, ${now}, NULL, ${now}, 0, 0, 0, 0, 0, 0, NULL, NULL, '3'),
		(4, 'b', 'work', 'blocked', 'l', 0, 2, ${now}, NULL, ${now}, 0, 0, 0, 0, 0, 0, NULL, NULL, '4'),
		(5, 'b', 'work', 'dead', 'l', 0, 6, 9007199254740991, NULL, ${now}, 3, 0, 1, 0, 0, 0, 'x', NULL, '5'),
		(6, 'b', 'work', 'done', NULL, 0, 7, ${now + 1000}, ${now + 1000}, ${now}, 0, 0, 1, 0, 0, 0, NULL, NULL, '6'),
		(7, 'b', 'work', 'over', NULL, 0, 7, ${now - 1}, ${now - 1}, ${now}, 0, 0, 1, 0, 0, 0, NULL, NULL, '7');
	INSERT INTO upkeep_messages VALUES (2, 1, 'message');
`;

/** Writes the tables of version 4 into a new file. */
function old(make: Open): { connect(): Database; close(): void } {
	const file = inFile(make);
	const db = file.connect();
	for (const sql of version4.split(";\n").filter((sql) => sql.trim() !== "")) db.exec(sql);
	return file;
}

/** The columns of all tables, and the columns and conditions of all indexes. */
function shapeOf(db: Database): unknown[] {
	const parts = db.prepare("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").all();
	return (parts as { type: string; name: string; sql: string }[]).map(({ type, name, sql }) => [
		name,
		type === "index" ? sql : db.prepare(`SELECT * FROM pragma_table_info('${name}')`).all(),
	]);
}

/** @param make opens a database */
export function testVersions(make: Open): void {
	test("sqliteStore().open() migrates the tables of version 4, with all tasks", async () => {
		const { connect, close } = old(make);
		const db = connect();
		const clock = new VirtualClock({ now });
		const store = sqliteStore(db, { clock });
		await store.open();
		const fresh = make(":memory:");
		await sqliteStore(fresh).open();
		expect(shapeOf(db)).toEqual(shapeOf(fresh));
		const ids = ["_1", "running", "head", "blocked", "dead", "done"];
		expect((await store.list("b", { limit: 99 })).map(({ id }) => id)).toEqual(ids);
		expect((await store.list("b", { lane: "l", limit: 99 })).map(({ id }) => id)).toEqual(["head", "blocked", "dead"]);
		expect(await store.counts("b")).toEqual({ waiting: 2, running: 1, held: 1, dead: 1, done: 1 });
		const running = {
			state: "running",
			payload: Uint8Array.of(2),
			attempts: 1,
			error: "x",
			progress: "[1]",
			result: undefined,
		};
		expect(await store.get("b", "running")).toMatchObject({ ...running, inbox: [{ n: 1, data: "message" }] });
		const replacing = { kind: "work", payload: "new", delay: 0, priority: 0, ifPresent: "replace" } as const;
		await store.add("b", [{ ...replacing, id: "running" }, { ...replacing, id: "done" }]);
		const ref = { id: "running", token: "2.3" };
		expect(await store.save("b", [{ ref, log: { after: 0, entries: ["1", "2"] } }])).toEqual([true]);
		expect(await store.log("b", [{ ...ref, after: 1, limit: 9 }])).toEqual([[{ n: 2, data: "2" }]]);
		const outcome = { type: "done" } as const;
		const turn = await store.turn("b", { settle: [{ ref, outcome }], claim: [{ kinds, limit: 9 }], lease });
		expect(turn.settled).toEqual([true]);
		expect(turn.claims.map(({ id, payload }) => [id, payload])).toEqual([["_1", "1"], ["running", "new"], [
			"done",
			"new",
		]]);
		fresh.close();
		close();
	});

	test("sqliteStore().open() of many connections at once migrates the tables once", async () => {
		const { connect, close } = old(make);
		const stores = Array.from({ length: 10 }, () => sqliteStore(connect(), { clock: new VirtualClock({ now }) }));
		await Promise.all(stores.map((store) => store.open()));
		for (const store of stores) expect((await store.list("b", { limit: 99 })).length).toBe(6);
		close();
	});

	test("sqliteStore() says that tables of version 4 have to be opened again, and changes nothing if it cannot migrate", async () => {
		const { connect, close } = old(make);
		const db = connect();
		db.exec("CREATE TABLE upkeep_pauses (other)");
		const before = shapeOf(db);
		expect(await errorOf(sqliteStore(connect()).open())).toMatchObject({ name: "StoreError", code: "corrupt" });
		expect(shapeOf(db)).toEqual(before);
		db.exec("DROP TABLE upkeep_pauses");
		const store = sqliteStore(db);
		await store.open();
		db.exec("UPDATE upkeep_schema SET version = 4"); // as if a backup was restored
		const error = await errorOf(store.counts("b"));
		expect(error).toMatchObject({ name: "StoreError", code: "refused" });
		expect(String(error)).toMatch(/version 4: open the store again/);
		close();
	});
}

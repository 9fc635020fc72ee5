// Children and joins in sqliteStore(): when their tables exist, what a turn writes, and what is counted of changes by hand.
import { expect, test } from "vitest";
import type { Claim, Data } from "../../../src/basket/store.ts";
import { type SqliteStore, sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { VirtualClock } from "../../../src/testing/testing.ts";
import type { Database, Open } from "./suite.ts";

const kinds = ["work"];
const lease = 30_000;

function task(id: string, kind = "work") {
	return { id, kind, payload: "1", delay: 0, priority: 0 };
}

async function claim(store: SqliteStore<Database>, kind = "work"): Promise<readonly Claim[]> {
	return (await store.turn("b", { settle: [], claim: [{ kinds: [kind], limit: 200 }], lease })).claims;
}

/** A parent, whose join has these children. */
async function setUp(open: Open, ids: readonly string[], before?: (store: SqliteStore<Database>) => Promise<unknown>) {
	const db = open(":memory:");
	const store = sqliteStore(db, { clock: new VirtualClock({ now: 1_700_000_000_000 }) });
	await store.open();
	await before?.(store);
	await store.add("b", [task("parent", "parent")]);
	const [ref] = await claim(store, "parent");
	const children = ids.map((id) => ({ ...task(id), join: "j" }));
	const joinOfAll = { name: "j", left: ids.length, spare: 1, data: "joined" };
	await store.save("b", [{ ref: ref!, children, join: joinOfAll }]);
	return { db, store };
}

async function inboxOf(store: SqliteStore<Database>): Promise<Data[] | undefined> {
	return (await store.get("b", "parent"))?.inbox.map(({ data }) => data);
}

export function testFamilies(open: Open): void {
	test("sqliteStore() has tables for children when there are some, before and after those for limits", async () => {
		const limited = (store: SqliteStore<Database>) => store.add("limits", [{ ...task("limited"), limitKey: "k" }]);
		for (const isFirst of [true, false]) {
			const { db, store } = await setUp(open, ["a", "c"], isFirst ? limited : undefined);
			const version = () => db.prepare("SELECT version FROM upkeep_schema").all();
			expect(version()).toMatchObject([{ version: isFirst ? 8 : 7 }]);
			if (!isFirst) await limited(store);
			expect(version()).toMatchObject([{ version: 8 }]);
			const [a, c] = await claim(store);
			await store.change("b", ["c"], "hold");
			const ended = { type: "done", retain: lease } as const;
			await store.turn("b", { settle: [{ ref: a!, outcome: ended }], claim: [], lease });
			expect(await store.counts("b")).toEqual({ waiting: 0, running: 2, held: 0, dead: 0, done: 1 });
			const overall = { atOnce: 2, spacing: 0, burst: 1 };
			await store.add("b", [task("next")]);
			const turn = { settle: [], claim: [{ kinds, limit: 9 }], lease, overall };
			expect((await store.turn("b", turn)).claims).toEqual([]);
			await store.turn("b", { settle: [{ ref: c!, outcome: ended }], claim: [], lease });
			expect((await store.list("b", { limit: 9 })).map(({ id }) => id)).toEqual(["parent", "next"]);
			expect(await inboxOf(store)).toEqual(["joined"]);
		}
	});

	test("sqliteStore().turn() claims no child that was damaged by hand, and its join counts it", async () => {
		const { db, store } = await setUp(open, ["a", "b", "c"]);
		db.exec("UPDATE upkeep_tasks SET attempts = -1 WHERE id IN ('a', 'b')");
		expect((await claim(store)).map(({ id }) => id)).toEqual(["c"]);
		expect((await store.list("b", { parent: "parent", state: "dead", limit: 9 })).map(({ id }) => id)).toEqual([
			"a",
			"b",
		]);
		expect(await inboxOf(store)).toEqual(["joined"]);
	});

	test("sqliteStore().turn() counts children that were deleted or ended by hand", async () => {
		for (const change of ["DELETE FROM upkeep_tasks", "UPDATE upkeep_tasks SET state = 6"]) {
			const { db, store } = await setUp(open, ["a", "b"]);
			db.exec(`${change} WHERE id IN ('a', 'b')`);
			await store.turn("b", { settle: [], claim: [{ kinds: ["parent"], limit: 1 }], lease });
			await store.add("b", [task("other")]);
			await claim(store);
			expect(await inboxOf(store)).toEqual(["joined"]);
		}
	});

	test("sqliteStore() leaves no row of a family behind when its parent is gone", async () => {
		const { db, store } = await setUp(open, Array.from({ length: 300 }, (_, n) => `child ${n}`));
		await claim(store);
		await store.delete("b", ["parent"]);
		for (let turn = 0; turn < 4; turn++) await store.turn("b", { settle: [], claim: [], lease });
		for (const table of ["tasks", "families", "joins", "messages"]) {
			expect([table, db.prepare(`SELECT * FROM upkeep_${table}`).all()]).toEqual([table, []]);
		}
	});
}

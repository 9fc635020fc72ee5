// The logs of tasks in sqliteStore(): which rows they write, that none of them is left behind, and what becomes of
// entries that were edited by hand.
import { expect, test } from "vitest";
import type { Claim, Data, NewTask, Outcome, Ref } from "../../../src/basket/store.ts";
import { type SqliteStore, sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { VirtualClock } from "../../../src/testing/testing.ts";
import { spyOnStatements } from "./spy.ts";
import type { Database, Open } from "./suite.ts";

const kinds = ["work"];
const lease = 30_000;
const dead: Outcome = { type: "dead", attempts: 1, error: "x" };

interface Scene {
	readonly db: Database;
	readonly store: SqliteStore<Database>;
	readonly clock: VirtualClock;
	/** The statements about the table of logs. */
	readonly asked: string[];
}

async function setUp(open: Open, isSpied = true): Promise<Scene> {
	const db = open(":memory:");
	const asked: string[] = [];
	const clock = new VirtualClock({ now: 1_700_000_000_000 });
	const spy = spyOnStatements(db, (sql) => {
		// A claim looks only if the task has a log.
		if (/upkeep_log\b/.test(sql) && !sql.includes("iif(log IS NULL, NULL, (SELECT max(n)")) asked.push(sql);
	});
	const store = sqliteStore(isSpied ? spy : db, { clock });
	await store.open();
	asked.length = 0;
	return { db, store, clock, asked };
}

function task(id: string | undefined, fields: Partial<NewTask> = {}): NewTask {
	return { id, kind: "work", payload: "1", delay: 0, priority: 0, ...fields };
}

async function claim(store: SqliteStore<Database>, limit = 9): Promise<readonly Claim[]> {
	return (await store.turn("b", { settle: [], claim: [{ kinds, limit }], lease })).claims;
}

async function settle(store: SqliteStore<Database>, ref: Ref, outcome: Outcome): Promise<void> {
	const { settled } = await store.turn("b", { settle: [{ ref, outcome }], claim: [], lease });
	expect(settled).toEqual([true]);
}

async function append(store: SqliteStore<Database>, ref: Ref, after: number, ...entries: Data[]): Promise<boolean> {
	return (await store.save("b", [{ ref, log: { after, entries } }]))[0]!;
}

async function dataOf(store: SqliteStore<Database>, id: string): Promise<Data[] | undefined> {
	const [entries] = await store.log("b", [{ id, after: 0, limit: Infinity }]);
	return entries?.map(({ data }) => data);
}

function rowsOf(db: Database, table: string): unknown[] {
	return db.prepare(`SELECT * FROM ${table}`).all();
}

/** Lets changes of a table fail. */
function forbid(db: Database, table: string, event: string): void {
	db.exec(`CREATE TRIGGER no_${event} BEFORE ${event} ON ${table} BEGIN SELECT RAISE(ABORT, 'forbidden'); END`);
}

/** The ways in which a claimed task and its log are removed. */
const removals: Record<string, (scene: Scene, ref: Claim) => Promise<unknown>> = {
	done: ({ store }, ref) => settle(store, ref, { type: "done" }),
	"done with a message": async ({ store }, ref) => {
		await store.post("b", ref.id, "message");
		await settle(store, ref, { type: "done", seen: 1 });
	},
	"done in a transaction": ({ store }, ref) =>
		store.transaction((tx) => store.complete("b", ref, { type: "done" }, tx)),
	"done and kept for a time": ({ store }, ref) => settle(store, ref, { type: "done", retain: 1 }),
	"dead and kept for a time": ({ store }, ref) => settle(store, ref, { ...dead, retain: 1 }),
	deleted: ({ store }, { id }) => store.delete("b", [id]),
	"deleted in a transaction": ({ store }, { id }) => store.transaction((tx) => store.delete("b", [id], tx)),
	"retried and deleted": async ({ store }, ref) => {
		await settle(store, ref, dead);
		await store.change("b", [ref.id], "retry");
		await store.delete("b", [ref.id]);
	},
	"retried and done": async ({ store }, ref) => {
		await settle(store, ref, dead);
		await store.change("b", [ref.id], "retry");
		const [next] = await claim(store);
		await append(store, next!, 3, "4");
		await settle(store, next!, { type: "done" });
	},
	"replaced when done": async ({ store }, { id, lane, ...ref }) => {
		await settle(store, { id, lane, ...ref }, { type: "done", retain: Infinity });
		await store.add("b", [task(id, { lane, ifPresent: "replace" })]);
	},
	"replaced when dead": async ({ store }, { id, lane, ...ref }) => {
		await settle(store, { id, lane, ...ref }, dead);
		await store.add("b", [task(id, { lane, ifPresent: "replace" })]);
	},
	"added again when its time is over": async ({ store, clock }, { id, lane, ...ref }) => {
		await settle(store, { id, lane, ...ref }, { type: "done", retain: 1 });
		await clock.advance(2);
		await store.add("b", [task(id, { lane })]);
	},
};

/** @param open opens a database */
export function testLogs(open: Open): void {
	test.each(Object.entries(removals))(
		"sqliteStore() leaves no entry of a log behind when its task is removed: %s",
		async (way, remove) => {
			// Nobody adds a task again whose id the store has created.
			const made = /^(replaced|added)/.test(way) ? [] : [task(undefined)];
			for (const fields of [task("a"), task("a", { lane: "l" }), ...made]) {
				const scene = await setUp(open);
				const { db, store, clock } = scene;
				await store.add("b", [fields]);
				const [ref] = await claim(store);
				await append(store, ref!, 0, "1", "2");
				await append(store, ref!, 2, Uint8Array.of(3));
				expect(rowsOf(db, "upkeep_log").length).toBe(3);
				await remove(scene, ref!);
				await clock.advance(10);
				await claim(store);
				expect(rowsOf(db, "upkeep_log")).toEqual([]);
				if (fields.id !== undefined) expect((await dataOf(store, "a") ?? []).length).toBe(0);
				db.close();
			}
		},
	);

	test("sqliteStore().save() of entries takes one statement, and writes the row of the task only for the first ones", async () => {
		const { db, store, asked } = await setUp(open);
		await store.add("b", [task("a"), task("b")]);
		const [a, b] = await claim(store);
		await append(store, a!, 0, "1");
		forbid(db, "upkeep_tasks", "UPDATE");
		asked.length = 0;
		expect(await append(store, a!, 1, "2")).toBe(true);
		expect(asked.length).toBe(1);
		expect(await append(store, a!, 2, "3", "4", "5")).toBe(true);
		expect(asked.length).toBe(2);
		expect(await append(store, { ...a!, token: b!.token }, 5, "6")).toBe(false);
		await expect(append(store, b!, 0, "1")).rejects.toThrow(/forbidden/);
		expect([await dataOf(store, "a"), await dataOf(store, "b")]).toEqual([["1", "2", "3", "4", "5"], []]);
		db.close();
	});

	test("sqliteStore().change() of a dead task with a log writes no entry again", async () => {
		const { db, store, asked } = await setUp(open);
		await store.add("b", [task("a")]);
		const [ref] = await claim(store);
		await append(store, ref!, 0, "1", "2");
		await settle(store, ref!, dead);
		asked.length = 0;
		expect(await store.change("b", ["a"], "retry")).toEqual([true]);
		expect(asked).toEqual([]);
		expect(await dataOf(store, "a")).toEqual(["1", "2"]);
		db.close();
	});

	test("sqliteStore().turn() says of followers and of tasks with keys how many entries their logs have", async () => {
		const { db, store } = await setUp(open);
		const limits = [{ kind: "work", atOnce: 9, spacing: 0, burst: 1 }];
		const turn = { settle: [], claim: [{ kinds, limit: 9 }], lease, limits, runs: [{ kind: "work", most: 3 }] };
		await store.add("b", [...["a", "b", "c"].map((id) => task(id, { lane: "l" })), task("d", { limitKey: "k" })]);
		const { claims } = await store.turn("b", turn);
		expect(claims.map(({ logged = 0 }) => logged)).toEqual([0, 0, 0, 0]);
		const ended = claims.filter(({ id }) => id !== "b").map((ref) => {
			return { ref, outcome: { type: "release" } as const, log: { after: 0, entries: ["1", "2"] } };
		});
		const again = await store.turn("b", { ...turn, settle: ended });
		const logged = [...again.claims].sort((a, b) => a.id < b.id ? -1 : 1).map(({ id, logged = 0 }) => [id, logged]);
		expect(logged).toEqual([["a", 2], ["b", 0], ["c", 2], ["d", 2]]);
		db.close();
	});

	test("sqliteStore() never looks at logs for tasks that have none, even if others have them", async () => {
		const { db, store, clock, asked } = await setUp(open);
		await store.add("b", [task("logged")]);
		const [logged] = await claim(store);
		await append(store, logged!, 0, "1");
		asked.length = 0;
		await store.add("b", [task(undefined), task("a"), task("b", { lane: "l" }), task("c", { lane: "l" })]);
		await store.post("b", "a", "message");
		const [plain, a, b] = await claim(store);
		await store.save("b", [{ ref: plain!, progress: "1" }, { ref: a!, seen: 1 }]);
		const retained = { type: "done", retain: 1 } as const;
		const outcomes = [[plain!, { type: "done" }], [a!, retained], [b!, dead]] as const;
		const ended = outcomes.map(([ref, outcome]) => ({ ref, outcome }));
		await store.turn("b", { settle: ended, claim: [{ kinds, limit: 9 }], lease });
		await clock.advance(2);
		await claim(store);
		await store.change("b", ["b"], "retry");
		await store.add("b", [task("b", { lane: "l", ifPresent: "replace" }), task("a")]);
		await store.delete("b", ["a", "b", "c"]);
		await store.list("b", { limit: 9 });
		expect(asked).toEqual([]);
		expect((await store.list("b", { limit: 9 })).map(({ id }) => id)).toEqual(["logged"]);
		db.close();
	});

	test.each([
		...["n = 0", "n = -1", "n = 77", "n = 9007199254740993", "n = 9223372036854775807", "n = -9223372036854775808"],
		...["data = 5", "data = 1.5", "data = 1e300", "data = 9223372036854775807", "data = char(64976) || 'no JSON'"],
		...["task = 0", "task = -9223372036854775808", "task = 9223372036854775807"],
	])("sqliteStore().log() leaves out an entry that was damaged by hand, and keeps the others: %s", async (set) => {
		const { db, store } = await setUp(open, false);
		await store.add("b", [task("a"), task("b")]);
		const [a, b] = await claim(store);
		await append(store, a!, 0, "1", "2", "3");
		await append(store, b!, 0, "1", "2");
		db.exec(`UPDATE upkeep_log SET ${set} WHERE task = 1 AND n = 2`);
		const [entries] = await store.log("b", [{ id: "a", after: 0, limit: 9 }]);
		const wanted = [{ n: 1, data: "1" }, { n: 3, data: "3" }];
		expect(entries).toEqual(set === "n = 77" ? [...wanted, { n: 77, data: "2" }] : wanted);
		await settle(store, a!, { type: "release" });
		const [again] = await claim(store);
		expect(again!.logged).toBe(set === "n = 77" ? 77 : 3);
		expect(await append(store, again!, 1, "two")).toBe(true);
		expect((await dataOf(store, "a"))!.slice(0, 3)).toEqual(["1", "two", "3"]);
		expect(await append(store, b!, 2, "3")).toBe(true);
		await settle(store, again!, { type: "done" });
		expect(await dataOf(store, "b")).toEqual(["1", "2", "3"]);
		db.close();
	});

	test.each(["NULL", "0", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808"])(
		"sqliteStore() continues a log whose number in the row of its task was damaged by hand: %s",
		async (number) => {
			const { db, store } = await setUp(open, false);
			await store.add("b", [task("a"), task("other")]);
			const [ref, other] = await claim(store);
			await append(store, ref!, 0, "1");
			db.exec(`UPDATE upkeep_tasks SET log = ${number}`);
			await settle(store, other!, { type: "done" });
			expect(await dataOf(store, "a")).toEqual([]);
			expect(await store.log("b", [{ id: "a", token: ref!.token, after: 0, limit: 9 }])).toEqual([[]]);
			await settle(store, ref!, { type: "release" });
			const [next] = await claim(store);
			expect(next!.logged ?? 0).toBe(0);
			expect(await append(store, next!, 1, "2")).toBe(true);
			expect(await dataOf(store, "a")).toEqual(["1", "2"]);
			await settle(store, next!, { type: "done" });
			expect(rowsOf(db, "upkeep_log")).toEqual([]);
			db.close();
		},
	);
}

// Limits: the gates of sqliteStore(), what makes them ready, and what they cost.
import { expect, test } from "vitest";
import type { Claim, KindLimit, NewTask, Outcome } from "../../../src/basket/store.ts";
import { type SqliteStore, sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { VirtualClock } from "../../../src/testing/testing.ts";
import { errorOf } from "../../support.ts";
import { spyOnStatements } from "./spy.ts";
import { type Database, inFile, type Open } from "./suite.ts";

const lease = 30_000;
const kinds = ["work"];

interface Scene {
	readonly db: Database;
	readonly store: SqliteStore<Database>;
	readonly clock: VirtualClock;
}

async function setUp(open: Open): Promise<Scene> {
	const db = open(":memory:");
	const clock = new VirtualClock({ now: 1_700_000_000_000 });
	const store = sqliteStore(db, { clock, pollInterval: 1e9 });
	await store.open();
	return { db, store, clock };
}

function task(limitKey: string | undefined, fields: Partial<NewTask> = {}): NewTask {
	return { kind: "work", payload: "1", delay: 0, priority: 0, limitKey, ...fields };
}

function atOnce(atOnce: number, fields: Partial<KindLimit> = {}): KindLimit[] {
	return [{ kind: "work", atOnce, spacing: 0, burst: 1, ...fields }];
}

function turn(
	{ store }: Pick<Scene, "store">,
	limits: readonly KindLimit[] | undefined,
	limit = 100,
	ended: readonly Claim[] = [],
	outcome: Outcome = { type: "done" },
) {
	const settle = ended.map((ref) => ({ ref, outcome }));
	return store.turn("b", { settle, claim: limit > 0 ? [{ kinds, limit }] : [], lease, limits });
}

async function claim(
	scene: Pick<Scene, "store">,
	limits: readonly KindLimit[] | undefined,
	limit?: number,
): Promise<readonly Claim[]> {
	return (await turn(scene, limits, limit)).claims;
}

function keysOf(claims: readonly Claim[]): (string | undefined)[] {
	return claims.map(({ limitKey }) => limitKey);
}

function versionOf(db: Database): number {
	return (db.prepare("SELECT version FROM upkeep_schema").all()[0] as { version: number }).version;
}

function gatesIn(db: Database): string[] {
	const rows = db.prepare("SELECT gate FROM upkeep_gates ORDER BY gate").all() as { gate: string }[];
	return rows.map(({ gate }) => gate);
}

/** @param open opens a database */
export function testLimits(open: Open): void {
	test("sqliteStore().turn() claims at most atOnce tasks of a key, and the others when places are free", async () => {
		const scene = await setUp(open);
		const { store } = scene;
		await store.add("b", [task("a"), task("a"), task("a"), task("b"), task(undefined)]);
		const first = await turn(scene, atOnce(2));
		expect(keysOf(first.claims).map(String).sort()).toEqual(["a", "a", "b", "undefined"]);
		expect(first.dueIn).toBe(lease);
		expect(await store.counts("b")).toMatchObject({ waiting: 1, running: 4 });
		const next = await turn(scene, atOnce(2), 100, first.claims.filter(({ limitKey }) => limitKey === "a").slice(0, 1));
		expect(keysOf(next.claims)).toEqual(["a"]);
		scene.db.close();
	});

	test("sqliteStore().turn() takes the crashed tasks of a key up by priority, the end of the lease and order", async () => {
		const scene = await setUp(open);
		const ids = ["fourth", "fifth", "sixth", "second", "third", "first"];
		const tasks = ids.map((id, index) => task("a", { id, priority: [0, 0, 0, 1, 1, 2][index]! }));
		await scene.store.add("b", tasks);
		expect((await claim(scene, atOnce(9))).length).toBe(6);
		await scene.clock.advance(2 * lease);
		for (const id of ["first", "second", "third", "fourth", "fifth", "sixth"]) {
			expect((await claim(scene, atOnce(9), 1)).map(({ id }) => id)).toEqual([id]);
		}
		scene.db.close();
	});

	test("sqliteStore() has nothing for limits in a database without keys, and adds it with the first key", async () => {
		const ways: [string, (store: SqliteStore<Database>, db: Database) => Promise<unknown>][] = [
			["add", (store) => store.add("b", [task("a")])],
			["add in a transaction", (store) => store.transaction((tx) => store.add("b", [task("a")], tx))],
			["replace", (store) => store.add("b", [task("a", { id: "waiting", ifPresent: "replace" })])],
			["replace behind a claim", (store) => store.add("b", [task("a", { id: "running", ifPresent: "replace" })])],
			["release", async (store) => {
				const { claims } = await store.turn("b", { settle: [], claim: [{ kinds: ["more"], limit: 1 }], lease });
				await turn({ store }, undefined, 0, claims, { type: "release", limitKey: "a" });
			}],
		];
		for (const [way, use] of ways) {
			const { db, store, clock } = await setUp(open);
			await store.add("b", [task(undefined, { id: "running" }), task(undefined, { id: "waiting", delay: 9 })]);
			await store.add("b", [task(undefined, { kind: "more", id: "more" })]);
			await claim({ store }, atOnce(1), 1);
			expect([way, versionOf(db)]).toEqual([way, 5]);
			expect(db.prepare("SELECT * FROM sqlite_schema WHERE name LIKE '%gate%'").all()).toEqual([]);
			await use(store, db);
			expect([way, versionOf(db)]).toEqual([way, 6]);
			await clock.advance(2 * lease);
			const again = sqliteStore(db, { clock });
			await again.open();
			const all = (await store.list("b", { limit: 9 })).map(({ id }) => id);
			const { claims } = await again.turn("b", { settle: [], claim: [{ kinds: ["work", "more"], limit: 9 }], lease });
			expect(claims.map(({ id }) => id).sort()).toEqual(all.sort());
			db.close();
		}
	});

	test("sqliteStore().add() of the first key in a transaction that is rolled back leaves the tables as they were", async () => {
		const { connect, close } = inFile(open);
		const [db, other] = [connect(), connect()];
		const [store, second] = [sqliteStore(db), sqliteStore(other)];
		await Promise.all([store.open(), second.open()]);
		await store.add("b", [task(undefined, { id: "a" })]);
		const shape = () => db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").all();
		const before = shape();
		const failure = await errorOf(store.transaction(async (tx) => {
			await store.add("b", [task("k")], tx);
			throw new Error("roll back");
		}));
		expect(String(failure)).toMatch(/roll back/);
		expect([shape(), versionOf(db)]).toEqual([before, 5]);
		expect(keysOf(await claim({ store }, atOnce(1)))).toEqual([undefined]);
		// The other connection has prepared statements for the old tables, and now meets the new ones.
		await second.add("b", [task(undefined, { id: "b" })]);
		await store.transaction((tx) => store.add("b", [task("k"), task("k")], tx));
		expect(keysOf(await claim({ store: second }, atOnce(1))).map(String).sort()).toEqual(["k", "undefined"]);
		expect(await second.counts("b")).toMatchObject({ waiting: 1, running: 3 });
		close();
	});

	test("sqliteStore().turn() counts starts in time, and takes those of released tasks back", async () => {
		const scene = await setUp(open);
		const { store, clock } = scene;
		await store.add("b", Array.from({ length: 9 }, () => task("a")));
		const limits = atOnce(Infinity, { spacing: 100.5, burst: 2 });
		const first = await turn(scene, limits);
		expect([first.claims.length, first.dueIn]).toEqual([2, 101]);
		const again = await turn(scene, limits, 9, first.claims, { type: "release" });
		expect(again.claims.map(({ id }) => id)).toEqual(first.claims.map(({ id }) => id));
		await clock.advance(100);
		expect((await turn(scene, limits)).claims.length).toBe(0);
		await clock.advance(1);
		const later = await turn(scene, limits);
		expect([later.claims.length, later.dueIn]).toEqual([1, 100]);
		// This start came after that of the released task, which is not taken back then.
		const last = await turn(scene, limits, 9, again.claims.slice(0, 1), { type: "release" });
		expect([last.claims.length, last.dueIn]).toEqual([0, 100]);
		scene.db.close();
	});

	test("sqliteStore().turn() claims nothing of a shut key, and everything if its kind has no limit anymore", async () => {
		const scene = await setUp(open);
		const { store, clock } = scene;
		await store.add("b", [task("a", { id: "a" }), task("a", { id: "second" }), task("b", { id: "b" })]);
		const [ref] = await claim(scene, atOnce(1), 1);
		const outcome = { type: "retry", delay: 5_000, attempts: 1, error: "429", isKeyShut: true } as const;
		const shut = await turn(scene, atOnce(1), 9, [ref!], outcome);
		expect([keysOf(shut.claims), shut.dueIn]).toEqual([["b"], 5_000]);
		await clock.advance(4_999);
		expect((await turn(scene, atOnce(1))).dueIn).toBe(1);
		expect((await claim(scene, undefined)).map(({ id }) => id)).toEqual(["second"]);
		await clock.advance(1);
		expect((await turn(scene, atOnce(2))).claims.map(({ id }) => id)).toEqual(["a"]);
		scene.db.close();
	});

	test("sqliteStore().turn() serves keys in turn, whatever waits at each, and others with a higher priority first", async () => {
		const scene = await setUp(open);
		const { store } = scene;
		const many = (key: string, count: number, fields?: Partial<NewTask>) =>
			store.add("b", Array.from({ length: count }, () => task(key, fields)));
		await many("a", 50);
		await many("b", 3, { priority: -1 });
		await many("c", 3, { priority: 9 });
		const served: (string | undefined)[] = [];
		let claims: readonly Claim[] = [];
		for (let round = 0; round < 9; round++) {
			claims = (await turn(scene, atOnce(1), 1, claims)).claims;
			served.push(...keysOf(claims));
		}
		expect(served.sort()).toEqual(["a", "a", "a", "b", "b", "b", "c", "c", "c"]);
		await store.add("b", [task(undefined, { priority: 5, payload: "first" })]);
		const next = await turn(scene, atOnce(1), 1, claims);
		expect(next.claims.map(({ payload }) => payload)).toEqual(["first"]);
		scene.db.close();
	});

	test("sqliteStore().turn() finds due tasks behind future ones with a higher priority, and crashed ones first of all", async () => {
		const scene = await setUp(open);
		const { store, clock } = scene;
		await store.add("b", [task("a", { id: "crashed", priority: -5 })]);
		await claim(scene, atOnce(1));
		await store.add("b", [task("a", { id: "future", priority: 7, delay: 90_000 }), task("a", { id: "due" })]);
		expect((await turn(scene, atOnce(1))).dueIn).toBe(lease);
		await clock.advance(lease);
		const found = await turn(scene, atOnce(1));
		expect(found.claims).toMatchObject([{ id: "crashed", crashes: 1, limitKey: "a" }]);
		expect((await turn(scene, atOnce(1), 9, found.claims)).claims.map(({ id }) => id)).toEqual(["due"]);
		scene.db.close();
	});

	test("sqliteStore().turn() lets a crashed task wait at the gate of the key that replaces its own", async () => {
		const scene = await setUp(open);
		const { store, clock } = scene;
		await store.add("b", [task("a", { id: "moved" }), task("b", { id: "holder" })]);
		await claim(scene, atOnce(1));
		await store.add("b", [task("b", { id: "moved", payload: "2", ifPresent: "replace" }), task("a", { id: "next" })]);
		const holder = (await store.list("b", { state: "running", limit: 9 })).find(({ id }) => id === "holder")!;
		const token = `${Number(holder.key)}.1`;
		expect(await store.extend("b", [{ id: "holder", token }], 5 * lease)).toEqual(["ok"]);
		await clock.advance(2 * lease);
		expect((await claim(scene, atOnce(1))).map(({ id }) => id)).toEqual(["next"]);
		const outcome = { type: "done" } as const;
		const settle = [{ ref: { id: "holder", token }, outcome }];
		const { claims } = await store.turn("b", { settle, claim: [{ kinds, limit: 9 }], lease, limits: atOnce(1) });
		expect(claims).toMatchObject([{ id: "moved", payload: "2", crashes: 1, limitKey: "b" }]);
		scene.db.close();
	});

	test("sqliteStore() shows tasks behind gates as waiting, and lets them be held, changed and deleted", async () => {
		const scene = await setUp(open);
		const { store } = scene;
		await store.add("b", [
			task("a", { id: "1", lane: "l" }),
			task("a", { id: "2", lane: "l" }),
			task("a", { id: "3" }),
		]);
		await store.add("b", [task("a", { id: "4", delay: 9_000 }), task("x\0\ud800", { id: "odd" })]);
		const [first] = await claim(scene, atOnce(1));
		expect(await store.counts("b")).toEqual({ waiting: 3, running: 2, held: 0, dead: 0, done: 0 });
		const idsOf = async (query: object) => (await store.list("b", { limit: 9, ...query })).map(({ id }) => id);
		expect(await idsOf({ state: "waiting" })).toEqual(["2", "3", "4"]);
		expect(await idsOf({ state: "running" })).toEqual(["1", "odd"]);
		expect(await idsOf({ state: "running", kind: "work", isReverse: true })).toEqual(["odd", "1"]);
		expect(await idsOf({ lane: "l" })).toEqual(["1", "2"]);
		expect(await store.get("b", "odd")).toMatchObject({ limitKey: "x\0\ud800", state: "running" });
		expect(await store.change("b", ["3"], "hold")).toEqual([true]);
		expect((await turn(scene, atOnce(1), 9, [first!])).claims.map(({ id }) => id)).toEqual(["2"]);
		expect(await store.change("b", ["3"], "release")).toEqual([true]);
		expect(await store.change("b", ["4"], "retry")).toEqual([true]);
		expect(await store.delete("b", ["2", "odd"])).toEqual([true, true]);
		expect((await claim(scene, atOnce(2))).map(({ id }) => id)).toEqual(["3", "4"]);
		scene.db.close();
	});

	test("sqliteStore().turn() looks at all gates that only seem ready in one turn, and in few steps", async () => {
		const asked: string[] = [];
		const db = open(":memory:");
		const store = sqliteStore(spyOnStatements(db, (sql) => asked.push(sql)), { clock: new VirtualClock() });
		await store.open();
		await store.add("b", Array.from({ length: 900 }, (_, index) => task(`k${index}`)));
		const claims = await claim({ store }, atOnce(1), 1_000);
		expect(claims.length).toBe(900);
		asked.length = 0;
		const last = await turn({ store }, atOnce(1), 1, claims);
		expect([last.claims.length, last.dueIn]).toEqual([0, Infinity]);
		expect(asked.filter((sql) => /^\s*(SELECT|WITH)/.test(sql)).length).toBeLessThan(100);
		db.close();
	});

	test("sqliteStore() removes the gates of keys without tasks when their starts no longer matter", async () => {
		const scene = await setUp(open);
		const { db, store, clock } = scene;
		await store.add("b", Array.from({ length: 300 }, (_, index) => task(`k${index}`)));
		const limits = atOnce(1, { spacing: 1_000 });
		const first = await turn(scene, limits, 1_000);
		const ended = await turn(scene, limits, 1_000, first.claims);
		expect([first.claims.length, ended.dueIn, gatesIn(db).length]).toEqual([300, Infinity, 300]);
		await clock.advance(1_000);
		for (let round = 0; round < 3; round++) {
			await store.add("b", [task(undefined)]);
			await turn(scene, limits);
		}
		expect(gatesIn(db)).toEqual([]);
		scene.db.close();
	});

	test("sqliteStore().watch() wakes others when a place is free for a task that waits, and only then", async () => {
		const scene = await setUp(open);
		const { store } = scene;
		await store.add("b", [task("a"), task("a"), task("b"), task(undefined)]);
		const claims = await claim(scene, atOnce(1));
		let woken = 0;
		const stop = store.watch!("b", () => woken++, (error) => expect.unreachable(String(error)));
		const end = (key: string | undefined) =>
			turn(scene, undefined, 0, claims.filter(({ limitKey }) => limitKey === key));
		await end(undefined);
		await end("b");
		expect(woken).toBe(0);
		await end("a");
		expect(woken).toBe(1);
		stop();
		scene.db.close();
	});

	test("sqliteStore().turn() with another limit, or a clock that was set back, looks at all gates again", async () => {
		const scene = await setUp(open);
		const { store, db } = scene;
		await store.add("b", Array.from({ length: 9 }, () => task("a")));
		const counts: number[] = [];
		for (
			const limits of [atOnce(1), atOnce(3), atOnce(2), atOnce(Infinity, { spacing: 60_000, burst: 1 }), undefined]
		) {
			counts.push((await claim(scene, limits)).length);
		}
		expect(counts).toEqual([1, 2, 0, 1, 5]);
		const [ref] = await store.list("b", { limit: 1 });
		const past = sqliteStore(db, { clock: new VirtualClock({ now: 1_600_000_000_000 }) });
		await past.open();
		await past.delete("b", [ref!.id]);
		await past.add("b", [task("a")]);
		expect((await claim({ store: past }, atOnce(9))).length).toBe(1);
		scene.db.close();
	});

	test("sqliteStore() asks no more often for a claim if many tasks of another key wait, and compiles nothing again", async () => {
		const asked: string[] = [];
		const db = open(":memory:");
		const store = sqliteStore(spyOnStatements(db, (sql) => asked.push(sql)), { clock: new VirtualClock() });
		await store.open();
		const counts: number[] = [];
		for (const count of [1, 3_000]) {
			await store.add("b", Array.from({ length: count }, () => task("busy")));
			await claim({ store }, atOnce(1));
			await store.add("b", [task("free")]);
			asked.length = 0;
			const claims = await claim({ store }, atOnce(1));
			expect(keysOf(claims)).toEqual(["free"]);
			counts.push(asked.length);
			await turn({ store }, atOnce(1), 0, claims);
		}
		expect(counts[1]).toBeLessThanOrEqual(counts[0]!);
		expect(asked.filter((sql) => /\bLIMIT\s+[?:@$]\w*\s*(?![\s\w]*\+)/.test(sql))).toEqual([]);
		db.close();
	});

	test("sqliteStore().turn() serves all keys, whatever is written into a column of a gate, or if its row is missing", async () => {
		const columns = ["number", "kind", "gate", "ready", "turn", "last", "opens", "full", "next", "started", "shut"];
		const values = ["'text'", "-1", "77", "1e300", "9007199254740991", "9223372036854775807", "-9223372036854775808"];
		const edits = columns.flatMap((column) => values.map((value) => `UPDATE upkeep_gates SET ${column} = ${value}`));
		let count = 0;
		for (const edit of [...edits.map((edit) => `${edit} WHERE gate = 'a'`), "DELETE FROM upkeep_gates"]) {
			const scene = await setUp(open);
			const { db, store, clock } = scene;
			const limits = atOnce(1, { spacing: 10, burst: 2 });
			await store.add("b", ["a", "a", "a", "b", "b"].map((key) => task(key)));
			let claims = await claim(scene, limits);
			expect(keysOf(claims)).toEqual(["a", "b"]);
			if (!isEdited(db, edit)) continue;
			count++;
			await store.add("b", [task("c")]);
			const served: (string | undefined)[] = [];
			for (let minute = 0; minute < 5; minute++) {
				claims = (await turn(scene, limits, 9, claims)).claims;
				served.push(...keysOf(claims));
				expect(new Set(keysOf(claims)).size).toBe(claims.length);
				if (minute === 0) expect(keysOf(claims)).toContain("c");
				await clock.advance(60_000);
			}
			expect([edit, served.map(String).sort()]).toEqual([edit, ["a", "a", "b", "c"]]);
			db.close();
		}
		expect(count).toBeGreaterThan(40);
	});
}

/** Edits rows. Returns `false` if SQLite refuses the change. */
function isEdited(db: Database, sql: string): boolean {
	try {
		db.exec(sql);
		return true;
	} catch {
		db.close();
		return false;
	}
}

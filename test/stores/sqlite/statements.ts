// The statements of sqliteStore(): they are few, SQLite compiles none of them again, and task numbers are reserved in
// blocks.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { Claim, NewTask } from "../../../src/basket/store.ts";
import { type SqliteStore, sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { settle, watch } from "../../support.ts";
import type { Database, Open } from "./suite.ts";

let cleanups: (() => unknown)[] = [];

afterEach(() => {
	for (const cleanup of cleanups.reverse()) cleanup();
	cleanups = [];
});

function task(fields: Partial<NewTask> = {}): NewTask {
	return { kind: "work", payload: "1", delay: 0, priority: 0, ...fields };
}

/** Returns a connection that records its statements. */
function spied(db: Database): { spy: Database; asked: string[] } {
	const asked: string[] = [];
	const spy = new Proxy(db, {
		get(_, key) {
			const value = Reflect.get(db, key) as unknown;
			if (key === "exec") return (sql: string) => (asked.push(sql), db.exec(sql));
			if (key !== "prepare") return typeof value === "function" ? value.bind(db) : value;
			return (sql: string) => {
				const statement = db.prepare(sql);
				return {
					all: (...values: unknown[]) => (asked.push(sql), statement.all(...values)),
					run: (...values: unknown[]) => (asked.push(sql), statement.run(...values)),
				};
			};
		},
	});
	return { spy, asked };
}

/** A store with two tasks, and the statements that it asks from now on. */
async function withTasks(open: Open): Promise<{ store: SqliteStore<Database>; asked: string[] }> {
	const db = open(":memory:");
	cleanups.push(() => db.close());
	db.exec("PRAGMA busy_timeout = 0");
	const { spy, asked } = spied(db);
	const store = sqliteStore(spy);
	await store.open();
	await store.add("b", [task(), task()]);
	return { store, asked };
}

function filesOf(open: Open): () => Database {
	const folder = mkdtempSync(join(tmpdir(), "upkeep-statements-"));
	cleanups.push(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }));
	return () => {
		const db = open(join(folder, "a.db"));
		db.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL");
		cleanups.push(() => db.close());
		return db;
	};
}

const kinds = ["work"];
const lease = 30_000;

async function claim(store: SqliteStore<Database>, limit = 1): Promise<readonly Claim[]> {
	return (await store.turn("b", { settle: [], claim: [{ kinds, limit }], lease })).claims;
}

/** @param open opens a database */
export function testStatements(open: Open): void {
	test("sqliteStore() needs few statements for one task", async () => {
		const { store, asked } = await withTasks(open);
		const count = async (work: () => Promise<unknown>) => {
			asked.length = 0;
			await work();
			return asked.length;
		};
		// Each add needs two statements for its transaction and one for the busy timeout.
		expect(await count(() => store.add("b", [task()]))).toBeLessThanOrEqual(3 + 2);
		expect(await count(() => store.turn("idle", { settle: [], claim: [{ kinds, limit: 1 }], lease })))
			.toBeLessThanOrEqual(
				3 + 2,
			);
		let claims: readonly Claim[] = [];
		expect(await count(async () => claims = await claim(store))).toBeLessThanOrEqual(3 + 6);
		const ended = claims.map((ref) => ({ ref, outcome: { type: "done" } as const }));
		expect(await count(() => store.turn("b", { settle: ended, claim: [], lease }))).toBeLessThanOrEqual(3 + 3);
	});

	test("sqliteStore().save() appends to a log with one statement, besides those of its transaction", async () => {
		const { store, asked } = await withTasks(open);
		const [ref, other] = await claim(store, 2);
		const statements = async (...entries: (readonly [Claim, after: number])[]) => {
			asked.length = 0;
			const saves = entries.map(([ref, after]) => ({ ref, log: { after, entries: ["1"] } }));
			expect(await store.save("b", saves)).toEqual(entries.map(() => true));
			return asked.filter((sql) => !/^(PRAGMA|BEGIN|COMMIT)/.test(sql)).length;
		};
		expect(await statements([ref!, 0])).toBe(2);
		expect(await statements([ref!, 1])).toBe(1);
		expect(await statements([ref!, 2], [other!, 0])).toBe(3);
		expect(await statements([ref!, 0])).toBeLessThanOrEqual(2); // again, because the answer was lost
	});

	test("sqliteStore() looks for a busy timeout that is 0 once per macrotask, and heeds one that is set later", async () => {
		const connect = filesOf(open);
		const [db, other] = [connect(), connect()];
		db.exec("PRAGMA busy_timeout = 0");
		const { spy, asked } = spied(db);
		const store = sqliteStore(spy);
		await store.open();
		const timeouts = async () => {
			asked.length = 0;
			for (let count = 0; count < 3; count++) await store.add("b", [task()]);
			return asked.filter((sql) => /^PRAGMA busy_timeout/.test(sql));
		};
		await settle();
		expect(await timeouts()).toEqual(["PRAGMA busy_timeout"]);
		db.exec("PRAGMA busy_timeout = 60000");
		await settle();
		expect((await timeouts()).length).toBe(9);
		other.exec("BEGIN IMMEDIATE");
		const adding = watch(store.add("b", [task()]));
		await settle(); // SQLite does not block it for a minute
		expect(adding.state).toBe("pending");
		other.exec("COMMIT");
		while (adding.state === "pending") await settle();
		expect(db.prepare("PRAGMA busy_timeout").all()).toMatchObject([{ timeout: 60_000 }]);
	});

	test("sqliteStore() asks for nothing that SQLite compiles again each time", async () => {
		const db = open(":memory:");
		cleanups.push(() => db.close());
		const { spy, asked } = spied(db);
		const store = sqliteStore(spy);
		await store.open();
		await store.add("b", [task(), task({ id: "a", lane: "l" }), task({ priority: 1 })]);
		const ended = (await claim(store, 5)).map((ref) => ({ ref, outcome: { type: "done", retain: 1e-9 } as const }));
		await store.turn("b", { settle: ended, claim: [], lease });
		await store.turn("b", { settle: [], claim: [{ kinds, limit: 1 }], lease });
		await store.list("b", { limit: 5 });
		expect(asked.filter((sql) => /\bLIMIT\b/.test(sql)).length).toBeGreaterThan(2);
		// SQLite plans with the value of a LIMIT parameter, and compiles the statement again for each value.
		// `LIMIT ?1 + 0` avoids this.
		expect(asked.filter((sql) => /\bLIMIT\s+[?:@$]\w*\s*(?![\s\w]*\+)/.test(sql))).toEqual([]);
	});

	test("sqliteStore().add() gives each task a number above all others, whatever came before it", async () => {
		const connect = filesOf(open);
		const [db, other] = [connect(), connect()];
		const [store, second] = [sqliteStore(db), sqliteStore(other)];
		await Promise.all([store.open(), second.open()]);
		db.exec(`CREATE TRIGGER refuse BEFORE INSERT ON upkeep_tasks WHEN new.kind = 'refused' BEGIN
			SELECT RAISE(ABORT, 'refused');
		END`);
		const numbers: number[] = [];
		const add = async (one: SqliteStore<Database>, count: number, tx?: Database) => {
			const [{ last }] = db.prepare("SELECT coalesce(max(seq), 0) AS last FROM upkeep_tasks").all() as [
				{ last: number },
			];
			const added = await one.add("b", Array.from({ length: count }, () => task()), tx);
			const given = added.map(({ id }) => Number(id.slice(1)));
			expect(given[0]).toBeGreaterThan(last);
			return given;
		};
		const rollBack = new Error("roll back");
		const events: readonly (() => Promise<unknown>)[] = [
			async () => numbers.push(...await add(store, 1)),
			async () => numbers.push(...await add(second, 1)),
			async () => numbers.push(...await add(store, 150)),
			async () => numbers.push(...await store.transaction((tx) => add(store, 2, tx))),
			() =>
				store.transaction(async (tx) => {
					await add(store, 120, tx);
					throw rollBack;
				}).catch((error) => expect(error).toBe(rollBack)),
			() =>
				store.add("b", [...Array.from({ length: 120 }, () => task()), task({ kind: "refused" })]).then(
					() => expect.unreachable(),
					() => {},
				),
			// As many tasks as were refused, so that the other connection gets the same numbers, and some deleted tasks.
			async () => {
				numbers.push(...await add(second, 121));
				const more = [...await add(second, 1), ...await add(second, 1)];
				numbers.push(...more);
				await second.delete("b", more.map((number) => `_${number}`));
			},
			async () =>
				void other.exec("UPDATE upkeep_tasks SET seq = seq + 40 WHERE seq = (SELECT max(seq) FROM upkeep_tasks)"),
		];
		for (const first of events) {
			for (const next of events) {
				for (const event of [first, next, events[0]!, next, events[1]!]) await event();
			}
		}
		expect(numbers.length).toBeGreaterThan(1_000);
		expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
		await store.delete("b", [(await store.list("b", { limit: 100_000 })).at(-1)!.id]);
		db.exec("UPDATE upkeep_schema SET seq = seq - 150");
		await add(store, 1);
	});

	test("sqliteStore().change() and delete() in a transaction that is rolled back leave all tasks and their order alone", async () => {
		const connect = filesOf(open);
		const db = connect();
		const [store, other] = [sqliteStore(db), sqliteStore(connect())];
		await Promise.all([store.open(), other.open()]);
		await store.add("b", [task({ id: "dead" }), task({ id: "other" })]);
		const [ref] = await claim(store);
		const outcome = { type: "dead", attempts: 1, error: "x" } as const;
		await store.turn("b", { settle: [{ ref: ref!, outcome }], claim: [], lease });
		const before = await store.list("b", { limit: 9 });
		const rolledBack = store.transaction(async (tx) => {
			expect(await store.change("b", ["dead", "nobody"], "retry", tx)).toEqual([true, false]);
			expect(await store.change("b", ["other"], "hold", tx)).toEqual([true]);
			expect(await store.delete("b", ["other", "nobody"], tx)).toEqual([true, false]);
			throw new Error("roll back");
		});
		await expect(rolledBack).rejects.toThrow("roll back");
		expect(await store.list("b", { limit: 9 })).toEqual(before);
		for (const one of [other, store, other, store]) await one.add("b", [task()]);
		await store.transaction((tx) => store.change("b", ["dead"], "retry", tx));
		const ids = (await other.list("b", { limit: 9 })).map(({ id }) => id);
		expect([ids[0], ids.length, ids.at(-1)]).toEqual(["other", 6, "dead"]);
	});

	test.each(["", "a\0b", 5])("sqliteStore().pause() refuses %j, which is no kind", async (kind) => {
		const db = open(":memory:");
		cleanups.push(() => db.close());
		const store = sqliteStore(db);
		await store.open();
		const error = await store.pause("b", kind as string, true).then(() => undefined, (error) => error);
		expect(error).toMatchObject({ name: kind === 5 ? "TypeError" : "RangeError" });
		expect(String(error)).toMatch(/"kind"/);
		expect(await store.pauses("b")).toEqual({ all: false, kinds: [] });
	});

	test("sqliteStore().turn() that finds something waits while another connection writes, and then claims it", async () => {
		const connect = filesOf(open);
		const [db, other] = [connect(), connect()];
		const store = sqliteStore(db);
		const impatient = sqliteStore(db, { busyTimeout: 0 });
		await store.open();
		await impatient.open();
		await store.add("b", [task()]);
		other.exec("BEGIN IMMEDIATE");
		expect(await claim(impatient).then(() => undefined, ({ code }) => code)).toBe("busy");
		const claiming = watch(claim(store));
		await settle();
		expect(claiming.state).toBe("pending");
		expect(db.isTransaction ?? db.inTransaction).toBe(false);
		other.exec("COMMIT");
		while (claiming.state === "pending") await settle();
		expect(claiming.state).toBe("resolved");
		expect((await store.counts("b")).running).toBe(1);
	});
}

// The tests of sqliteStore() that need SQLite, for each driver.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { Claim, NewTask } from "../../../src/basket/store.ts";
import { run } from "../../../mod.ts";
import {
	type SqliteConnection,
	type SqliteStore,
	sqliteStore,
	type SqliteStoreOptions,
} from "../../../src/stores/sqlite/sqlite.ts";
import { testStore, VirtualClock } from "../../../src/testing/testing.ts";
import { expectHeardElsewhere } from "../../basket/elsewhere.ts";
import { seed } from "../../seed.ts";
import { testDamage } from "./damage.ts";
import { testFamilies } from "./families.ts";
import { testLasting } from "./lasting.ts";
import { testLimits } from "./limits.ts";
import { testLists } from "./lists.ts";
import { testLogs } from "./logs.ts";
import { testResponsive } from "./responsive.ts";
import { testSources } from "./sources.ts";
import { testStatements } from "./statements.ts";
import { spyOnStatements } from "./spy.ts";
import { testVersions } from "./versions.ts";
import { deferred, errorOf, settle, watch } from "../../support.ts";

/** The common interface of the drivers that the tests use. */
export interface Database extends SqliteConnection {
	exec(sql: string): unknown;
	close(): void;
}

/** Opens a database, optionally read-only. */
export type Open = (path: string, isReadOnly?: boolean) => Database;

interface Opened {
	readonly db: Database;
	readonly store: SqliteStore<Database>;
}

let cleanups: (() => unknown)[] = [];

afterEach(() => {
	for (const cleanup of cleanups.reverse()) cleanup();
	cleanups = [];
});

/**
 * @param name the name of the store of this driver in titles
 * @param isMain whether the tests of the SQL itself also run: rows changed by hand, limits, lists, earlier versions, a
 *   database in memory. They find the same with each driver, so one driver of one engine runs them.
 */
export function testSqlite(name: string, open: Open, isMain = true): void {
	conformance(name, open, isMain ? ["a file", "memory"] : ["a file"]);
	describe(name, () => {
		opening(open);
		testSources(open);
		failures(open);
		others(open);
		transactions(open);
		watching(open);
		damage(open);
		plans(open);
		testLasting(open);
		testStatements(open);
		if (!isMain) return;
		testDamage(open);
		testLimits(open);
		testLists(open);
		testLogs(open);
		testFamilies(open);
		testResponsive(open);
		testVersions(open);
	});
}

function conformance(name: string, open: Open, places: readonly string[]): void {
	for (const place of places) {
		testStore(`${name} in ${place}`, async () => {
			const clock = new VirtualClock({ now: 1_700_000_000_000 });
			const { connect, close } = place === "memory" ? inMemory(open) : inFile(open);
			const db = connect();
			return {
				store: sqliteStore(db, { clock }),
				advance: (duration: number) => clock.advance(duration),
				transaction: (work: (tx: Database) => Promise<unknown>) => inTransaction(db, work),
				async another() {
					const other = sqliteStore(connect(), { clock });
					await other.open();
					return other;
				},
				close() {
					expectNoOrphans(db);
					close();
				},
			};
		}, { test, seed, without: place === "memory" ? ["shared"] : [] });
	}
}

/** Each row of the other tables belongs to a task. */
function expectNoOrphans(db: Database): void {
	const key = { messages: "seq", replacements: "seq", log: "log" };
	for (const [table, column] of Object.entries(key)) {
		const sql = `SELECT * FROM upkeep_${table} WHERE task NOT IN (
			SELECT ${column} FROM upkeep_tasks WHERE ${column} IS NOT NULL
		)`;
		expect(rowsOf(db, sql)).toEqual([]);
	}
}

async function inTransaction(db: Database, work: (tx: Database) => Promise<unknown>): Promise<void> {
	db.exec("BEGIN");
	try {
		await work(db);
		db.exec("COMMIT");
	} catch (error) {
		db.exec("ROLLBACK");
		throw error;
	}
}

function inMemory(open: Open): { connect(): Database; close(): void } {
	const db = open(":memory:");
	return { connect: () => db, close: () => db.close() };
}

export function inFile(open: Open): { connect(): Database; close(): void } {
	const folder = mkdtempSync(join(tmpdir(), "upkeep-"));
	const databases: Database[] = [];
	return {
		connect() {
			const db = open(join(folder, "tasks.db"));
			databases.push(db);
			db.exec("PRAGMA busy_timeout = 5000");
			db.exec("PRAGMA journal_mode = WAL");
			return db;
		},
		close() {
			for (const db of databases) closeQuietly(db);
			rmSync(folder, { recursive: true });
		},
	};
}

function closeQuietly(db: Database): void {
	try {
		db.close();
	} catch {
		// The test has closed the database.
	}
}

/** Creates an open store on a new database, with further connections to the same file. */
async function fresh(open: Open, options?: SqliteStoreOptions): Promise<Opened & { connect(): Database }> {
	const { connect, close } = inFile(open);
	cleanups.push(close);
	const db = connect();
	const store = sqliteStore(db, options);
	await store.open();
	return { db, store, connect };
}

function task(fields: Partial<NewTask> = {}): NewTask {
	return { kind: "work", payload: "", delay: 0, priority: 0, ...fields };
}

function rowsOf<Row>(db: Database, sql: string): Row[] {
	return db.prepare(sql).all() as Row[];
}

async function claim(store: SqliteStore<Database>, limit = 100): Promise<readonly Claim[]> {
	return (await store.turn("b", { settle: [], claim: [{ kinds: ["work"], limit }], lease: 30_000 })).claims;
}

async function waitingIn(store: SqliteStore<Database>): Promise<number> {
	return (await store.counts("b")).waiting;
}

function opening(open: Open): void {
	test("sqliteStore() refuses what is no connection, and options that are none", () => {
		const db = open(":memory:");
		cleanups.push(() => db.close());
		expect(() => sqliteStore({} as never)).toThrow(TypeError);
		expect(() => sqliteStore(undefined as never)).toThrow(TypeError);
		expect(() => sqliteStore(db, { prefix: "a b" })).toThrow(RangeError);
		expect(() => sqliteStore(db, { prefix: "" })).toThrow(RangeError);
		expect(() => sqliteStore(db, { pollInterval: 0 })).toThrow(RangeError);
		expect(() => sqliteStore(db, { busyTimeout: -1 })).toThrow(RangeError);
		expect(() => sqliteStore(db, { clock: {} as never })).toThrow(TypeError);
	});

	test("sqliteStore().open() of twenty connections at once makes one schema", async () => {
		const { connect, close } = inFile(open);
		cleanups.push(close);
		const stores = Array.from({ length: 20 }, () => sqliteStore(connect()));
		await Promise.all(stores.map((store) => store.open()));
		await Promise.all(stores.map((store) => store.add("b", [task()])));
		expect(await waitingIn(stores[0]!)).toBe(20);
	});

	test("sqliteStore().open() leaves the database's own version and the caller's tables alone", async () => {
		const { connect, close } = inFile(open);
		cleanups.push(close);
		const db = connect();
		db.exec("PRAGMA user_version = 7");
		db.exec("CREATE TABLE tasks (a)");
		await sqliteStore(db).open();
		expect(rowsOf(db, "PRAGMA user_version")).toMatchObject([{ user_version: 7 }]);
		expect(rowsOf(db, "SELECT * FROM tasks")).toEqual([]);
	});

	test("sqliteStore().open() refuses the tables of a later version, and changes nothing", async () => {
		const { db, store, connect } = await fresh(open);
		await store.add("b", [task()]);
		db.exec("UPDATE upkeep_schema SET version = 1234");
		const before = rowsOf(db, "SELECT * FROM sqlite_schema, upkeep_schema, upkeep_tasks");
		const error = await errorOf(sqliteStore(connect()).open());
		expect(error).toMatchObject({ name: "StoreError", code: "newer-schema" });
		expect(String(error)).toMatch(/version 1234.* 8\b/);
		expect(rowsOf(db, "SELECT * FROM sqlite_schema, upkeep_schema, upkeep_tasks")).toEqual(before);
	});

	test.each([1, 2, 3])(
		"sqliteStore().open() refuses the tables of version %d, which was never published, and changes nothing",
		async (version) => {
			const { connect, close } = inFile(open);
			cleanups.push(close);
			const db = connect();
			db.exec("CREATE TABLE upkeep_schema (version, seq)");
			db.exec(`INSERT INTO upkeep_schema VALUES (${version}, 5)`);
			const error = await errorOf(sqliteStore(db).open());
			expect(error).toMatchObject({ name: "StoreError", code: "refused", isTransient: false });
			expect(String(error)).toMatch(new RegExp(`version ${version}.*another prefix`));
			expect(rowsOf(db, "SELECT name FROM sqlite_schema").length).toBe(1);
		},
	);

	test("sqliteStore().open() creates the tables once if several processes begin together", async () => {
		const { connect, close } = inFile(open);
		cleanups.push(close);
		const stores = await Promise.all(Array.from({ length: 5 }, async () => {
			const store = sqliteStore(connect());
			await store.open();
			return store;
		}));
		for (const store of stores) await store.add("b", [task()]);
		expect(await waitingIn(stores[0]!)).toBe(5);
	});

	test("sqliteStore() with another prefix has tables of its own", async () => {
		const { db, store } = await fresh(open);
		const other = sqliteStore(db, { prefix: "other_" });
		await other.open();
		await store.add("b", [task({ id: "a" })]);
		expect(await other.add("b", [task({ id: "a" })])).toEqual([{ id: "a", added: true }]);
		await other.delete("b", ["a"]);
		expect(await waitingIn(store)).toBe(1);
	});

	test("sqliteStore() does nothing before it is open", async () => {
		const { connect, close } = inFile(open);
		cleanups.push(close);
		const db = connect();
		const store = sqliteStore(db);
		await expect(store.add("b", [task()])).rejects.toMatchObject({ code: "not-open" });
		db.exec("BEGIN");
		await expect(store.add("b", [task()], db)).rejects.toMatchObject({ code: "not-open" });
		db.exec("COMMIT");
		expect(rowsOf(db, "SELECT name FROM sqlite_schema")).toEqual([]);
	});
}

function failures(open: Open): void {
	test("sqliteStore() says that the connection is closed", async () => {
		const { db, store } = await fresh(open);
		await store.add("b", [task()]);
		const [ref] = await claim(store);
		db.close();
		const turn = { settle: [{ ref: ref!, outcome: { type: "done" } as const }], claim: [], lease: 1 };
		for (
			const call of [
				() => store.open(),
				() => store.add("b", [task()]),
				() => store.add("b", [task()], db),
				() => store.turn("b", turn),
				() => store.get("b", "_1"),
				() => store.transaction(() => {}),
			]
		) expect(await errorOf(call())).toMatchObject({ name: "StoreError", code: "closed", isTransient: false });
	});

	test("sqliteStore() says that what it was given is no database", async () => {
		const { db } = await fresh(open);
		db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
		const [{ file }] = rowsOf<{ file: string }>(db, "PRAGMA database_list") as [{ file: string }];
		db.close();
		writeFileSync(file, "not at all a database".repeat(1000));
		const broken = open(file);
		cleanups.push(() => closeQuietly(broken));
		await expect(sqliteStore(broken).open()).rejects.toMatchObject({ code: "corrupt" });
	});

	test("sqliteStore() says that the disk is full, has stored nothing then, and goes on when there is space", async () => {
		const { db, store } = await fresh(open);
		const [{ page_count: pages }] = rowsOf<{ page_count: number }>(db, "PRAGMA page_count") as [{ page_count: number }];
		db.exec(`PRAGMA max_page_count = ${pages + 5}`);
		const tasks = Array.from({ length: 100 }, () => task({ payload: "x".repeat(1000) }));
		await expect(store.add("b", tasks)).rejects.toMatchObject({ code: "full", isTransient: true });
		expect(await waitingIn(store)).toBe(0);
		await store.add("b", [task()]);
		db.exec("PRAGMA max_page_count = 100000");
		await store.add("b", tasks);
		expect(await waitingIn(store)).toBe(101);
	});

	test("sqliteStore().transaction() never passes for committed when a full disk has ended it", async () => {
		const { db, store } = await fresh(open);
		const [{ page_count: pages }] = rowsOf<{ page_count: number }>(db, "PRAGMA page_count") as [{ page_count: number }];
		db.exec(`PRAGMA max_page_count = ${pages + 5}`);
		const done = store.transaction(async (tx) => {
			await store.add("b", [task({ payload: "x".repeat(100_000) })], tx).catch(() => "not noticed");
		});
		await expect(done).rejects.toMatchObject({ name: "InvalidStateError" });
		expect(await waitingIn(store)).toBe(0);
	});
}

function others(open: Open): void {
	test("sqliteStore() waits for another writer without stopping the event loop", async () => {
		const { db, store, connect } = await fresh(open);
		const other = connect();
		other.exec("BEGIN IMMEDIATE");
		const adding = watch(store.add("b", [task()]));
		const opening = watch(sqliteStore(db, { prefix: "more_" }).open());
		await settle();
		expect([adding.state, opening.state]).toEqual(["pending", "pending"]);
		expect(rowsOf(db, "PRAGMA busy_timeout")).toMatchObject([{ timeout: 5000 }]);
		other.exec("COMMIT");
		while (adding.state === "pending" || opening.state === "pending") await settle();
		expect([adding.state, opening.state]).toEqual(["resolved", "resolved"]);
		expect(await waitingIn(store)).toBe(1);
	});

	test("sqliteStore() gives up on another writer after busyTimeout, and has stored nothing", async () => {
		const { store, connect } = await fresh(open, { busyTimeout: 20 });
		const other = connect();
		other.exec("BEGIN IMMEDIATE");
		await expect(store.add("b", [task()])).rejects.toMatchObject({ code: "busy", isTransient: true });
		await expect(store.transaction(() => {})).rejects.toMatchObject({ code: "busy" });
		expect(await waitingIn(store)).toBe(0);
		other.exec("COMMIT");
		await store.add("b", [task()]);
		expect(await waitingIn(store)).toBe(1);
	});

	test("sqliteStore().turn() that finds nothing does not write", async () => {
		const { store, connect } = await fresh(open, { busyTimeout: 0 });
		await store.add("b", [task({ delay: 60_000 })]);
		const other = connect();
		other.exec("BEGIN IMMEDIATE");
		expect(await claim(store)).toEqual([]);
		other.exec("COMMIT");
	});

	test("sqliteStore() keeps out of a transaction that the caller has open", async () => {
		const { db, store } = await fresh(open);
		db.exec("CREATE TABLE own (a)");
		await store.add("b", [task()]);
		db.exec("BEGIN");
		db.exec("INSERT INTO own VALUES (1)");
		const promises = [store.add("b", [task()]), claim(store, 1), waitingIn(store), store.transaction(() => 5)];
		const calls = promises.map((promise) => watch<unknown>(promise));
		await new Promise((resolve) => setTimeout(resolve, 30));
		expect(calls.map(({ state }) => state)).toEqual(["pending", "pending", "pending", "pending"]);
		db.exec("ROLLBACK");
		while (calls.some(({ state }) => state === "pending")) await settle();
		expect(calls.map(({ state }) => state)).toEqual(["resolved", "resolved", "resolved", "resolved"]);
		expect(rowsOf(db, "SELECT * FROM own")).toEqual([]);
		expect(await waitingIn(store)).toBe(1);
	});
}

function transactions(open: Open): void {
	test("sqliteStore() takes as tx only its own connection, with a transaction open", async () => {
		const { db, store, connect } = await fresh(open);
		const other = connect();
		other.exec("BEGIN");
		await expect(store.add("b", [task()], other)).rejects.toThrow(TypeError);
		other.exec("ROLLBACK");
		await expect(store.add("b", [task()], db)).rejects.toMatchObject({ name: "InvalidStateError" });
		expect(await waitingIn(store)).toBe(0);
	});

	test("sqliteStore() goes on after a transaction of the caller in which another writer was in the way", async () => {
		const { db, store, connect } = await fresh(open);
		await store.add("b", [task({ id: "a" })]);
		const [ref] = await claim(store);
		const other = connect();
		db.exec("PRAGMA busy_timeout = 0");
		for (
			const call of [
				() => store.add("b", [task({ id: "x" })], db),
				() => store.save("b", [{ ref: ref!, payload: "x" }], db),
				() => store.complete("b", ref!, { type: "done" }, db),
			]
		) {
			db.exec("BEGIN");
			other.exec("BEGIN IMMEDIATE");
			expect(await errorOf(call())).toMatchObject({ name: "StoreError", code: "busy", isTransient: true });
			db.exec("ROLLBACK");
			other.exec("COMMIT");
			expect(await store.extend("b", [ref!], 30_000)).toEqual(["ok"]);
		}
		expect(await store.list("b", { limit: 9 })).toMatchObject([{ id: "a", payload: "", state: "running" }]);
	});

	test("sqliteStore().add() in a transaction has asked the database before it returns, and is all or none", async () => {
		const { db, store } = await fresh(open);
		db.exec("BEGIN");
		void store.add("b", [task({ id: "a" }), task({ id: "b" })], db);
		const broken = errorOf(store.add("b", [task({ id: "c" }), task({ id: "d", payload: {} as never })], db));
		db.exec("COMMIT");
		expect(await broken).toMatchObject({ name: "StoreError" });
		expect((await store.list("b", { limit: 9 })).map(({ id }) => id)).toEqual(["a", "b"]);
	});

	test("sqliteStore().transaction() commits what its function did, and gives what it returned", async () => {
		const { db, store } = await fresh(open);
		db.exec("CREATE TABLE own (a)");
		const value = await store.transaction(async (tx) => {
			expect(tx).toBe(db);
			tx.exec("INSERT INTO own VALUES (1)");
			await settle();
			await store.add("b", [task()], tx);
			return "value";
		});
		expect(value).toBe("value");
		expect([rowsOf(db, "SELECT * FROM own").length, await waitingIn(store)]).toEqual([1, 1]);
	});

	test("sqliteStore().complete() leaves no task behind that a clock set back would show", async () => {
		const clock = new VirtualClock({ now: 1_700_000_000_000 });
		const { store } = await fresh(open, { clock });
		await store.add("b", [task({ id: "x" }), task({ id: "kept" })]);
		const [x, kept] = await claim(store);
		await store.transaction(async (tx) => {
			expect(await store.complete("b", x!, { type: "done" }, tx)).toBe(true);
			expect(await store.complete("b", x!, { type: "done" }, tx)).toBe(true);
			expect(await store.complete("b", kept!, { type: "done", retain: 1 }, tx)).toBe(true);
		});
		clock.setNow(clock.now() - 20_000);
		expect([await store.get("b", "x"), (await store.get("b", "kept"))?.state]).toEqual([undefined, "done"]);
		expect((await store.counts("b")).done).toBe(1);
		expect(await store.add("b", [task({ id: "x" })])).toMatchObject([{ added: true }]);
	});

	test("sqliteStore().transaction() rolls back when its function fails, and rejects with that error", async () => {
		const { db, store } = await fresh(open);
		await store.add("b", [task()]);
		const [ref] = await claim(store);
		const reason = new Error("no");
		const done = store.transaction(async (tx) => {
			await store.add("b", [task()], tx);
			expect(await store.complete("b", ref!, { type: "done" }, tx)).toBe(true);
			throw reason;
		});
		expect(await errorOf(done)).toBe(reason);
		expect(await store.counts("b")).toMatchObject({ waiting: 0, running: 1 });
		expect(
			await errorOf(store.transaction(() => {
				throw reason;
			})),
		).toBe(reason);
		expect(db.isTransaction ?? db.inTransaction).toBe(false);
	});

	test("sqliteStore().transaction() runs one after the other, and nothing of the store in between", async () => {
		const { store } = await fresh(open);
		const log: string[] = [];
		const gate = deferred();
		const first = store.transaction(async () => {
			log.push("first begins");
			await gate.promise;
			log.push("first ends");
		});
		const second = store.transaction(() => void log.push("second"));
		const added = store.add("b", [task()]).then(() => log.push("added"));
		await settle();
		expect(log).toEqual(["first begins"]);
		gate.resolve();
		await Promise.all([first, second, added]);
		expect(log).toEqual(["first begins", "first ends", "second", "added"]);
	});

	test("sqliteStore().transaction() is refused inside itself, and may be called by others meanwhile", async () => {
		const { store } = await fresh(open);
		const gate = deferred();
		const outer = store.transaction(async () => {
			expect(await errorOf(store.transaction(() => {}))).toMatchObject({ name: "InvalidStateError" });
			await settle();
			expect(await errorOf(store.transaction(() => {}))).toMatchObject({ name: "InvalidStateError" });
			await gate.promise;
			return "outer";
		});
		const other = store.transaction(() => "other");
		gate.resolve();
		expect(await Promise.all([outer, other])).toEqual(["outer", "other"]);
	});

	test("sqliteStore().transaction() of three callers whose work is tried again is refused to none of them", async () => {
		const { db, store } = await fresh(open);
		db.exec("CREATE TABLE own (name)");
		const again = async (name: string) => {
			for (let attempt = 1;; attempt++) {
				try {
					return await store.transaction(async (tx) => {
						tx.exec(`INSERT INTO own VALUES ('${name}')`);
						await settle();
						if (attempt < 3) throw new Error("not yet");
						return name;
					});
				} catch (error) {
					if ((error as Error).message !== "not yet") throw error;
					await run(() => settle(), { backoff: 1 });
				}
			}
		};
		const names = ["a", "b", "c"];
		expect(await Promise.all(names.map(again))).toEqual(names);
		const tried = (name: string) => {
			let left = 3;
			return run(() =>
				store.transaction(async (tx) => {
					await store.add("b", [task({ id: name })], tx);
					await settle();
					if (--left > 0) throw new Error("not yet");
					return name;
				}), { attempts: 3, backoff: 1 });
		};
		expect(await Promise.all(names.map(tried))).toEqual(names);
		expect(rowsOf(db, "SELECT name FROM own ORDER BY name")).toMatchObject(names.map((name) => ({ name })));
		expect(await waitingIn(store)).toBe(3);
	});

	test.each([[undefined], [60_000]])(
		"sqliteStore().complete() twice in one transaction is harmless (retain: %s)",
		async (retain) => {
			const { db, store } = await fresh(open);
			await store.add("b", [task({ lane: "l" }), task({ lane: "l" })]);
			const [ref] = await claim(store);
			const done = { type: "done", retain } as const;
			const twice = async () => [await store.complete("b", ref!, done, db), await store.complete("b", ref!, done, db)];
			db.exec("BEGIN");
			expect(await twice()).toEqual([true, true]);
			db.exec("ROLLBACK");
			expect(await store.counts("b")).toMatchObject({ waiting: 1, running: 1 });
			db.exec("BEGIN");
			expect(await twice()).toEqual([true, true]);
			db.exec("COMMIT");
			expect(await store.counts("b")).toMatchObject({ waiting: 1, running: 0, done: retain === undefined ? 0 : 1 });
			const [next] = await claim(store);
			db.exec("BEGIN");
			expect(await store.complete("b", { ...next!, token: "1.9" }, done, db)).toBe(false);
			db.exec("COMMIT");
		},
	);

	test("sqliteStore().transaction() rejects if its function has ended it", async () => {
		const { store } = await fresh(open);
		const done = store.transaction((tx) => void tx.exec("COMMIT"));
		await expect(done).rejects.toMatchObject({ name: "InvalidStateError" });
		expect(await store.transaction(() => 1)).toBe(1);
	});
}

function watching(open: Open): void {
	/** Watches a store, and returns a function that waits for the next wake-up. */
	function watcher(store: SqliteStore<Database>, basket = "b"): { next(): Promise<void>; count: number; stop(): void } {
		let waiting = deferred();
		const self = {
			count: 0,
			stop: store.watch!(basket, () => {
				self.count++;
				waiting.resolve();
				waiting = deferred();
			}, (error) => waiting.reject(error)),
			next: () => waiting.promise,
		};
		cleanups.push(self.stop);
		return self;
	}

	test("sqliteStore().watch() notices what another connection adds", async () => {
		const { store, connect } = await fresh(open, { pollInterval: 1 });
		const other = sqliteStore(connect());
		await other.open();
		const woken = watcher(store).next();
		await other.add("b", [task()]);
		await woken;
	});

	test("sqliteStore().watch() lets a task hear at once that another process has deleted or cancelled it", async () => {
		const { db, store, connect } = await fresh(open);
		await expectHeardElsewhere(store, sqliteStore(connect()));
		await expectHeardElsewhere(store, sqliteStore(db));
		await expectHeardElsewhere(store, store);
	});

	test("sqliteStore().watch() notices at once what this store adds, to the same basket only", async () => {
		const { store } = await fresh(open, { pollInterval: 60_000 });
		const [same, different] = [watcher(store), watcher(store, "another")];
		await store.add("b", [task()]);
		expect([same.count, different.count]).toEqual([1, 0]);
	});

	test("sqliteStore().watch() notices what another store adds on the same connection", async () => {
		const { db, store } = await fresh(open, { pollInterval: 1 });
		const other = sqliteStore(db);
		await other.open();
		const woken = watcher(store).next();
		await other.add("b", [task()]);
		await woken;
	});

	test("sqliteStore().watch() notices an add in the caller's transaction when that has committed, not before", async () => {
		const { db, store } = await fresh(open, { pollInterval: 5 });
		const watching = watcher(store);
		db.exec("BEGIN");
		await store.add("b", [task()], db);
		await new Promise((resolve) => setTimeout(resolve, 30));
		expect(watching.count).toBe(0);
		const woken = watching.next();
		db.exec("COMMIT");
		await woken;
		await store.transaction(async (tx) => {
			await store.add("b", [task()], tx);
			watching.count = 0;
		});
		expect(watching.count).toBe(1);
	});

	test("sqliteStore().watch() says once that the connection is closed, and nothing after it was stopped", async () => {
		const { db, store } = await fresh(open, { pollInterval: 1 });
		const errors: unknown[] = [];
		const failed = deferred();
		const stop = store.watch!("b", () => {}, (error) => {
			errors.push(error);
			failed.resolve();
		});
		db.close();
		await failed.promise;
		await new Promise((resolve) => setTimeout(resolve, 20));
		expect(errors).toMatchObject([{ code: "closed" }]);
		stop();
		stop();
	});
}

function damage(open: Open): void {
	test("sqliteStore().turn() makes dead what it cannot read, claims the others, and lets the lane go on", async () => {
		const { db, store } = await fresh(open);
		const ids = ["number", "escape", "message", "claims", "fine", "next"];
		await store.add("b", ids.map((id) => task({ id, payload: "p", ...(id === "fine" ? {} : { lane: `of ${id}` }) })));
		await store.add("b", [task({ id: "after number", lane: "of number" })]);
		await store.post("b", "message", "m");
		db.exec("UPDATE upkeep_tasks SET payload = 5 WHERE id = 'number'");
		db.exec("UPDATE upkeep_tasks SET payload = char(64976) || 'no JSON' WHERE id = 'escape'");
		db.exec("UPDATE upkeep_messages SET data = 1.5");
		db.exec("UPDATE upkeep_tasks SET claims = -5 WHERE id = 'claims'");
		const claims = [...await claim(store, 5), ...await claim(store)];
		expect(claims.map(({ id }) => id).sort()).toEqual(["after number", "fine", "next"]);
		const dead = await store.list("b", { state: "dead", limit: 10 });
		expect(dead.map(({ id }) => id)).toEqual(["number", "escape", "message", "claims"]);
		for (const { error } of dead) expect(error).toMatch(/damaged/);
		expect(await claim(store)).toEqual([]);
		expect(await store.delete("b", ["number", "claims"])).toEqual([true, true]);
	});

	test("sqliteStore() shows a task in a state that it does not know as dead, and never claims it", async () => {
		const { db, store } = await fresh(open);
		await store.add("b", [task({ id: "a" })]);
		expect(() => db.exec("UPDATE upkeep_tasks SET state = 77")).toThrow();
		db.exec("PRAGMA ignore_check_constraints = ON");
		db.exec("UPDATE upkeep_tasks SET state = 77");
		expect(await claim(store)).toEqual([]);
		expect(await store.get("b", "a")).toMatchObject({ state: "dead" });
		expect(await store.change("b", ["a"], "retry")).toEqual([true]);
		expect((await claim(store)).length).toBe(1);
	});
}

function plans(open: Open): void {
	// With limits, the tables are others.
	test.each([[false, "no"], [true, "no"], [false, "some"], [true, "some"]])(
		"sqliteStore() looks up what it needs by an index (statistics: %s, %s limits)",
		async (isAnalyzed, limits) => {
			const { connect, close } = inFile(open);
			cleanups.push(close);
			const db = connect();
			const asked = new Set<string>();
			const store = sqliteStore(spyOnStatements(db, (sql) => asked.add(sql)));
			await store.open();
			if (isAnalyzed) db.exec("ANALYZE"); // statistics of empty tables make a scan seem cheap
			if (limits === "some") await store.add("other", [task({ limitKey: "k" })]);
			asked.clear();
			await (limits === "some" ? everythingOfLimits : everything)(store);
			const statements = [...asked].filter((sql) => /^\s*(SELECT|WITH|UPDATE|DELETE|INSERT)/.test(sql));
			expect(statements.length).toBeGreaterThan(20);
			const scans = statements.flatMap((sql) => {
				const plan = rowsOf<{ detail: string }>(db, `EXPLAIN QUERY PLAN ${sql}`).map(({ detail }) => detail);
				return plan.filter((detail) => /^SCAN (task|home|upkeep_(tasks|messages|log|gates))\b/.test(detail));
			});
			expect(scans).toEqual([]);
		},
	);

	async function everything(store: SqliteStore<Database>): Promise<void> {
		const kinds = ["work", "other"];
		const turn = { settle: [], claim: [{ kinds, limit: 9 }], lease: 30_000 };
		await store.add("b", [task(), task(), task({ id: "a", lane: "l" }), task({ id: "b", lane: "l", priority: 1 })]);
		await store.add("b", [task({ kind: "other" })]);
		await store.post("b", "a", "m");
		const { claims: [a, b, c, d] } = await store.turn("b", turn);
		await store.extend("b", [a!, b!], 30_000);
		await store.save("b", [{ ref: c!, seen: 1 }]);
		for (const entries of [["1"], ["1", "2"]]) await store.save("b", [{ ref: b!, log: { after: 0, entries } }]);
		await store.log("b", [{ id: "b", after: 0, limit: 9 }, { ...b!, after: 0, limit: 9 }]);
		await store.turn("b", { ...turn, settle: [{ ref: a!, outcome: { type: "done" } }] });
		await store.turn("b", {
			...turn,
			settle: [
				{ ref: b!, outcome: { type: "done", retain: 0.001 } },
				{ ref: c!, outcome: { type: "dead", attempts: 1, error: "x" } },
				{ ref: d!, outcome: { type: "retry", delay: 60_000, attempts: 1, error: "x" } },
			],
		});
		await new Promise((resolve) => setTimeout(resolve, 5));
		await store.turn("b", turn);
		await store.hasten("b", 1000);
		await store.change("b", ["a", "b"], "retry");
		await store.change("b", ["b"], "hold");
		await store.get("b", "a");
		for (const state of ["waiting", "dead", "held", "done"] as const) await store.list("b", { state, limit: 9 });
		await store.delete("b", ["a", "b"]);
	}
	async function everythingOfLimits(store: SqliteStore<Database>): Promise<void> {
		const limits = [{ kind: "work", atOnce: 1, spacing: 1e-9, burst: 1 }];
		const turn = { settle: [], claim: [{ kinds: ["work", "other"], limit: 9 }], lease: 1, limits };
		const keyed = ["a", "a", "b"].map((limitKey) => task({ limitKey }));
		await store.add("b", [...keyed, task({ id: "c", limitKey: "c" }), task({ kind: "other", limitKey: "a" })]);
		const { claims: [a, b, c] } = await store.turn("b", turn);
		await store.add("b", [task({ id: "c", limitKey: "d", ifPresent: "replace" })]);
		await new Promise((resolve) => setTimeout(resolve, 5));
		await store.turn("b", turn);
		const settle = [
			{ ref: a!, outcome: { type: "release" } },
			{ ref: b!, outcome: { type: "release", delay: 0, limitKey: "e", isKeyShut: true } },
			{ ref: c!, outcome: { type: "done" } },
		] as const;
		await store.turn("b", { ...turn, settle });
		await store.turn("b", { ...turn, limits: undefined });
		for (const state of ["waiting", "running"] as const) await store.list("b", { state, limit: 9 });
		await store.counts("b");
	}
}

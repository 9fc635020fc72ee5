// The source of sqliteStore(): a connection, or a function that opens one; and the calls of a connection.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Basket, type Store } from "../../../mod.ts";
import type { NewTask } from "../../../src/basket/store.ts";
import { type SqliteStore, sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { deferred, errorOf, settle, watch } from "../../support.ts";
import type { Database, Open } from "./suite.ts";

const task: NewTask = { kind: "work", payload: "1", delay: 0, priority: 0 };

/** Calls a function with a path in a temporary folder. */
async function withPath(work: (path: string) => Promise<void>): Promise<void> {
	const folder = mkdtempSync(join(tmpdir(), "upkeep-source-"));
	try {
		await work(join(folder, "tasks.db"));
	} finally {
		rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
	}
}

function isOpen(db: Database): boolean {
	try {
		db.prepare("SELECT 1").all();
		return true;
	} catch {
		return false;
	}
}

/** Returns a connection that records its statements. */
function spied(db: Database, asked: Set<string>): Database {
	return new Proxy(db, {
		get(_, key) {
			const value = Reflect.get(db, key) as unknown;
			if (key !== "prepare") return typeof value === "function" ? value.bind(db) : value;
			return (sql: string) => {
				asked.add(sql);
				return db.prepare(sql);
			};
		},
	});
}

/** @param make opens a database */
export function testSources(make: Open): void {
	test.each([["at once", (db: Database) => db], ["later", (db: Database) => settle().then(() => db)]] as const)(
		"sqliteStore() of a function opens the database once, when it is opened, and closes it in close(): %s",
		async (_when, give) => {
			await withPath(async (path) => {
				const opened: Database[] = [];
				const store = sqliteStore<Database>(() => {
					opened.push(make(path));
					return give(opened[0]!);
				});
				const { capabilities } = store;
				expect([opened.length, capabilities.durable]).toEqual([0, true]);
				await Promise.all([store.open(), store.open()]);
				await store.open();
				await store.add("b", [task]);
				await store.transaction(async (tx) => {
					expect(tx).toBe(opened[0]);
					await store.add("b", [task], tx);
				});
				expect((await store.counts("b")).waiting).toBe(2);
				expect([opened.length, store.capabilities === capabilities]).toEqual([1, true]);
				await store.close();
				await store.close();
				expect(isOpen(opened[0]!)).toBe(false);
				for (const call of [() => store.open(), () => store.counts("b"), () => store.add("b", [task], opened[0])]) {
					expect(await errorOf(call())).toMatchObject({ name: "StoreError", code: "closed", isTransient: false });
				}
			});
		},
	);

	test("sqliteStore() of a function that fails rejects with a StoreError, and calls it again for the next open()", async () => {
		let calls = 0;
		const store = sqliteStore<Database>(() => {
			if (++calls === 1) throw new Error("Not today");
			return make(":memory:");
		});
		for (const call of [() => store.add("b", [task]), () => store.transaction(() => {})]) {
			expect(await errorOf(call())).toMatchObject({ name: "StoreError", code: "not-open" });
		}
		const error = await errorOf(store.open());
		expect(error).toMatchObject({ name: "StoreError", code: "unavailable", cause: { message: "Not today" } });
		await store.open();
		await store.add("b", [task]);
		expect([calls, store.capabilities.durable, store.capabilities.shared]).toEqual([2, false, false]);
		await store.close();
	});

	test("sqliteStore() of a function says what to look at if there is no such folder", async () => {
		await withPath(async (path) => {
			const store = sqliteStore<Database>(() => {
				const db = make(join(path, "not", "there.db"));
				db.exec("PRAGMA user_version");
				return db;
			});
			const error = await errorOf(store.open());
			expect(error).toMatchObject({ name: "StoreError", code: "unavailable" });
			expect(String(error)).toMatch(/folder/);
		});
	});

	test.each([
		["SQLITE_BUSY_SNAPSHOT", "busy"],
		["SQLITE_LOCKED", "busy"],
		["SQLITE_FULL", "full"],
		["SQLITE_CORRUPT_INDEX", "corrupt"],
		["SQLITE_NOTADB", "corrupt"],
		["SQLITE_READONLY", "refused"],
		["SQLITE_READONLY_DBMOVED", "closed"],
		["SQLITE_CONSTRAINT_DATATYPE", "refused"],
		["SQLITE_CANTOPEN", "unavailable"],
		["SQLITE_IOERR_WRITE", "unavailable"],
	])(
		"sqliteStore() knows the errors of better-sqlite3, which have names instead of numbers: %s",
		async (name, code) => {
			const cause = Object.assign(new Error("the database is locked, is full, is malformed"), { code: name });
			const store = sqliteStore<Database>(() => {
				throw cause;
			});
			expect(await errorOf(store.open())).toMatchObject({ name: "StoreError", code, cause });
		},
	);

	test("sqliteStore() knows how better-sqlite3 says that there is no such folder", async () => {
		const store = sqliteStore<Database>(() => {
			throw new TypeError("Cannot open database because the directory does not exist");
		});
		expect(await errorOf(store.open())).toMatchObject({ code: "unavailable", isTransient: true });
	});

	test.each([["nothing", undefined], ["something else", {}], ["a text", "tasks.db"], ["what has no close()", {
		prepare() {},
	}]])(
		"sqliteStore() of a function that gives %s refuses that by name",
		async (_what, given) => {
			const error = await errorOf(sqliteStore((() => given) as never).open());
			expect(error).toBeInstanceOf(TypeError);
			expect(String(error)).toMatch(/"db\(\)/);
		},
	);

	test("sqliteStore() of an open connection does not close it", async () => {
		const db = make(":memory:");
		const store = sqliteStore(db);
		await store.open();
		await store.close();
		await store.add("b", [task]);
		expect(isOpen(db)).toBe(true);
		db.close();
	});

	test("sqliteStore().close() waits for a transaction that is open, and lets a basket that sleeps end", async () => {
		await withPath(async (path) => {
			const store: SqliteStore<Database> = sqliteStore(() => make(path));
			const basket = new Basket({ store: store as Store<Database>, tasks: { work: () => {} } });
			const running = watch(basket.run());
			await basket.add("work", undefined);
			await basket.drain();
			const gate = deferred();
			const transaction = store.transaction(async (tx) => {
				await gate.promise;
				await store.add("b", [task], tx);
			});
			const closing = watch(store.close());
			await settle();
			expect([closing.state, running.state]).toEqual(["pending", "pending"]);
			gate.resolve();
			await transaction;
			while (closing.state === "pending" || running.state === "pending") await settle();
			expect(closing.state).toBe("resolved");
			expect(running).toMatchObject({ state: "rejected", error: { name: "StoreError", code: "closed" } });
			const again: SqliteStore<Database> = sqliteStore(() => make(path));
			await again.open();
			expect((await again.counts("b")).waiting).toBe(1);
			await again.close();
		});
	});

	test("sqliteStore() gives bytes as a Uint8Array that has its memory for itself, whatever the driver gives", async () => {
		const db = make(":memory:");
		const store = sqliteStore(db);
		await store.open();
		const bytes = Uint8Array.of(0, 1, 255);
		await store.add("b", [{ ...task, id: "a", payload: bytes }]);
		await store.post("b", "a", bytes);
		const shown = await store.get("b", "a");
		const { claims } = await store.turn("b", { settle: [], claim: [{ kinds: ["work"], limit: 1 }], lease: 30_000 });
		const found = [shown!.payload, shown!.inbox[0]!.data, claims[0]!.payload, claims[0]!.inbox[0]!.data];
		for (const data of found as Uint8Array<ArrayBuffer>[]) {
			expect(data.constructor).toBe(Uint8Array);
			expect([data.byteOffset, data.buffer.byteLength]).toEqual([0, 3]);
			expect([...data]).toEqual([0, 1, 255]);
		}
		db.close();
	});

	test("sqliteStore() numbers the parameters of a statement from 1 on without gaps, or not at all", async () => {
		// better-sqlite3 counts a gap as a parameter, and treats numbered parameters differently from others.
		const db = make(":memory:");
		const asked = new Set<string>();
		const store = sqliteStore(spied(db, asked));
		await store.open();
		await useAll(store);
		const faults = [...asked].filter((sql) => {
			const numbers = new Set([...sql.matchAll(/\?(\d+)/g)].map(([, number]) => Number(number)));
			const isMixed = numbers.size > 0 && /\?(?!\d)/.test(sql);
			return isMixed || [...numbers].some((number) => number < 1 || number > numbers.size);
		});
		expect(faults).toEqual([]);
		expect([...asked].filter((sql) => /\?\d/.test(sql)).length).toBeGreaterThan(15);
		db.close();
	});
}

/** Calls every member, so that each statement runs. */
async function useAll(store: SqliteStore<Database>): Promise<void> {
	const kinds = ["work", "other"];
	const turn = { settle: [], claim: [{ kinds, limit: 9 }], lease: 30_000 };
	const add = (fields: Partial<NewTask>) => store.add("b", [{ ...task, ...fields }]);
	await store.add("b", [task, task, task, task, { ...task, kind: "other", priority: 1 }]);
	for (const id of ["a", "b", "c"]) await add({ id, lane: "l" });
	await add({ id: "d", payload: Uint8Array.of(1) });
	await store.post("b", "a", "message");
	const { claims } = await store.turn("b", turn);
	const [head] = claims.filter(({ id }) => id === "a");
	const [plain, second, third, fourth] = claims.filter(({ id }) => id.startsWith("_"));
	await store.extend("b", claims, 30_000);
	await store.save("b", [{ ref: plain!, payload: "2" }, { ref: head!, progress: "1", seen: 1 }]);
	for (const entries of [["1"], ["1", "2"], ["1", Uint8Array.of(2)]]) {
		await store.save("b", [{ ref: plain!, log: { after: 0, entries } }]);
	}
	await store.log("b", [{ id: plain!.id, after: 0, limit: 9 }, { ...plain!, after: 0, limit: 9 }]);
	const error = { attempts: 1, error: "x" };
	const settle = [
		{ ref: plain!, outcome: { type: "done" } },
		{ ref: second!, outcome: { type: "done", retain: 60_000 } },
		{ ref: third!, outcome: { type: "dead", ...error } },
		{ ref: fourth!, outcome: { type: "retry", delay: 60_000, backoff: true, ...error } },
	] as const;
	await store.turn("b", { ...turn, settle });
	await store.transaction((tx) => store.complete("b", head!, { type: "done" }, tx).then(() => {}));
	await store.transaction((tx) => store.complete("b", head!, { type: "done" }, tx).then(() => {}));
	await store.hasten("b", 1_000);
	await store.change("b", ["b", third!.id], "hold");
	await store.change("b", ["b", third!.id], "retry");
	for (const state of [undefined, "waiting", "running", "held", "dead", "done"] as const) {
		for (const kind of [undefined, "work"]) await store.list("b", { state, kind, limit: 9 });
	}
	await store.counts("b");
	for (const id of ["b", third!.id]) await store.get("b", id);
	await store.delete("b", ["b", "c", third!.id, "nobody"]);
	const limits = [{ kind: "work", atOnce: 1, spacing: 1, burst: 2 }];
	await store.add("b", ["x", "x", "y"].map((limitKey) => ({ ...task, limitKey })));
	await add({ id: "z", limitKey: "z" });
	const limited = await store.turn("b", { ...turn, limits });
	await add({ id: "z", limitKey: "y", ifPresent: "replace" });
	const outcome = { type: "release", limitKey: "y", isKeyShut: true } as const;
	await store.turn("b", { ...turn, limits, settle: limited.claims.map((ref) => ({ ref, outcome })) });
	for (const state of ["waiting", "running"] as const) await store.list("b", { state, kind: "work", limit: 9 });
	await store.counts("b");
}

// Tests that need a real IndexedDB. The conformance suite runs over it, too.
import { afterEach, describe, expect, test, vi } from "vitest";
import { Basket, batch, type BatchTask, cloneCodec, memoryStore } from "../../../../mod.ts";
import type { NewTask, Store, Turn } from "../../../../src/basket/store.ts";
import { StoreError } from "../../../../src/platform/store-error.ts";
import {
	indexedDBStore,
	indexedDBStoreNames,
	upgradeIndexedDB,
	withFallback,
} from "../../../../src/stores/indexeddb/indexeddb.ts";
import { VirtualClock } from "../../../../src/testing/virtual-clock.ts";
import { expectHeardElsewhere } from "../../../basket/elsewhere.ts";
import { expectData, expectLists } from "../../../records/laws.ts";
import { deferred, errorOf } from "../../../support.ts";
import * as support from "./indexeddb-support.ts";
import { committed, settled } from "./indexeddb-support.ts";

type IndexedDBStore = Store<IDBTransaction>;

const opened: { close?(): unknown }[] = [];
const names: string[] = [];
let count = 0;

afterEach(async () => {
	vi.restoreAllMocks();
	vi.unstubAllGlobals();
	for (const store of opened.splice(0)) await store.close?.();
	await Promise.all(names.splice(0).map((name) => settled(indexedDB.deleteDatabase(name))));
});

function newName(): string {
	const name = `upkeep-test-${Date.now()}-${++count}`;
	names.push(name);
	return name;
}

async function open(
	database: string | IDBDatabase = newName(),
	options: Parameters<typeof indexedDBStore>[1] = {},
): Promise<IndexedDBStore> {
	const store = indexedDBStore(database, options);
	opened.push(store);
	await store.open();
	return store;
}

/** Opens a database of an application, and closes it after the test. */
async function openOwn(name: string = newName()): Promise<IDBDatabase> {
	const database = await support.openOwn(name);
	opened.push(database);
	return database;
}

/** Creates a database as the first version of this library did, with a task. */
async function openFirst(name: string, version = 1): Promise<IDBDatabase> {
	const fields = { kind: "k", payload: "", priority: 0, addedAt: 0, attempts: 0, crashes: 0, posted: 0, seen: 0 };
	const row = { ...fields, order: 1, home: 1, id: "old", state: "waiting", dueAt: 0 };
	return await openPlain(name, 1, (database) => {
		const rows = database.createObjectStore("upkeep.rows", { keyPath: "$key" });
		rows.createIndex("in", "$in", { multiEntry: true });
		rows.put({ ...row, $key: ["task b", 1], $in: [["task.id b", "old"], ["task.due b", "k", 0, 0, 1]] });
		rows.put({ name: "order", value: 1, $key: ["meta b", "order"], $in: [] });
		database.createObjectStore("upkeep.meta").put(version, "version");
	});
}

/** Opens a connection without further logic. */
async function openPlain(...args: Parameters<typeof support.openPlain>): Promise<IDBDatabase> {
	const database = await support.openPlain(...args);
	opened.push(database);
	return database;
}

/** Returns a function that counts the reserves in a database. */
async function countReserve(name: string): Promise<() => Promise<number>> {
	const database = await openPlain(name);
	return () => settled(database.transaction("upkeep.meta").objectStore("upkeep.meta").count("reserve"));
}

function task(more: Partial<NewTask> = {}): NewTask {
	return { kind: "k", payload: "p", delay: 0, priority: 0, ...more };
}

function claim(limit = 10, more: Partial<Turn> = {}): Turn {
	return { settle: [], claim: [{ kinds: ["k"], limit }], lease: 30_000, ...more };
}

/** Begins a transaction as an application does. */
function begin(database: IDBDatabase, mode: IDBTransactionMode = "readwrite"): IDBTransaction {
	return database.transaction([...indexedDBStoreNames, "mine"], mode);
}

/** Limits the number of records that a transaction can write, as if space were low. */
function limitWrites(most: number | (() => number)): void {
	vi.restoreAllMocks();
	const { put } = IDBObjectStore.prototype;
	const written = new WeakMap<IDBTransaction, number>();
	vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (this: IDBObjectStore, ...args) {
		const count = (written.get(this.transaction) ?? 0) + 1;
		written.set(this.transaction, count);
		if (count > (typeof most === "number" ? most : most())) throw new DOMException("", "QuotaExceededError");
		return put.apply(this, args);
	});
}

async function total(store: IndexedDBStore): Promise<number> {
	return Object.values(await store.counts("b")).reduce((sum, one) => sum + one, 0);
}

describe("indexedDBStore(name)", () => {
	test("keeps tasks for the next store of that name", async () => {
		const name = newName();
		const bytes = new Uint8Array([9, 0, 255, 9]).subarray(1, 3);
		await (await open(name)).add("b", [task({ payload: "text" }), task({ payload: bytes })]);
		const { claims } = await (await open(name)).turn("b", claim());
		expect(claims.map(({ payload }) => payload)).toEqual(["text", new Uint8Array([0, 255])]);
	});

	test("keeps Files and Maps for the next store of that name, with cloneCodec", async () => {
		const name = newName();
		const seen: string[] = [];
		type Photo = { file: File; tags: Map<string, Date> };
		const show = async ({ file, tags }: Photo) => {
			seen.push(`${file.name} ${(await file.text()).length} ${tags.get("at")!.getTime()}`);
		};
		const tasks = {
			one: show,
			some: async (photos: readonly Photo[]) => {
				for (const photo of photos) await show(photo);
			},
			many: batch({ most: 2 }, async (tasks: readonly BatchTask<Photo>[]) => {
				for (const { payload } of tasks) await show(payload);
			}),
		};
		const make = async () => new Basket({ store: await open(name), codec: cloneCodec, tasks, attempts: 1 });
		const photo = (size: number) => ({
			file: new File([new Uint8Array(size).fill(32)], `${size}.jpg`),
			tags: new Map([["at", new Date(size)]]),
		});
		const first = await make();
		for (const size of [1, 100_000]) await first.add("one", photo(size));
		for (const size of [2, 3]) await first.add("some", photo(size), { id: "all", ifPresent: "collect" });
		for (const size of [4, 5]) await first.add("many", photo(size));
		const next = await make();
		await next.drain();
		expect((await next.counts()).dead).toBe(0);
		expect(seen.sort()).toEqual([1, 100_000, 2, 3, 4, 5].map((size) => `${size}.jpg ${size} ${size}`));
	});

	test("withFallback() keeps cloned values only if both stores do", () => {
		const cannot = { ...memoryStore(), capabilities: { ...memoryStore().capabilities, clones: undefined } };
		const clones = [memoryStore(), cannot].map((other) =>
			withFallback(indexedDBStore(newName()), other).capabilities.clones
		);
		expect(clones).toEqual([true, undefined]);
	});

	test("stores no more of a buffer than the part that it was given", async () => {
		const name = newName();
		const store = await open(name);
		const [added] = await store.add("b", [task({ payload: new Uint8Array(new ArrayBuffer(10_000), 5, 2) })]);
		const payload = (await store.get("b", added!.id))!.payload as Uint8Array;
		expect([payload.length, payload.buffer.byteLength]).toEqual([2, 2]);
	});

	test("opens its connection again when it was closed", async () => {
		const connections = vi.spyOn(IDBFactory.prototype, "open");
		const store = await open();
		const [request] = connections.mock.results.map(({ value }) => value as IDBOpenDBRequest);
		request!.result.close();
		await store.add("b", [task()]);
		expect(await total(store)).toBe(1);
		expect(connections).toHaveBeenCalledTimes(2);
	});

	test("opens its connection again when the browser has lost it", async () => {
		const store = await open();
		const lost = "Connection to Indexed Database server lost. Refresh the page to try again";
		vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementationOnce(() => {
			throw new DOMException(lost, "UnknownError");
		});
		await store.add("b", [task()]);
		expect(await total(store)).toBe(1);
	});

	test("does nothing a second time that may have been committed", async () => {
		const store = await open();
		vi.spyOn(IDBTransaction.prototype, "commit").mockImplementationOnce(function (this: IDBTransaction) {
			this.abort();
		});
		expect(await errorOf(store.add("b", [task()]))).toMatchObject({ code: "unavailable", isTransient: true });
		expect(await total(store)).toBe(0);
	});

	test("has no connection while the page is kept for its back button", async () => {
		const store = await open();
		const close = vi.spyOn(IDBDatabase.prototype, "close");
		dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
		dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
		expect(close).toHaveBeenCalledTimes(1);
		expect(await total(store)).toBe(0);
	});

	test("keeps a connection that goes while it opens from being taken for the want of storage", async () => {
		const name = newName();
		await (await open(name)).close!();
		const store = indexedDBStore(name);
		opened.push(store);
		const { transaction } = IDBDatabase.prototype;
		vi.spyOn(IDBDatabase.prototype, "transaction").mockImplementationOnce(function (this: IDBDatabase, ...args) {
			this.dispatchEvent(new Event("close"));
			return transaction.apply(this, args);
		});
		await store.open();
		expect(await total(store)).toBe(0);
	});

	test("lets another tab delete the database, and makes a new one", async () => {
		const name = newName();
		const store = await open(name);
		await store.add("b", [task()]);
		const { claims } = await store.turn("b", claim());
		await settled(indexedDB.deleteDatabase(name));
		expect(await total(store)).toBe(0);
		await store.add("b", [task()]);
		await store.turn("b", claim());
		const outcome = { type: "done" } as const;
		// The new task has the number of the old one, but the old claim is not valid for it.
		expect((await store.turn("b", claim(1, { settle: [{ ref: claims[0]!, outcome }] }))).settled).toEqual([false]);
	});

	test("lets another tab upgrade the database, and refuses what it does not know then", async () => {
		const name = newName();
		const store = await open(name);
		await store.add("b", [task()]);
		const database = await openPlain(name, 3);
		expect(await errorOf(store.counts("b"))).toMatchObject({ name: "StoreError", code: "newer-schema" });
		expect(database.version).toBe(3);
		database.close();
		const again = await openPlain(name);
		expect(await settled(again.transaction("upkeep.rows").objectStore("upkeep.rows").count(["task b", 1]))).toBe(1);
	});

	test("takes over a database of the first version while another tab uses it, and its tasks stay", async () => {
		const name = newName();
		const first = await openFirst(name);
		first.onversionchange = () => first.close();
		const store = await open(name);
		expect((await openPlain(name)).version).toBe(2);
		await store.add("b", [{ ...task(), id: "limited", limitKey: "key" }]);
		expect((await store.turn("b", claim(9))).claims.map(({ id }) => id)).toEqual(["old", "limited"]);
	});

	test("refuses a database of an application with the first schema until it is upgraded, and its tasks stay", async () => {
		const name = newName();
		const first = await openFirst(name);
		const store = indexedDBStore(first);
		expect(await errorOf(store.open())).toMatchObject({ code: "not-open", message: /higher version number/ });
		first.close();
		const request = indexedDB.open(name, 2);
		request.onupgradeneeded = () => upgradeIndexedDB(request.result, request.transaction!);
		const database = await settled(request);
		opened.push(database);
		const upgraded = await open(database);
		expect((await upgraded.turn("b", claim(9))).claims.map(({ id }) => id)).toEqual(["old"]);
	});

	test("upgradeIndexedDB() leaves the version of a later schema as it is", async () => {
		const name = newName();
		await openFirst(name, 99);
		const request = indexedDB.open(name, 2);
		request.onupgradeneeded = () => upgradeIndexedDB(request.result, request.transaction!);
		request.onblocked = () => opened.splice(0).forEach((one) => one.close!());
		const database = await settled(request);
		opened.push(database);
		expect(await errorOf(indexedDBStore(database).open())).toMatchObject({ code: "newer-schema" });
	});

	test("refuses a later schema inside a database of the same version", async () => {
		const name = newName();
		await (await open(name)).close!();
		const database = await openPlain(name);
		const transaction = database.transaction("upkeep.meta", "readwrite");
		transaction.objectStore("upkeep.meta").put(99, "version");
		await committed(transaction);
		const store = indexedDBStore(name);
		expect(await errorOf(store.open())).toMatchObject({ code: "newer-schema" });
		expect(await errorOf(store.add("b", [task()]))).toMatchObject({ code: "newer-schema" });
		expect(await settled(database.transaction("upkeep.rows").objectStore("upkeep.rows").count())).toBe(0);
	});

	test("says that it is blocked after a while, and goes on once it is not", async () => {
		const name = newName();
		const other = await openPlain(name, 1); // which blocks upgrades
		const gone = settled(indexedDB.deleteDatabase(name));
		const requests = vi.spyOn(IDBFactory.prototype, "open");
		const clock = new VirtualClock();
		const store = indexedDBStore(name, { clock });
		opened.push(store);
		const blocked = [errorOf(store.open()), errorOf(store.counts("b"))];
		await clock.advance(4999);
		const late = store.open();
		await clock.advance(1);
		expect(await Promise.all(blocked)).toMatchObject(Array(2).fill({ code: "blocked", isTransient: true }));
		other.close();
		await gone;
		await late;
		expect(await total(store)).toBe(0);
		expect(clock.pending).toBe(0);
		expect(requests).toHaveBeenCalledTimes(1);
	});

	test.each([["QuotaExceededError", "full"], ["UnknownError", "unavailable"]])(
		"reports %s as %s, and has changed nothing",
		async (name, code) => {
			const store = await open();
			const put = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementationOnce(
				function (this: IDBObjectStore, ...args) {
					return IDBObjectStore.prototype.add.apply(this, args);
				},
			).mockImplementation(() => {
				throw new DOMException("no", name);
			});
			const error = await errorOf(store.add("b", [task(), task()])) as StoreError;
			put.mockRestore();
			expect(error).toBeInstanceOf(StoreError);
			expect(error).toMatchObject({ code, cause: { name } });
			expect(await total(store)).toBe(0);
		},
	);

	test("says what is full, and what can be done", async () => {
		const store = await open();
		limitWrites(0);
		const error = await errorOf(store.add("b", [task()])) as StoreError;
		expect(error.message).toMatch(/^The database ".*": QuotaExceededError: no space is left .* Delete data or tasks/);
	});

	test("with a full disk it settles what it can, and claims as many tasks as fit", async () => {
		const store = await open();
		await store.add("b", Array.from({ length: 12 }, (_, index) => task({ id: `t${index}` })));
		const first = (await store.turn("b", claim(4))).claims;
		limitWrites(3);
		const settle = first.map((ref) => ({ ref, outcome: { type: "done" } as const }));
		const turn = await store.turn("b", claim(8, { settle }));
		expect(turn.settled).toEqual([true, true, true, true]);
		expect([turn.claims.map(({ id }) => id), turn.dueIn]).toEqual([["t4", "t5"], 0]);
		limitWrites(0);
		const outcomes = [{ type: "retry", delay: 0, attempts: 1, error: "e" }, { type: "done" }] as const;
		const ends = turn.claims.map((ref, index) => ({ ref, outcome: outcomes[index]! }));
		expect(await errorOf(store.turn("b", claim(1, { settle: ends })))).toMatchObject({
			code: "full",
			isTransient: true,
		});
		// The task that only had to be removed is gone; the other task is still running.
		expect(await store.get("b", "t5")).toBe(undefined);
		expect(await errorOf(store.extend("b", turn.claims, 1))).toMatchObject({ code: "full" });
		vi.restoreAllMocks();
		expect(await store.extend("b", turn.claims, 1)).toEqual(["ok", "lost"]);
	});

	test("keeps a reserve once it has added 8 MB, even if that takes no second", async () => {
		const name = newName();
		const store = await open(name, { clock: new VirtualClock() });
		const reserve = await countReserve(name);
		const add = (count: number) =>
			store.add("b", Array.from({ length: count }, () => task({ payload: "x".repeat(1_048_576) })));
		await add(7);
		expect(await reserve()).toBe(0);
		await add(1);
		await vi.waitFor(async () => expect(await reserve()).toBe(1));
	});

	test("keeps no reserve after close()", async () => {
		const name = newName();
		const clock = new VirtualClock();
		const store = await open(name, { clock });
		const reserve = await countReserve(name);
		await store.add("b", [task({ payload: "x".repeat(1_100_000) })]);
		expect(clock.pending).toBe(1);
		await store.close!();
		expect(clock.pending).toBe(0);
		expect(await reserve()).toBe(0);
	});

	test("keeps a reserve a second after it has added a megabyte, and gives it up for what has to be written to a full disk", async () => {
		const name = newName();
		const clock = new VirtualClock();
		const store = await open(name, { clock });
		const reserve = await countReserve(name);
		await store.add("b", [task({ payload: "x".repeat(1_000_000) })]);
		await clock.advance(10_000);
		expect(await reserve()).toBe(0);
		await store.add("b", [task({ payload: "x".repeat(100_000) })]);
		await clock.advance(999);
		await store.add("b", [task({ payload: "x".repeat(100_000) })]);
		expect(await reserve()).toBe(0);
		await clock.advance(1);
		await vi.waitFor(async () => expect(await reserve()).toBe(1));
		// A browser without free space refuses all writes. Deletions free space.
		let left = 0;
		limitWrites(() => left);
		const remove = IDBObjectStore.prototype.delete;
		vi.spyOn(IDBObjectStore.prototype, "delete").mockImplementation(function (this: IDBObjectStore, key) {
			if (key === "reserve") left = 100;
			return remove.call(this, key);
		});
		expect(await errorOf(store.add("b", [task()]))).toMatchObject({ code: "full" });
		expect(await reserve()).toBe(1);
		expect((await store.turn("b", claim(1))).claims.length).toBe(1);
		expect(await reserve()).toBe(0);
	});

	test("opens the database again if the disk is full and no reserve is left, because this may free space", async () => {
		const store = await open();
		await store.add("b", [task()]);
		let isClosed = false;
		limitWrites(() => isClosed ? 100 : 0);
		const close = IDBDatabase.prototype.close;
		vi.spyOn(IDBDatabase.prototype, "close").mockImplementation(function (this: IDBDatabase) {
			isClosed = true;
			close.call(this);
		});
		expect(await errorOf(store.add("b", [task()]))).toMatchObject({ code: "full" });
		expect(isClosed).toBe(false);
		const turn = () => store.turn("b", claim());
		expect((await turn().catch(turn)).claims.length).toBe(1);
	});

	test("writes a long payload once, wherever its task goes, and leaves nothing of it behind", async () => {
		const name = newName();
		const store = await open(name);
		const database = await openPlain(name);
		const long = "x".repeat(20_000);
		const ids = ["done", "kept", "dead", "retried", "deleted"];
		await store.add("b", ids.map((id) => task({ id, payload: long + id })));
		const put = vi.spyOn(IDBObjectStore.prototype, "put");
		const { claims } = await store.turn("b", claim());
		expect(claims.map(({ payload }) => payload)).toEqual(ids.map((id) => long + id));
		expect(await store.extend("b", claims, 1e9)).toEqual(ids.map(() => "ok"));
		const outcomes = [
			{ type: "done" },
			{ type: "done", retain: 1e9 },
			{ type: "dead", attempts: 1, error: "e" },
			{ type: "retry", attempts: 1, error: "e", delay: 0 },
			{ type: "release" },
		] as const;
		await store.turn(
			"b",
			claim(1, { settle: claims.map((ref, index) => ({ ref, outcome: outcomes[index]! })), claim: [] }),
		);
		await store.change("b", ["dead"], "retry");
		for (const [value] of put.mock.calls) expect(JSON.stringify(value).length < 1_000).toBe(true);
		const left = ["kept", "retried", "deleted", "dead"];
		const shown = (await store.list("b", { limit: 9 })).map(({ id, payload }) => [id, payload]);
		expect(shown).toEqual(left.map((id) => [id, long + id]));
		const again = (await store.turn("b", claim())).claims;
		expect(again.map(({ id, payload }) => [id, payload])).toEqual(left.slice(1).map((id) => [id, long + id]));
		const [first, second] = again;
		expect(await store.save("b", [{ ref: first!, payload: "short" }, { ref: second!, payload: long }])).toEqual([
			true,
			true,
		]);
		expect((await store.get("b", first!.id))!.payload).toBe("short");
		expect((await store.get("b", second!.id))!.payload).toBe(long);
		await store.delete("b", left);
		const rows = database.transaction("upkeep.rows").objectStore("upkeep.rows");
		expect(await settled(rows.getAllKeys())).toEqual([["meta b", "order"]]);
	});

	test("stores data of any length, and leaves nothing of it behind", async () => {
		const name = newName();
		const clock = new VirtualClock({ now: 1_000_000 });
		const store = await open(name, { durability: "relaxed", clock });
		const database = await openPlain(name);
		await expectData(store as Store<never>, 16_000, (duration) => clock.advance(duration), async () => {
			const rows = database.transaction("upkeep.rows").objectStore("upkeep.rows");
			return (await settled(rows.getAllKeys())).filter((key) => (key as string[])[0] !== "meta laws");
		});
	});

	test("appends with one write, and removes a log with its task, even with a full disk, but no other log", async () => {
		const name = newName();
		const store = await open(name);
		const database = await openPlain(name);
		const logs = async () => {
			const keys = await settled(database.transaction("upkeep.rows").objectStore("upkeep.rows").getAllKeys());
			return (keys as [string, number][]).filter(([table]) => table.startsWith("log ")).map((key) => key.slice(0, 2));
		};
		for (const basket of ["b", "b2"]) {
			await store.add(basket, Array.from({ length: 10 }, (_, index) => task({ id: `${index + 1}` })));
			const { claims } = await store.turn(basket, claim());
			const log = { after: 0, entries: ["1", "2"] };
			await store.save(basket, claims.filter(({ id }) => /1|2/.test(id)).map((ref) => ({ ref, log })));
			if (basket === "b2") break;
			const put = vi.spyOn(IDBObjectStore.prototype, "put");
			await store.save("b", [{ ref: claims[0]!, log: { after: 2, entries: ["x".repeat(100_000)] } }]);
			expect(put.mock.calls).toMatchObject([[{ n: 3, $key: ["log b", 1, 3] }]]);
			expect((await logs()).length).toBe(7);
			limitWrites(0);
			const settle = [{ ref: claims[0]!, outcome: { type: "done" as const } }];
			expect((await store.turn("b", { settle, claim: [], lease: 1 })).settled).toEqual([true]);
			vi.restoreAllMocks();
			const left = [["log b", 2], ["log b", 2], ["log b", 10], ["log b", 10]];
			expect(await logs()).toEqual(left);
		}
		await store.delete("b2", ["10", "2"]);
		const left = [["log b", 2], ["log b", 2], ["log b", 10], ["log b", 10], ["log b2", 1], ["log b2", 1]];
		expect(await logs()).toEqual(left);
	});

	test("log() gives what is readable of a log that was edited by hand, and all of it goes with its task", async () => {
		const name = newName();
		const store = await open(name);
		const database = await openPlain(name);
		await store.add("b", [task({ id: "a" }), task({ id: "other" })]);
		const { claims: [a, other] } = await store.turn("b", claim());
		const numbers = Array.from({ length: 8 }, (_, index) => `${index + 1}`);
		for (const ref of [a!, other!]) await store.save("b", [{ ref, log: { after: 0, entries: numbers } }]);
		const transaction = database.transaction("upkeep.rows", "readwrite");
		const rows = transaction.objectStore("upkeep.rows");
		const changes = [{ n: 7 }, { n: "2" }, { data: 7 }, { data: null }, { data: undefined }, { home: 2 }, {
			$in: [["x"]],
		}];
		for (const [index, change] of changes.entries()) {
			rows.put({ home: 1, n: index + 1, data: "x", $in: [], $key: ["log b", 1, index + 1], ...change });
		}
		for (const n of [2.5, "text", -1, new Date(0)]) rows.put({ home: 1, n, data: "x", $in: [], $key: ["log b", 1, n] });
		await committed(transaction);
		const all = { after: 0, limit: 20 };
		const found = await store.log("b", [{ id: "a", ...all }, { id: "other", ...all }]);
		expect(found.map((entries) => entries!.map(({ data }) => data))).toEqual([["8"], numbers]);
		expect(await store.save("b", [{ ref: a!, log: { after: 8, entries: ["9"] } }])).toEqual([true]);
		const settle = [a!, other!].map((ref) => ({ ref, outcome: { type: "done" } as const }));
		expect((await store.turn("b", { settle, claim: [], lease: 1 })).settled).toEqual([true, true]);
		const left = await settled(database.transaction("upkeep.rows").objectStore("upkeep.rows").getAllKeys());
		expect(left).toEqual([["meta b", "order"]]);
	});

	test("lists by lane and by prefix, whatever the names are made of", async () => {
		await expectLists(await open() as Store<never>);
	});

	test("list() from the end reads what is there, and a task that cannot be read as dead", async () => {
		const name = newName();
		const store = await open(name);
		await store.add("b", Array.from({ length: 50 }, (_, index) => task({ id: `${index}` })));
		const database = await openPlain(name);
		const transaction = database.transaction("upkeep.rows", "readwrite");
		const rows = transaction.objectStore("upkeep.rows");
		rows.put({ ...await settled(rows.get(["task b", 49])), attempts: "none" });
		await committed(transaction);
		const getAll = vi.spyOn(IDBObjectStore.prototype, "getAll");
		const found = await store.list("b", { limit: 3, isReverse: true });
		expect(found.map(({ id, state }) => [id, state])).toEqual([["49", "waiting"], ["48", "dead"], ["47", "waiting"]]);
		expect(getAll.mock.calls.length).toBe(0);
	});

	test("makes a task dead whose long payload is gone, and lets its lane go on", async () => {
		const name = newName();
		const store = await open(name);
		await store.add("b", [
			task({ id: "bad", lane: "l", payload: "x".repeat(20_000) }),
			task({ id: "good", lane: "l" }),
		]);
		const database = await openPlain(name);
		const transaction = database.transaction("upkeep.rows", "readwrite");
		transaction.objectStore("upkeep.rows").delete(["data b", 1]);
		await committed(transaction);
		expect(await store.get("b", "bad")).toMatchObject({ state: "dead", payload: "", error: /could not be read/ });
		expect((await store.turn("b", claim())).claims).toEqual([]);
		expect((await store.turn("b", claim())).claims).toMatchObject([{ id: "good" }]);
	});

	test.each(["", "garbage", "1", "-000000000000001", "0".repeat(17)])(
		"list() refuses %j, which is no key of a task",
		async (after) => {
			const store = await open();
			const error = await errorOf(store.list("b", { after, limit: 1 }));
			expect(error).toMatchObject({ name: "RangeError", message: /after/ });
		},
	);

	test("takes names with half a surrogate pair for names of their own", async () => {
		const store = await open();
		const names = ["a\ud83d", "a\ud83e", "a\ufffd"];
		await store.add("b", names.map((name) => task({ id: name, lane: name })));
		const { claims } = await store.turn("b", claim());
		expect(claims.map(({ id, lane }) => [id, lane])).toEqual(names.map((name) => [name, name]));
		for (const name of names) {
			await store.add(name, [task({ kind: name })]);
			const request = { settle: [], claim: [{ kinds: [name], limit: 9 }], lease: 1 };
			expect((await store.turn(name, request)).claims.length).toBe(1);
		}
		expect(await total(store)).toBe(3);
	});

	test("an old tab notices a newer schema, and stops writing", async () => {
		const name = newName();
		const store = await open(name);
		await store.add("b", [task({ id: "a" }), task({ id: "b" })]);
		const { claims: [ref] } = await store.turn("b", claim(1));
		const database = await openPlain(name, 3); // the old tab does not block the upgrade
		const newer = { name: "StoreError", code: "newer-schema", isTransient: false };
		const outcome = { type: "done" } as const;
		for (
			const call of [
				() => store.add("b", [task()]),
				() => store.turn("b", claim(1)),
				() => store.turn("b", claim(1, { settle: [{ ref: ref!, outcome }] })),
				() => store.extend("b", [ref!], 1),
				() => store.save("b", [{ ref: ref!, progress: "p" }]),
				() => store.delete("b", ["b"]),
				() => store.change("b", ["b"], "hold"),
				() => store.hasten("b", 0),
				() => store.post("b", "b", "message"),
				() => store.open(),
			]
		) expect(await errorOf(call())).toMatchObject(newer);
		const rows = database.transaction("upkeep.rows").objectStore("upkeep.rows");
		const states = (await settled(rows.getAll())).flatMap(({ state }) => state ?? []);
		expect(states).toEqual(["running", "waiting"]);
	});

	test("makes a record dead that cannot be read, and lets its lane go on", async () => {
		const name = newName();
		const store = await open(name);
		await store.add("b", [task({ id: "bad", lane: "l" }), task({ id: "good", lane: "l" })]);
		const database = await openPlain(name);
		const transaction = database.transaction("upkeep.rows", "readwrite");
		const rows = transaction.objectStore("upkeep.rows");
		const stored = await settled(rows.get(["task b", 1]));
		rows.put({ ...stored, payload: 42 });
		await committed(transaction);
		expect((await store.turn("b", claim())).claims).toEqual([]);
		expect(await store.get("b", "bad")).toMatchObject({ state: "dead", payload: "", error: /could not be read/ });
		expect((await store.turn("b", claim())).claims).toMatchObject([{ id: "good" }]);
	});

	test("makes a record dead that the browser cannot give back, and claims the others", async () => {
		const store = await open();
		await store.add("b", [
			task({ id: "bad", lane: "l", priority: 3 }),
			task({ id: "good" }),
			task({ id: "next", lane: "l" }),
		]);
		const { get } = IDBObjectStore.prototype;
		const fail = (rows: IDBObjectStore) => rows.add({ $key: ["task b", 2] }); // the key already exists
		const { getAll } = IDBIndex.prototype;
		vi.spyOn(IDBIndex.prototype, "getAll").mockImplementation(function (this: IDBIndex, ...args) {
			const isDue = JSON.stringify((args[0] as IDBKeyRange).lower).includes("task.due");
			return isDue ? fail(this.objectStore) as IDBRequest : getAll.apply(this, args as []);
		});
		vi.spyOn(IDBObjectStore.prototype, "get").mockImplementation(function (this: IDBObjectStore, key) {
			return String(key) === "task b,1" ? fail(this) as IDBRequest : get.call(this, key);
		});
		const first = (await store.turn("b", claim())).claims;
		vi.restoreAllMocks();
		const second = (await store.turn("b", claim())).claims;
		expect([...first, ...second].map(({ id }) => id).sort()).toEqual(["good", "next"]);
		expect(await store.get("b", "bad")).toMatchObject({
			state: "dead",
			kind: "k",
			priority: 3,
			lane: "l",
			payload: "",
		});
	});

	test("never claims a task twice, however many stores claim at once", async () => {
		const name = newName();
		const stores = await Promise.all([open(name), open(name), open(name)]);
		await stores[0]!.add("b", Array.from({ length: 300 }, () => task()));
		const turns = await Promise.all(
			stores.flatMap((store) => Array.from({ length: 8 }, () => store.turn("b", claim(20)))),
		);
		const ids = turns.flatMap(({ claims }) => claims.map(({ id }) => id));
		expect([ids.length, new Set(ids).size]).toEqual([300, 300]);
	});

	test("numbers tasks in the order of their additions, whichever stores have made them", async () => {
		const name = newName();
		const stores = await Promise.all([open(name), open(name)]);
		const wanted: string[] = [];
		for (const pattern of ["0011", "01010", "1", "000"]) {
			for (const digit of pattern) {
				const id = `${wanted.length}`;
				wanted.push(id);
				await stores[Number(digit)]!.add("b", [task({ id, lane: "l" })]);
			}
		}
		expect((await stores[0]!.list("b", { limit: 99 })).map(({ id }) => id)).toEqual(wanted);
		expect((await stores[1]!.turn("b", claim())).claims.map(({ id }) => id)).toEqual(["0"]);
		// At the same time, in transactions that begin before the others have ended.
		const counts = Array.from({ length: 40 }, (_, index) => 1 + index % 3);
		const added = await Promise.all(counts.map((count, index) => {
			return stores[index % 2]!.add("c", Array.from({ length: count }, () => task()));
		}));
		const ids = added.flat().map(({ id }) => id);
		const listed = await stores[0]!.list("c", { limit: 99 });
		expect([ids.length, new Set(ids).size]).toEqual([79, 79]);
		expect(listed.map(({ id }) => id).sort()).toEqual(ids.sort());
	});

	test.each(["an aborted transaction", "a failed addition", "a deletion by the browser"])(
		"numbers tasks above all that are stored after %s",
		async (what) => {
			const database = await openOwn();
			const store = await open(database);
			await store.add("b", [task({ id: "0" }), task({ id: "1" })]);
			const all = begin(database);
			if (what === "an aborted transaction") {
				await store.add("b", [task(), task()], all);
				all.abort();
				await errorOf(committed(all));
			} else if (what === "a failed addition") {
				limitWrites(2);
				expect(await errorOf(store.add("b", [task(), task()]))).toMatchObject({ code: "full" });
				vi.restoreAllMocks();
			} else {
				all.objectStore("upkeep.rows").clear();
				await committed(all);
				expect(await total(store)).toBe(0);
			}
			for (const id of ["2", "3"]) await store.add("b", [task({ id })]);
			const kept = what === "a deletion by the browser" ? [] : ["0", "1"];
			expect((await store.list("b", { limit: 9 })).map(({ id }) => id)).toEqual([...kept, "2", "3"]);
			expect((await store.turn("b", claim())).claims.map(({ id }) => id)).toEqual([...kept, "2", "3"]);
		},
	);

	test("rejects after close()", async () => {
		const store = await open();
		await store.close!();
		expect(await errorOf(store.counts("b"))).toMatchObject({ code: "closed" });
	});
});

describe("indexedDBStore().watch()", () => {
	test("wakes those who watch in other stores of the same name", async () => {
		const name = newName();
		const [one, other, stranger] = [await open(name), await open(name), await open()];
		const woken = deferred();
		const wake = vi.fn();
		other.watch!("b", () => woken.resolve(), wake);
		other.watch!("c", wake, wake);
		stranger.watch!("b", wake, wake);
		await one.add("b", [task()]);
		await woken.promise;
		expect(wake).not.toHaveBeenCalled();
	});

	test("lets a task hear at once that another tab has deleted or cancelled it", async () => {
		const name = newName();
		const [one, other] = [await open(name), await open(name)];
		await expectHeardElsewhere(one, other);
		await expectHeardElsewhere(one, one);
	});

	test("wakes for a running task that is deleted, so that whoever runs it can look", async () => {
		const name = newName();
		const [one, other] = [await open(name), await open(name)];
		await one.add("b", [task({ id: "a" }), task({ id: "b", delay: 1e9 })]);
		await one.turn("b", claim());
		const woken = deferred();
		const wake = vi.fn(() => woken.resolve());
		one.watch!("b", wake, woken.reject);
		await other.delete("b", ["b"]);
		await other.delete("b", ["a"]);
		await woken.promise;
		expect(wake).toHaveBeenCalledTimes(1);
	});

	test("wakes those of the same store, until they end it", async () => {
		const store = await open();
		const wake = vi.fn();
		const stop = store.watch!("b", wake, wake);
		await store.add("b", [task()]);
		expect(wake).toHaveBeenCalledTimes(1);
		stop();
		stop();
		await store.add("b", [task()]);
		expect(wake).toHaveBeenCalledTimes(1);
	});

	test("has a channel only as long as somebody watches and the page is not kept for its back button", async () => {
		const channels: Channel[] = [];
		class Channel extends BroadcastChannel {
			isOpen = true;
			constructor(name: string) {
				super(name);
				channels.push(this);
			}
			override close() {
				this.isOpen = false;
				super.close();
			}
		}
		vi.stubGlobal("BroadcastChannel", Channel);
		const isOpen = () => channels.filter((channel) => channel.isOpen).length;
		const store = await open();
		await store.add("b", [task()]);
		expect(isOpen()).toBe(0);
		const wake = vi.fn();
		const stop = store.watch!("b", wake, wake);
		expect(isOpen()).toBe(1);
		dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
		expect(isOpen()).toBe(0);
		dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
		expect(isOpen()).toBe(1);
		expect(wake).toHaveBeenCalledTimes(1); // the watch may have missed a change
		stop();
		expect(isOpen()).toBe(0);
		await store.add("b", [task()]);
		expect(await total(store)).toBe(2);
	});
});

describe("withFallback() and indexedDBStore(name) without storage", () => {
	const memory = () => ({ ...fake, open: vi.fn(async () => {}), counts: vi.fn(async () => none) });
	const none = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
	const fake = {
		capabilities: { durable: false, shared: false, tx: false, clock: "machine" },
	} as unknown as Store<never>;

	test("says so", async () => {
		vi.stubGlobal("indexedDB", undefined);
		expect(await errorOf(indexedDBStore("x").open())).toMatchObject({
			code: "unavailable",
			message: "IndexedDB is not available here",
		});
	});

	test("says so where it is forbidden", async () => {
		vi.stubGlobal("indexedDB", {
			open() {
				throw new DOMException("no", "SecurityError");
			},
		});
		const error = await errorOf(indexedDBStore("x").open());
		expect(error).toMatchObject({ code: "unavailable", cause: { name: "SecurityError" } });
	});

	test("uses the fallback if there is one, and says that it is not durable then", async () => {
		vi.stubGlobal("indexedDB", undefined);
		const fallback = memory();
		const onFallback = vi.fn();
		const store = withFallback(indexedDBStore("x"), fallback, { onFallback });
		const { capabilities } = store;
		expect(capabilities.durable).toBe(true);
		await Promise.all([store.open(), store.open()]);
		expect(capabilities.durable).toBe(false);
		expect(await Promise.resolve(store)).toBe(store);
		expect({ ...capabilities }).toMatchObject({ durable: false, shared: false });
		expect(store.capabilities).toBe(capabilities);
		expect(onFallback.mock.calls).toMatchObject([[{ code: "unavailable" }]]);
		await store.counts("b");
		expect(fallback.counts).toHaveBeenCalledWith("b");
	});

	test("does not use the fallback where there is storage, or where it is not for want of it", async () => {
		const name = newName();
		const fallback = memory();
		const first = withFallback(await open(name), fallback);
		await first.open();
		await first.add("b", [task()]);
		expect(await total(await open(name))).toBe(1);
		const newer = newName();
		(await openPlain(newer, 5)).close();
		const store = withFallback(indexedDBStore(newer), fallback);
		expect(await errorOf(store.open())).toMatchObject({ code: "newer-schema" });
		expect(fallback.open).not.toHaveBeenCalled();
	});
});

describe("indexedDBStore(database)", () => {
	test("adds and completes together with the caller's own data", async () => {
		const database = await openOwn();
		const store = await open(database);
		const adding = begin(database);
		adding.objectStore("mine").put("draft", 1);
		await store.add("b", [task({ id: "a", lane: "l" }), task({ lane: "l" })], adding);
		adding.objectStore("mine").put("sent", 2); // the transaction is still active
		await committed(adding);
		const { claims: [ref] } = await store.turn("b", claim());
		const completing = begin(database);
		completing.objectStore("mine").delete(1);
		expect(await store.complete("b", ref!, { type: "done" }, completing)).toBe(true);
		await committed(completing);
		expect(await total(store)).toBe(1);
		expect((await store.turn("b", claim())).claims.length).toBe(1);
	});

	test("has changed nothing if the caller's transaction is aborted", async () => {
		const database = await openOwn();
		const store = await open(database);
		await store.add("b", [task({ id: "a" })]);
		const { claims: [ref] } = await store.turn("b", claim());
		const transaction = begin(database);
		await store.add("b", [task()], transaction);
		await store.save("b", [{ ref: ref!, payload: "changed" }], transaction);
		await store.complete("b", ref!, { type: "done" }, transaction);
		transaction.abort();
		await errorOf(committed(transaction));
		expect(await total(store)).toBe(1);
		expect(await store.get("b", "a")).toMatchObject({ state: "running", payload: "p" });
	});

	test("does not abort the caller's transaction over an id that is in use or a claim that is lost", async () => {
		const database = await openOwn();
		const store = await open(database);
		await store.add("b", [task({ id: "a" })]);
		const transaction = begin(database);
		const lost = { id: "a", token: "1.1.1" };
		const outcomes = await Promise.all([
			store.add("b", [task({ id: "a" }), task({ id: "c" }), task({ id: "c" })], transaction),
			store.complete("b", lost, { type: "done" }, transaction),
			store.save("b", [{ ref: lost, payload: "x" }], transaction),
		]);
		transaction.objectStore("mine").put(1, 1);
		await committed(transaction);
		const state = "waiting";
		expect(outcomes).toEqual([
			[{ id: "a", added: false, state }, { id: "c", added: true }, { id: "c", added: false, state }],
			false,
			[false],
		]);
	});

	test("wakes nobody before the caller's transaction is committed", async () => {
		const database = await openOwn();
		const store = await open(database);
		const wake = vi.fn();
		store.watch!("b", wake, wake);
		const transaction = begin(database);
		await store.add("b", [task()], transaction);
		expect(wake).not.toHaveBeenCalled();
		await committed(transaction);
		await vi.waitFor(() => expect(wake).toHaveBeenCalledTimes(1));
	});

	test("refuses a transaction that it cannot use", async () => {
		const name = newName();
		const database = await openOwn(name);
		const store = await open(database);
		const refused = (tx: unknown) => errorOf(store.add("b", [task()], tx as IDBTransaction));
		expect(await refused({})).toBeInstanceOf(TypeError);
		expect(await refused(database.transaction("mine", "readwrite"))).toMatchObject({
			name: "TypeError",
			message: /upkeep.rows/,
		});
		expect(await refused(begin(database, "readonly"))).toMatchObject({ name: "TypeError", message: /readwrite/ });
		expect(await refused(begin(await openOwn()))).toMatchObject({ name: "TypeError", message: /of the database/ });
		const ended = begin(database);
		await committed(ended);
		expect(await refused(ended)).toMatchObject({ name: "TypeError", message: /not active/ });
		expect(await errorOf(indexedDBStore(database).add("b", [task()], begin(database)))).toMatchObject({
			code: "not-open",
		});
	});

	test("rejects once the caller has closed the connection, and leaves it open itself", async () => {
		const database = await openOwn();
		const store = await open(database);
		await store.close!();
		expect(await total(await open(database))).toBe(0);
		database.close();
		expect(await errorOf(store.counts("b"))).toMatchObject({ code: "closed", isTransient: false });
		expect(await errorOf(indexedDBStore(database).open())).toMatchObject({ code: "closed" });
	});

	test("refuses a database that lacks its object stores", async () => {
		const database = await openPlain(newName(), 3, (database) => void database.createObjectStore("mine"));
		expect(await errorOf(indexedDBStore(database).open())).toMatchObject({
			code: "not-open",
			message: /upgradeIndexedDB/,
		});
	});

	test("survives an upgrade of the caller's", async () => {
		const name = newName();
		const database = await openOwn(name);
		await (await open(database)).add("b", [task()]);
		database.close();
		const request = indexedDB.open(name, 8);
		request.onupgradeneeded = () => upgradeIndexedDB(request.result, request.transaction!);
		const upgraded = await settled(request);
		opened.push(upgraded);
		expect(await total(await open(upgraded))).toBe(1);
	});
});

describe("indexedDBStore() checks", () => {
	test.each([
		[() => indexedDBStore(undefined as never), /database/],
		[() => indexedDBStore({} as never), /database.transaction/],
		[() => indexedDBStore("x", { durability: "lax" as never }), /durability/],
		[() => indexedDBStore("x", { clock: {} as never }), /clock.set/],
		[() => withFallback({} as never, indexedDBStore("x") as never), /store.open/],
		[() => withFallback(indexedDBStore("x"), {} as never), /fallback.open/],
		[() => withFallback(indexedDBStore("x"), indexedDBStore("y") as never, { onFallback: 1 as never }), /onFallback/],
		[() => upgradeIndexedDB(undefined as never, undefined as never), /database/],
	])("%s", (call, message) => {
		expect(call).toThrow(message);
	});
});

// Tests that sqliteStore() yields to the event loop, and never mistakes one name for another.
import { expect, test } from "vitest";
import type { NewTask } from "../../../src/basket/store.ts";
import { type SqliteStore, sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { replace } from "../../browser/browser-fakes.ts";
import { errorOf } from "../../support.ts";
import { spyOnStatements } from "./spy.ts";
import type { Database, Open } from "./suite.ts";

function task(fields: Partial<NewTask> = {}): NewTask {
	return { kind: "work", payload: "", delay: 0, priority: 0, ...fields };
}

async function openStore(make: Open): Promise<{ db: Database; store: SqliteStore<Database> }> {
	const db = make(":memory:");
	const store = sqliteStore(db);
	await store.open();
	return { db, store };
}

/** Counts the turns of the event loop until the work is done. */
async function breaths(work: Promise<unknown>): Promise<number> {
	let count = 0;
	let isDone = false;
	const end = () => void (isDone = true);
	work.then(end, end);
	while (!isDone) {
		await new Promise((resolve) => setImmediate(resolve));
		count++;
	}
	await work;
	return count;
}

/** @param make opens a database */
export function testResponsive(make: Open): void {
	test("sqliteStore().list() of many tasks leaves the event loop to others meanwhile, and misses none", async () => {
		const { db, store } = await openStore(make);
		await store.add("b", Array.from({ length: 10_000 }, (_, index) => task({ payload: `${index}` })));
		const list = store.list("b", { limit: 9_500 });
		expect(await breaths(list)).toBeGreaterThan(8);
		const wanted = Array.from({ length: 9_500 }, (_, index) => `${index}`);
		expect((await list).map(({ payload }) => payload)).toEqual(wanted);
		for (const limit of [1_000, 2_000, 10_000, 20_000]) {
			expect((await store.list("b", { limit })).length).toBe(Math.min(limit, 10_000));
		}
		expect((await store.list("b", { after: (await list).at(-1)!.key, limit: 5_000 })).length).toBe(500);
		db.close();
	});

	test.each([[true], [false]])(
		"sqliteStore() leaves the event loop to others between many calls (all at once: %s)",
		async (areAtOnce) => {
			const { db, store } = await openStore(make);
			const ids = Array.from({ length: 3_000 }, (_, index) => `${index}`);
			await store.add("b", ids.map((id) => task({ id })));
			const deleting = async () => {
				if (areAtOnce) return void await Promise.all(ids.map((id) => store.delete("b", [id])));
				for (const id of ids) await store.delete("b", [id]);
			};
			// The store yields after some work and 3 ms. Here each reading of the time advances it.
			let time = performance.now(); // continues the time scale of the adds
			replace(performance, "now", () => ++time);
			expect(await breaths(deleting())).toBeGreaterThan(100);
			expect(await store.counts("b")).toMatchObject({ waiting: 0 });
			db.close();
		},
	);

	test("sqliteStore() leaves the event loop to others between calls whose few statements are about many tasks", async () => {
		const { db, store } = await openStore(make);
		const ids = Array.from({ length: 3_000 }, (_, index) => `${index}`);
		await store.add("b", ids.map((id) => task({ id })));
		const deleting = async () => {
			for (let from = 0; from < ids.length; from += 300) await store.delete("b", ids.slice(from, from + 300));
		};
		let time = performance.now();
		replace(performance, "now", () => time += 4);
		expect(await breaths(deleting())).toBeGreaterThanOrEqual(9);
		expect(await store.counts("b")).toMatchObject({ waiting: 0 });
		db.close();
	});

	test("sqliteStore() leaves the event loop to others between a few calls that take long", async () => {
		const { db, store } = await openStore(make);
		const ids = Array.from({ length: 300 }, (_, index) => `nobody ${index}`);
		const changing = async () => {
			for (let call = 0; call < 10; call++) await store.change("b", ids, "hold");
		};
		let time = performance.now();
		replace(performance, "now", () => time += 4);
		expect(await breaths(changing())).toBeGreaterThanOrEqual(9);
		db.close();
	});

	test("sqliteStore().delete() of many ids asks the database a few times", async () => {
		const db = make(":memory:");
		let asked = 0;
		const spy = spyOnStatements(db, () => asked++);
		const store = sqliteStore(spy);
		await store.open();
		const given = Array.from({ length: 10_000 }, (_, index) => `${index}`);
		await store.add("b", given.map((id) => task({ id })));
		const made = (await store.add("b", given.map(() => task()))).map(({ id }) => id);
		asked = 0;
		const deleted = await store.delete("b", [...given, ...made, "nobody", "0", made[0]!]);
		expect(deleted).toEqual([...given.map(() => true), ...made.map(() => true), false, false, false]);
		expect(asked).toBeLessThan(20);
		expect(await store.counts("b")).toMatchObject({ waiting: 0 });
		db.close();
	});

	test.each([["half a pair", "a\ud83d"], ["the other half", "\ude00b"], ["a NUL", "a\0b"]])(
		"sqliteStore() takes no name for another one: %s",
		async (_what, name) => {
			const { db, store } = await openStore(make);
			for (const like of ["a\ufffd", "\ufffdb", "a"]) await store.add("b", [task({ id: like })]);
			for (const fields of [{ id: name }, { kind: name }, { lane: name }]) {
				const [field] = Object.keys(fields);
				const error = await errorOf(store.add("b", [task(), task(fields)]));
				expect(error).toBeInstanceOf(RangeError);
				expect(String(error)).toMatch(`"${field}"`);
			}
			expect(await errorOf(store.add(name, [task()]))).toBeInstanceOf(RangeError);
			expect(await store.get("b", name)).toBe(undefined);
			expect(await store.delete("b", [name])).toEqual([false]);
			expect(await store.change("b", [name], "hold")).toEqual([false]);
			expect(await store.post("b", name, "m")).toBe(false);
			expect(await store.counts("b")).toMatchObject({ waiting: 3, held: 0 });
			db.close();
		},
	);
}

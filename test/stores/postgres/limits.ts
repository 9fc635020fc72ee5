// Limits of postgresStore() beside transactions of the caller, roles with few rights and rows changed by hand. The tests
// set the time of the server where time matters.
import { expect, test } from "vitest";
import type { Claim, KindLimit, NewTask, Settlement, Store } from "../../../src/basket/store.ts";
import { postgresStore } from "../../../src/stores/postgres/postgres.ts";
import { nameIn } from "../../../src/stores/postgres/sql.ts";
import { ask, fresh, type Main, task, until } from "./edges.ts";
import { type Connections, type Driver, stoppedClock } from "./suite.ts";

const lease = 30_000;
const two: KindLimit = { kind: "work", atOnce: 2, spacing: 0, burst: 1 };
const slow: KindLimit = { kind: "work", atOnce: Infinity, spacing: 1_000, burst: 1 };

export function testLimits(driver: Driver, main: Main): void {
	testOpenTransactions(main);
	testCosts(main);
	testEdited(main);

	test("turn() and all others limit tasks for a role that may only use the tables", async () => {
		const { run } = await fresh(main, "limited_role");
		await run("CREATE ROLE limited LOGIN; GRANT USAGE ON SCHEMA limited_role TO limited");
		await run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA limited_role TO limited");
		await run("GRANT USAGE ON ALL SEQUENCES IN SCHEMA limited_role TO limited");
		const own = await driver.open(main().server.url.replace("postgres@", "limited@"));
		try {
			const store = postgresStore(own.client, { schema: "limited_role" });
			await store.open();
			await useKeys(store, own);
		} finally {
			await own.close();
		}
	});
}

/** Calls each member that writes notes or gates. */
export async function useKeys(store: Store, { transaction }: Pick<Connections, "transaction">): Promise<void> {
	await store.add("keys", [...keyed("a", 4), ...keyed("b", 2), task({ id: "lane", lane: "l", limitKey: "b" })]);
	const [a1, a2, b1, b2] = await claim(store, [two]);
	expect([a1, a2, b1, b2].map((claim) => claim?.id)).toEqual(["a1", "a2", "b1", "b2"]);
	await transaction(async (tx) => {
		expect(await store.complete("keys", a1!, { type: "done" }, tx)).toBe(true);
		await store.add("keys", keyed("c", 1), tx);
	});
	const retry = { type: "retry", delay: 1, attempts: 1, error: "x", backoff: true, isKeyShut: true } as const;
	const moved = { type: "release", limitKey: "d" } as const;
	const settle = [{ ref: a2!, outcome: retry }, { ref: b1!, outcome: moved }];
	await store.turn("keys", { settle, claim: [], lease });
	await store.hasten("keys", 0);
	expect(await store.change("keys", ["a3"], "hold")).toEqual([true]);
	expect(await store.change("keys", ["a3"], "release")).toEqual([true]);
	expect(await store.post("keys", "a4", "hello")).toBe(true);
	expect(await store.extend("keys", [b2!], 1)).toEqual(["ok"]);
	const replace = { ifPresent: "replace", limitKey: "e" } as const;
	expect(await store.add("keys", [task({ id: "b2", ...replace })])).toMatchObject([{ state: "running" }]);
	expect(await store.delete("keys", ["a1", "a4"])).toEqual([false, true]);
	const done = new Set<string>();
	await until(async () => {
		const claims = await claim(store, [two]);
		for (const { id } of claims) done.add(id);
		await store.turn("keys", { settle: ended(claims), claim: [], lease });
		return done.size === 6;
	});
	expect([...done].sort()).toEqual(["a2", "a3", "b1", "b2", "c1", "lane"]);
	expect(await store.list("keys", { limit: 9 })).toEqual([]);
}

function testOpenTransactions(main: Main): void {
	test("turn() waits for no transaction that has added or completed tasks of a key, nor does it sleep past its end", async () => {
		const { store, transaction, run } = await fresh(main, "open_key");
		await run(stoppedClock("open_key"));
		await store.add("keys", keyed("a", 3));
		const [a1] = await claim(store, [two], 1);
		await store.add("keys", keyed("b", 1));
		await transaction(async (tx) => {
			expect(await store.complete("keys", a1!, { type: "done" }, tx)).toBe(true);
			await store.add("keys", [task({ id: "first", limitKey: "a", priority: 9 })], tx);
			await store.change("keys", ["a2"], "hold", tx);
			expect(ids(await claim(store, [two]))).toEqual(["a3", "b1"]);
			expect(await claim(store, [two])).toEqual([]);
		});
		expect(ids(await claim(store, [two]))).toEqual(["first"]);
		await transaction(async (tx) => {
			await store.change("keys", ["a2"], "release", tx);
			throw new Error("roll back");
		}).catch(() => {});
		expect(await store.delete("keys", ["a3"])).toEqual([true]);
		expect(await claim(store, [two])).toEqual([]);
		expect(await store.change("keys", ["a2"], "release")).toEqual([true]);
		expect(ids(await claim(store, [two]))).toEqual(["a2"]);
	});

	test("turn() claims a task of a key whose lock a transaction has held and rolled back", async () => {
		const { store, transaction, run } = await fresh(main, "key_back");
		await run(stoppedClock("key_back"));
		await store.add("keys", keyed("a", 1));
		await transaction(async (tx) => {
			expect(await store.delete("keys", ["a1"], tx)).toEqual([true]);
			const { claims, dueIn } = await store.turn("keys", request([two]));
			expect([claims, dueIn > 0 && dueIn < 1_000]).toEqual([[], true]);
			throw new Error("roll back");
		}).catch((error) => expect(String(error)).toMatch(/roll back/));
		expect(ids(await claim(store, [two]))).toEqual(["a1"]);
	});

	test("complete() in a transaction wakes those who wait for the place, when it commits", async () => {
		const { store, transaction } = await fresh(main, "key_woken");
		await store.add("keys", keyed("a", 3));
		const [a1] = await claim(store, [two]);
		let woken = 0;
		const stop = store.watch!("keys", () => void woken++, () => {});
		await until(() => woken > 0);
		let before = 0;
		await transaction(async (tx) => {
			await store.complete("keys", a1!, { type: "done" }, tx);
			before = woken;
		});
		await until(() => woken > before);
		stop();
		expect(ids(await claim(store, [two]))).toEqual(["a3"]);
	});
}

function testCosts(main: Main): void {
	test("add() of a task whose id is taken lets nobody look at the gate of its key", async () => {
		const { store, run } = await fresh(main, "key_taken");
		await run(stoppedClock("key_taken"));
		await store.add("keys", [task({ id: "a", limitKey: "k", delay: 60_000 })]);
		expect((await store.turn("keys", request([two]))).dueIn).toBe(60_000);
		const added = await store.add(
			"keys",
			["a", "b"].map((id) => task({ id, limitKey: "k", delay: id === "a" ? 1_000 : 50_000 })),
		);
		expect(added.map(({ added }) => added)).toEqual([false, true]);
		expect((await store.turn("keys", request([two]))).dueIn).toBe(50_000);
	});

	test("turn() reads a few blocks after an add to a key with thousands of waiting tasks, and leaves no gate behind", async () => {
		const { store, transaction, run } = await fresh(main, "wide_key");
		await run(stoppedClock("wide_key"));
		const read = async () => {
			let count = NaN;
			await transaction(async (tx) => {
				const counted = async () => {
					const text = `SELECT sum(pg_stat_get_xact_blocks_fetched(indexrelid))::int AS count FROM pg_index
						WHERE indrelid IN ('wide_key.tasks'::regclass, 'wide_key.gates'::regclass, 'wide_key.notes'::regclass)`;
					return Number(JSON.stringify(await ask(tx, text)).match(/"count":(\d+)/)![1]);
				};
				const given = `'[[9, ["work"], [{"k": "work", "a": 2, "s": 0, "u": 1}]]]', '30000', '', '[]'`;
				const turn = () => ask(tx, `SELECT wide_key.${nameIn("turn")}('keys', '{}', '[]', ${given})`);
				// The first call on a connection is planned, and the planner looks into indexes, too.
				await ask(tx, "SAVEPOINT planned");
				await turn();
				await ask(tx, "ROLLBACK TO SAVEPOINT planned");
				const before = await counted();
				await turn();
				count = await counted() - before;
				throw new Error("roll back");
			}).catch((error) => expect(String(error)).toMatch(/roll back/));
			return count;
		};
		await store.add("keys", keyed("full", 5));
		const running = await claim(store, [two]);
		await store.add("keys", keyed("full", 1, "more "));
		const few = await read();
		for (let added = 0; added < 4_000; added += 1_000) await store.add("keys", keyed("full", 1_000, `${added} `));
		const many = await read();
		expect([few, many, few > 0 && many < few * 3]).toEqual([few, many, true]);
		expect(await claim(store, [two])).toEqual([]);
		await store.turn("keys", { settle: ended(running), claim: [], lease });
		for (let claims: readonly Claim[]; (claims = await claim(store, [], 1_000)).length > 0;) {
			await store.turn("keys", { settle: ended(claims), claim: [], lease });
		}
		await store.add("keys", keyed("once", 1));
		await store.turn("keys", { settle: ended(await claim(store, [slow])), claim: [], lease });
		await claim(store, [slow]);
		expect(await gates(run, "wide_key")).toBe(1);
		await run("UPDATE wide_key.test_clock SET at = at + 1000");
		await store.add("keys", keyed("other", 1));
		await store.turn("keys", { ...request([two]), settle: ended(await claim(store, [two])) });
		expect([await gates(run, "wide_key"), await store.list("keys", { limit: 1 })]).toEqual([0, []]);
	});
}

function testEdited(main: Main): void {
	test.each([
		"DELETE FROM key_edited.gates; DELETE FROM key_edited.notes",
		"DELETE FROM key_edited.gates; DELETE FROM key_edited.notes; DELETE FROM key_edited.levels",
		"UPDATE key_edited.gates SET ready = 9007199254740991",
		"UPDATE key_edited.gates SET ready = -1, turn = -1, terms = 'x'",
		"UPDATE key_edited.gates SET terms = NULL, ready = 0",
		"UPDATE key_edited.gates SET gate = gate || 'x'",
		"UPDATE key_edited.tasks SET gate = gate || 'x'",
		"UPDATE key_edited.tasks SET gate = NULL WHERE id <> 'a2'",
		"UPDATE key_edited.tasks SET gate = 'z' WHERE gate IS NULL",
		"UPDATE key_edited.tasks SET priority = 77",
		"UPDATE key_edited.tasks SET place = 'z', started = 5",
		"UPDATE key_edited.notes SET due = -9223372036854775808, shut = NULL, start = 0",
		"UPDATE key_edited.test_clock SET at = at - 3600000; UPDATE key_edited.tasks SET due = 0",
	])("turn() claims all tasks within half a minute after a change by hand: %s", async (text) => {
		const { store, run } = await fresh(main, "key_edited");
		await run(`DROP TABLE IF EXISTS key_edited.test_clock; ${stoppedClock("key_edited")}`);
		await run("TRUNCATE key_edited.tasks, key_edited.levels, key_edited.gates, key_edited.notes");
		await store.add("keys", [...keyed("a", 3), ...keyed("b", 1), task({ id: "none" })]);
		const first = await claim(store, [{ ...slow, atOnce: 1 }]);
		expect(ids(first)).toEqual(["a1", "b1", "none"]);
		await store.turn("keys", { settle: ended(first.slice(0, 1)), claim: [], lease });
		await store.add("keys", keyed("c", 1));
		await run(text);
		const done = new Set(["a1"]);
		for (let round = 0; round < 40 && done.size < 6; round++) {
			await run("UPDATE key_edited.test_clock SET at = at + 5000");
			const claims = await claim(store, [slow]);
			for (const { id } of claims) done.add(id);
			await store.turn("keys", { settle: ended(claims), claim: [], lease });
		}
		expect([...done].sort()).toEqual(["a1", "a2", "a3", "b1", "c1", "none"]);
	});

	test.each(["'NaN'", "'Infinity'", "1e300", "-1e300"])(
		"turn() claims tasks of other keys beside a gate that opens at %s",
		async (next) => {
			const { store, run } = await fresh(main, "key_never");
			await run("TRUNCATE key_never.tasks, key_never.gates, key_never.notes");
			await store.add("keys", [...keyed("a", 2), ...keyed("b", 1)]);
			expect(ids(await claim(store, [slow]))).toEqual(["a1", "b1"]);
			await run(`UPDATE key_never.gates SET next = ${next}, spacing = ${next} WHERE gate = 'a'`);
			await store.add("keys", [...keyed("a", 1, "more "), ...keyed("c", 1)]);
			expect(ids(await claim(store, [slow]))).toContain("c1");
		},
	);
}

function keyed(key: string, count: number, prefix = ""): NewTask[] {
	return Array.from({ length: count }, (_, n) => task({ id: `${prefix}${key}${n + 1}`, limitKey: key }));
}

function request(limits: readonly KindLimit[], limit = 100) {
	return { settle: [], claim: [{ kinds: ["work"], limit }], lease, limits };
}

async function claim(store: Store, limits: readonly KindLimit[], limit?: number): Promise<readonly Claim[]> {
	return (await store.turn("keys", request(limits, limit))).claims;
}

function ended(claims: readonly Claim[]): Settlement[] {
	return claims.map((ref) => ({ ref, outcome: { type: "done" } }));
}

function ids(claims: readonly Claim[]): string[] {
	return claims.map(({ id }) => id).sort();
}

async function gates(run: Connections["run"], schema: string): Promise<number> {
	return Number(
		JSON.stringify(await run(`SELECT count(*)::int AS count FROM ${schema}.gates`)).match(/"count":(\d+)/)![1],
	);
}

// The tables of the logs of postgresStore(): what an append writes, and what the removal of a task leaves, for each driver.
import { expect, test } from "vitest";
import type { Claim, Data, Ref, Store } from "../../../src/basket/store.ts";
import type { PostgresClient } from "../../../src/stores/postgres/postgres.ts";
import { ask, claimed, fresh, type Main, task } from "./edges.ts";
import { type Connections, stoppedClock } from "./suite.ts";

const lease = 30_000;

export function testLogs(main: Main): void {
	testAppends(main);
	testRemovals(main);

	test("log() leaves out what it cannot read, and a wrong entry harms nobody else", async () => {
		const { store, run } = await fresh(main, "log_edited");
		await store.add("basket", ["victim", "innocent"].map((id) => task({ id })));
		const claims = await claimed(store);
		for (const ref of claims) await append(store, ref, 0, ["1", "2", "3"]);
		for (const n of ["0", "-1", "NULL", "2147483648", "1"]) {
			await expect(run(`UPDATE log_edited.log SET n = ${n} WHERE n = 2`)).rejects.toThrow(/sound|null|range|unique/);
		}
		const victim = "task = (SELECT log FROM log_edited.tasks WHERE id = 'victim')";
		await run(`UPDATE log_edited.log SET data = U&'\\FDD0' || '{' WHERE n = 1 AND ${victim}`);
		await run(`UPDATE log_edited.log SET data = U&'\\FDD1' || '*' WHERE n = 2 AND ${victim}`);
		await run(`UPDATE log_edited.log SET n = 2147483647 WHERE n = 3 AND ${victim}`);
		const all = { after: 0, limit: 9 };
		expect(await store.log("basket", [{ id: "victim", ...all }, { id: "innocent", ...all }])).toEqual([
			[{ n: 2_147_483_647, data: "3" }],
			["1", "2", "3"].map((data, index) => ({ n: index + 1, data })),
		]);
		await run("UPDATE log_edited.tasks SET log = NULL WHERE id = 'victim'");
		expect(await entriesOf(store, "victim")).toEqual([]);
		await append(store, claims[0]!, 0, ["one"]);
		expect(await entriesOf(store, "victim")).toEqual(["one", "3"]);
		await settle(store, claims);
		expect(await count(run, "log_edited.log")).toBe(0);
	});
}

function testAppends(main: Main): void {
	test("save() writes the row of a task for the first entry of its log only, and none for a lost claim", async () => {
		const { store, run } = await fresh(main, "log_append");
		await store.add("basket", [task({ id: "a" }), task({ id: "b" })]);
		const [a, b] = await claimed(store);
		const places = async () =>
			JSON.stringify(await run("SELECT json_agg(ctid ORDER BY id)::text AS places FROM log_append.tasks"));
		await append(store, a!, 0, ["1"]);
		const before = await places();
		for (let n = 1; n < 5; n++) await append(store, a!, n, [`${n + 1}`]);
		expect(await places()).toBe(before);
		const saves = [a!, { ...a!, token: `${b!.token}` }, { ...b!, token: "7.1" }, b!].map((ref) => ({
			ref,
			log: { after: 5, entries: ["6", Uint8Array.of(0)] },
		}));
		expect(await store.save("basket", saves)).toEqual([true, false, false, true]);
		expect(await entriesOf(store, "a")).toEqual(["1", "2", "3", "4", "5", "6", Uint8Array.of(0)]);
		expect(await count(run, "log_append.log")).toBe(9);
	});

	test("turn() claims no task to whose log a transaction has appended, until that ends", async () => {
		const { store, run, transaction } = await fresh(main, "log_fenced");
		await run(stoppedClock("log_fenced"));
		await store.add("basket", [task({ id: "a" })]);
		const [first] = await claimed(store);
		await append(store, first!, 0, ["1"]);
		await run(`UPDATE log_fenced.test_clock SET at = at + ${lease}`);
		await transaction(async (tx) => {
			await append(store, first!, 1, ["2"], tx);
			expect(await claimed(store)).toEqual([]);
		});
		const [second] = await claimed(store);
		expect(second).toMatchObject({ id: "a", crashes: 1, logged: 2 });
		const late = { ref: first!, log: { after: 1, entries: ["late"] } };
		expect(await store.save("basket", [late])).toEqual([false]);
		const turn = { settle: [{ ...late, outcome: { type: "release" as const } }], claim: [], lease };
		expect((await store.turn("basket", turn)).settled).toEqual([false]);
		expect(await entriesOf(store, "a")).toEqual(["1", "2"]);
	});

	test("turn() says of each task of a run how many entries its log has", async () => {
		const { store } = await fresh(main, "log_run");
		await store.add("basket", ["a", "b", "c"].map((id) => task({ id, lane: "l" })));
		const turn = { claim: [{ kinds: ["work"], limit: 9 }], lease, runs: [{ kind: "work", most: 9 }] };
		const { claims: [a, b, c] } = await store.turn("basket", { ...turn, settle: [] });
		await append(store, c!, 0, ["1"]);
		await append(store, a!, 0, ["1", "2"]);
		const settle = [c, b, a].map((ref) => ({ ref: ref!, outcome: { type: "release" as const } }));
		const { claims } = await store.turn("basket", { ...turn, settle });
		expect(claims.map(({ id, logged }) => [id, logged])).toEqual([["a", 2], ["b", undefined], ["c", 1]]);
	});

	test("add(), turn(), change() and delete() never look for entries of tasks that have no log", async () => {
		const { store, transaction } = await fresh(main, "log_none");
		await store.add("basket", [task(), ...["a", "b", "c"].map((id) => task({ id, lane: "l" }))]);
		const [plain, a] = await claimed(store);
		await transaction(async (tx) => {
			const looked = async () => {
				const text = `SELECT (pg_stat_get_xact_numscans('log_none.log_pkey'::regclass)
					+ pg_stat_get_xact_tuples_inserted('log_none.log'::regclass))::int AS count`;
				return number(await ask(tx, text));
			};
			const before = await looked();
			for (const claim of [plain!, a!]) expect(await store.complete("basket", claim, { type: "done" }, tx)).toBe(true);
			expect(await store.delete("basket", ["b"], tx)).toEqual([true]);
			expect(await store.change("basket", ["c"], "hold", tx)).toEqual([true]);
			await store.add("basket", [task({ id: "c", lane: "l", ifPresent: "replace" })], tx);
			expect(await looked()).toBe(before);
		});
	});
}

function testRemovals(main: Main): void {
	test("a removed task leaves no entry of its log", async () => {
		const { store, run, transaction } = await fresh(main, "log_gone");
		await run(stoppedClock("log_gone"));
		const pass = (duration: number) => run(`UPDATE log_gone.test_clock SET at = at + ${duration}`);
		const ids = ["deleted", "done", "over", "added", "replaced", "completed", "retried", "read"];
		await store.add("basket", [task(), ...ids.map((id) => task({ id }))]);
		const all: readonly Claim[] = await claimed(store);
		const [plain, deleted, done, over, added, replaced, completed, retried] = all;
		for (const claim of all) await append(store, claim, 0, ["1", "2"]);
		expect(await count(run, "log_gone.log")).toBe(18);
		const kept = { type: "done" as const, retain: 1_000 };
		const dead = { type: "dead" as const, attempts: 1, error: "no" };
		const outcomes = [{ type: "done" as const }, { type: "done" as const }, kept, kept, kept, dead];
		const ended = [plain, done, over, added, replaced, retried].map((ref, index) => ({
			ref: ref!,
			outcome: outcomes[index]!,
			log: { after: 2, entries: ["3"] },
		}));
		expect((await store.turn("basket", { settle: ended, claim: [], lease })).settled).toEqual(ended.map(() => true));
		expect(await store.delete("basket", [deleted!.id])).toEqual([true]);
		await transaction((tx) => store.complete("basket", completed!, { type: "done" }, tx));
		expect(await store.change("basket", ["retried"], "retry")).toEqual([true]);
		expect(await entriesOf(store, "retried")).toEqual(["1", "2", "3"]);
		await store.add("basket", [task({ id: "replaced", ifPresent: "replace" })]);
		await pass(1_000);
		await store.add("basket", [task({ id: "added" })]);
		expect(await count(run, "log_gone.log")).toBe(3 + 3 + 2); // of "over", which no turn has removed, "retried" and "read"
		await settle(store, await claimed(store));
		expect(await store.delete("basket", ["read"])).toEqual([true]);
		expect([await count(run, "log_gone.log"), await count(run, "log_gone.leftovers")]).toEqual([0, 0]);
	});

	test("turn() removes a long log in parts, and no other one with it", async () => {
		const { store, run } = await fresh(main, "log_long");
		await run(stoppedClock("log_long"));
		await store.add("basket", ["long", "longer", "short"].map((id) => task({ id })));
		const [long, longer, short] = await claimed(store);
		for (const claim of [long!, longer!, short!]) await append(store, claim, 0, ["1"]);
		await run(`INSERT INTO log_long.log SELECT log, generate_series(2, CASE id WHEN 'long' THEN 5001 ELSE 7000 END), 'x'
			FROM log_long.tasks WHERE id <> 'short'`);
		await settle(store, [long!, longer!]);
		const counts = [await count(run, "log_long.log")];
		for (let round = 0; round < 3; round++) {
			await run("UPDATE log_long.test_clock SET at = at + 200");
			await store.add("basket", [task()]);
			await settle(store, await claimed(store));
			counts.push(await count(run, "log_long.log"));
		}
		expect(counts).toEqual([7_002, 2_002, 1, 1]);
		expect([await entriesOf(store, "short"), await count(run, "log_long.leftovers")]).toEqual([["1"], 0]);
	});

	test("delete() in a transaction that does not see the last entry leaves it to the next turn", async () => {
		const { store, run, transaction } = await fresh(main, "log_unseen");
		await run(stoppedClock("log_unseen"));
		await store.add("basket", [task({ id: "a" })]);
		const [claim] = await claimed(store);
		await append(store, claim!, 0, ["1"]);
		await transaction(async (tx) => {
			await ask(tx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
			await ask(tx, "SELECT FROM log_unseen.tasks");
			await append(store, claim!, 1, ["2"]);
			expect(await store.delete("basket", ["a"], tx)).toEqual([true]);
		});
		expect(await count(run, "log_unseen.log")).toBe(1);
		await run("UPDATE log_unseen.test_clock SET at = at + 200");
		await store.add("basket", [task()]);
		await claimed(store);
		expect([await count(run, "log_unseen.log"), await count(run, "log_unseen.leftovers")]).toEqual([0, 0]);
	});
}

/** Appends to the log of a current claim. */
export async function append(
	store: Store<PostgresClient>,
	ref: Ref,
	after: number,
	entries: readonly Data[],
	tx?: PostgresClient,
): Promise<void> {
	expect(await store.save("basket", [{ ref, log: { after, entries } }], tx)).toEqual([true]);
}

/** The data of all entries. */
export async function entriesOf(store: Store, id: string): Promise<readonly Data[] | undefined> {
	const [entries] = await store.log("basket", [{ id, after: 0, limit: 1_000 }]);
	return entries?.map(({ data }) => data);
}

async function settle(store: Store, claims: readonly Ref[]): Promise<void> {
	const ended = claims.map((ref) => ({ ref, outcome: { type: "done" as const } }));
	const { settled } = await store.turn("basket", { settle: ended, claim: [], lease });
	expect(settled).toEqual(claims.map(() => true));
}

async function count(run: Connections["run"], table: string): Promise<number> {
	return number(await run(`SELECT count(*)::int AS count FROM ${table}`));
}

/** The column `count` of an answer, which each driver shows in its own way. */
function number(answer: unknown): number {
	return Number(JSON.stringify(answer).match(/"count":(\d+)/)![1]);
}

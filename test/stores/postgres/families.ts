// Children and joins in postgresStore(): nobody waits for a transaction of a caller, and what the tables keep.
import { expect, test } from "vitest";
import type { Claim, Data, Store } from "../../../src/basket/store.ts";
import type { PostgresClient } from "../../../src/stores/postgres/postgres.ts";
import { claimed, fresh, type Main, task } from "./edges.ts";
import { deferred } from "../../support.ts";
import type { Connections } from "./suite.ts";

const lease = 30_000;

export function testFamilies(main: Main): void {
	test("turn() counts a child without a wait while a transaction has ended another one, and the last one tells", async () => {
		const { store, transaction } = await fresh(main, "family_open");
		const { children: [a, b] } = await family(store, ["a", "b"]);
		const [begun, end] = [deferred<void>(), deferred<void>()];
		const open = transaction(async (tx) => {
			await store.complete("basket", a!, { type: "done" }, tx);
			begun.resolve();
			await end.promise;
		});
		await begun.promise;
		await settle(store, [b!]);
		expect(await inboxOf(store)).toEqual([]);
		end.resolve();
		await open;
		await settle(store, []);
		expect(await inboxOf(store)).toEqual(["joined"]);
	});

	test("turn() settles the last child while a transaction has locked its parent, and one of the next tells that", async () => {
		const { store, run, transaction } = await fresh(main, "family_locked");
		const { parent, children } = await family(store, ["a", "b"]);
		const [begun, end] = [deferred<void>(), deferred<void>()];
		const open = transaction(async (tx) => {
			await store.save("basket", [{ ref: parent, payload: "new" }], tx);
			begun.resolve();
			await end.promise;
		});
		await begun.promise;
		await settle(store, children);
		expect((await store.turn("basket", { settle: [], claim: [{ kinds: ["x"], limit: 1 }], lease })).dueIn < 1000).toBe(
			true,
		);
		end.resolve();
		await open;
		await settle(store, []);
		expect(await inboxOf(store)).toEqual(["joined"]);
		expect(await count(run, "family_locked.endings")).toBe(0);
	});

	test("turn() of many children leaves nothing but their join, and the removal of their parent leaves nothing", async () => {
		const { store, run } = await fresh(main, "family_rows");
		const ids = Array.from({ length: 250 }, (_, n) => `child ${n}`);
		const { parent, children } = await family(store, ids);
		await settle(store, children.slice(0, 120));
		expect([await count(run, "family_rows.endings"), await count(run, "family_rows.joins")]).toEqual([0, 1]);
		await store.add("basket", [task({ id: "other" })]);
		await settle(store, [parent]);
		for (let turn = 0; turn < 4; turn++) await settle(store, []);
		for (const table of ["families", "joins", "endings", "orphans", "messages"]) {
			expect([table, await count(run, `family_rows.${table}`)]).toEqual([table, 0]);
		}
		expect(await count(run, "family_rows.tasks")).toBe(1);
	});
}

/** A parent, whose join has these children. */
async function family(store: Store<PostgresClient>, ids: readonly string[]) {
	await store.add("basket", [task({ id: "parent", kind: "parent" })]);
	const [parent] = await claimed(store, ["parent"]);
	const children = ids.map((id) => ({ ...task(), id, join: "j" }));
	await store.save("basket", [{ ref: parent!, children, join: { name: "j", left: ids.length, data: "joined" } }]);
	return { parent: parent!, children: await claimed(store) };
}

async function settle(store: Store<PostgresClient>, refs: readonly Claim[]): Promise<void> {
	const settle = refs.map((ref) => ({ ref, outcome: { type: "done" } as const }));
	expect((await store.turn("basket", { settle, claim: [], lease })).settled).toEqual(refs.map(() => true));
}

async function inboxOf(store: Store<PostgresClient>): Promise<Data[] | undefined> {
	return (await store.get("basket", "parent"))?.inbox.map(({ data }) => data);
}

async function count(run: Connections["run"], table: string): Promise<number> {
	return Number(JSON.stringify(await run(`SELECT count(*)::int AS count FROM ${table}`)).match(/"count":(\d+)/)![1]);
}

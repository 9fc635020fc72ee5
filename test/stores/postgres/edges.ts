// Faults around postgresStore(), for each driver: connections, transactions, privileges, settings, damage.
import { expect, test } from "vitest";
import type { NewTask, Store } from "../../../src/basket/store.ts";
import type { StoreError } from "../../../src/platform/store-error.ts";
import {
	type PostgresClient,
	postgresStore,
	type PostgresStoreOptions,
} from "../../../src/stores/postgres/postgres.ts";
import { queryOf } from "../../../src/stores/postgres/query.ts";
import { nameIn } from "../../../src/stores/postgres/sql.ts";
import { testCircles } from "./circles.ts";
import { testDamage, testLasting } from "./damage.ts";
import { testLimits } from "./limits.ts";
import { testRuns } from "./runs.ts";
import { testFamilies } from "./families.ts";
import { testLogs } from "./logs.ts";
import type { Connections, Driver } from "./suite.ts";
import type { PostgresServer } from "../../servers/postgres.ts";

export type Main = () => { server: PostgresServer; connections: Connections };

/** Creates a store with its own schema, as documented. */
export async function fresh(main: Main, schema: string, options: Omit<PostgresStoreOptions, "schema"> = {}) {
	const { client, run, transaction } = main().connections;
	const store = postgresStore(client, { ...options, schema });
	await store.open();
	return { client, run, transaction, store };
}

export function testEdges(driver: Driver, main: Main): void {
	testConnections(driver, main);
	testTransactions(main);
	testLasting(driver, main);
	if (!driver.isMain) return;
	testLists(main);
	testCircles(driver, main);
	testDamage(driver, main);
	testLimits(driver, main);
	testRuns(main);
	testLogs(main);
	testFamilies(main);
}

function testLists(main: Main): void {
	test("list() by a prefix finds ids with any characters, and none that the store has created", async () => {
		const { store } = await fresh(main, "prefixes");
		const ids = [
			"a",
			"a\0b",
			"a\ud83d",
			"a\u{1f600}",
			"a\u{1f600}\0",
			"a\u{1f7ff}",
			"a\ufdd0",
			"\ufdd0a",
			"\ufdd0\0",
			"ab",
			"a\u{10ffff}b",
		];
		await store.add("basket", [...ids.map((id) => task({ id })), task()]);
		for (const prefix of ["", ...ids, "a\ud83d", "a\ud83c", "_", "b", "\0"]) {
			const wanted = ids.filter((id) => id.startsWith(prefix));
			const found = async (isReverse: boolean) =>
				(await store.list("basket", { prefix, isReverse, limit: 99 })).map(({ id }) => id);
			expect([prefix, await found(false)]).toEqual([prefix, wanted]);
			expect([prefix, await found(true)]).toEqual([prefix, wanted.toReversed()]);
		}
	});

	test("list() by a lane or a prefix reads no other task, of thousands", async () => {
		const { store, transaction } = await fresh(main, "wide");
		const many = Array.from({ length: 3_000 }, (_, n) => task({ id: `task ${n}`, lane: `lane ${n % 3}` }));
		await store.add("basket", [...many, ...["few 1", "few 2"].map((id) => task({ id, lane: "few" }))]);
		const read = async (query: object) => {
			let count = NaN;
			await transaction(async (tx) => {
				const counted = async () => {
					const rows = await ask(tx, `SELECT pg_stat_get_xact_blocks_fetched('wide.tasks'::regclass)::int AS count`);
					return Number(JSON.stringify(rows).match(/"count":(\d+)/)![1]);
				};
				const before = await counted();
				const given = JSON.stringify({ after: 0, most: 9, ...query }).replaceAll("'", "''");
				await ask(tx, `SELECT wide.${nameIn("list")}('basket', '${given}')`);
				count = await counted() - before;
			});
			return count;
		};
		const { froms, tos } = queryOf({ prefix: "few", limit: 9 });
		for (const query of [{ lane: "few" }, { lane: "lane 1" }, { froms, tos }]) {
			const count = await read(query);
			expect([query, count > 0 && count < 40]).toEqual([query, true]);
		}
	});
}

/** The clients are set up as documented. An error event without a listener would end the process of the tests. */
function testConnections(driver: Driver, main: Main): void {
	test("add() rejects when its connection is lost in the middle, and the process goes on", async () => {
		const { store, run, transaction } = await fresh(main, "cut");
		for (let round = 0; round < 3; round++) {
			let adding: Promise<unknown> | undefined;
			await transaction(async (tx) => {
				await ask(tx, "LOCK TABLE cut.tasks IN ACCESS EXCLUSIVE MODE");
				adding = store.add("basket", [task()]).then(() => undefined, (error) => error);
				await endWhere(run, "wait_event_type = 'Lock'");
			});
			expect(await adding).toMatchObject({ name: "StoreError", code: "unavailable", isTransient: true });
		}
		await store.add("basket", [task()]);
		expect((await store.counts("basket")).waiting).toBe(1);
	});

	test("add() goes on after connections were lost that did nothing", async () => {
		const { client, close } = await driver.open(main().server.url);
		const store = postgresStore(client, { schema: "idle_cut" });
		await store.open();
		await Promise.all([1, 2, 3].map(() => store.add("basket", [task()])));
		await main().connections.run("SELECT pg_sleep(0.01)");
		await endWhere(main().connections.run, "state = 'idle' AND query LIKE '%idle_cut%'");
		await until(async () => (await store.add("basket", [task()]).then(() => true, () => false)));
		await close();
	});

	// Skipped for a driver that writes to lost connections, because its error cannot be caught.
	test.skipIf(driver.isFragile)(
		"add() with tx: a connection lost in the transaction rejects it, and the process goes on",
		async () => {
			const { store, run, transaction } = await fresh(main, "tx_cut");
			const failed = await transaction(async (tx) => {
				await store.add("basket", [task()], tx);
				await endWhere(run, "state = 'idle in transaction' AND query LIKE '%tx_cut%'");
				await store.add("basket", [task()], tx);
			}).then(() => undefined, (error) => error);
			expect(failed).toBeDefined();
			expect((await store.counts("basket")).waiting).toBe(0);
		},
	);
}

function testTransactions(main: Main): void {
	test("add(), save() and complete() refuse a tx that is no open transaction, and nothing is done", async () => {
		// The driver postgres never answers in a transaction that has ended.
		const { store, client, run, transaction } = await fresh(main, "no_tx", { timeout: 1_000 });
		await store.add("basket", [task({ id: "claimed" })]);
		const [claim] =
			(await store.turn("basket", { settle: [], claim: [{ kinds: ["work"], limit: 1 }], lease: 30_000 })).claims;
		let ended: PostgresClient | undefined;
		await transaction(async (tx) => void (ended = tx));
		for (const tx of [client, ended!]) {
			const refused = [
				store.add("basket", [task({ id: "a" })], tx),
				store.save("basket", [{ ref: claim!, payload: "changed" }], tx),
				store.complete("basket", claim!, { type: "done" }, tx),
			];
			for (const each of refused) await each.then(() => expect("done").toBe("refused"), isRefusal);
		}
		await run("SELECT 1");
		expect(await store.get("basket", "a")).toBeUndefined();
		expect(await store.get("basket", "claimed")).toMatchObject({ state: "running", payload: "" });
	});

	test("add() with tx rejects with a StoreError when the transaction has failed before", async () => {
		const { store, transaction } = await fresh(main, "failed_tx");
		let error: unknown;
		await transaction(async (tx) => {
			await ask(tx, "SELECT 1 / 0").catch(() => {});
			error = await store.add("basket", [task()], tx).then(() => undefined, (error) => error);
			throw new Error("roll back");
		}).catch(() => {});
		expect(error).toMatchObject({ name: "StoreError" });
	});
}

function isRefusal(error: unknown): void {
	// Some drivers detect by themselves that a transaction has ended.
	expect(error instanceof TypeError ? error.message : `StoreError ${(error as StoreError).code}`).toMatch(
		/"tx"|StoreError/,
	);
}

export function task(fields: Partial<NewTask> = {}): NewTask {
	return { kind: "work", payload: "", delay: 0, priority: 0, ...fields };
}

export async function ask(tx: PostgresClient, text: string): Promise<unknown> {
	return await ("unsafe" in tx ? tx.unsafe(text) : tx.query(text));
}

/** Waits for connections that satisfy the condition, and ends them. */
async function endWhere(run: Connections["run"], condition: string): Promise<void> {
	const text = `SELECT count(pg_terminate_backend(pid))::int AS count FROM pg_stat_activity
		WHERE pid <> pg_backend_pid() AND ${condition}`;
	await until(async () => Number(JSON.stringify(await run(text)).match(/"count":(\d+)/)?.[1]) > 0);
}

export async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
	for (let round = 0; !await isSo(); round++) {
		if (round > 2_000) throw new Error("It has not come to pass in 10 s");
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}

export async function claimed(store: Store, kinds = ["work"]) {
	return (await store.turn("basket", { settle: [], claim: [{ kinds, limit: 1000 }], lease: 30_000 })).claims;
}

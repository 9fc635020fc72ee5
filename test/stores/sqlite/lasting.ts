// Permanent faults: each call of sqliteStore() rejects with a StoreError that reports this, and workers end.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Basket, type Store, StoreError, type StoreErrorCode } from "../../../mod.ts";
import type { NewTask } from "../../../src/basket/store.ts";
import { sqliteStore } from "../../../src/stores/sqlite/sqlite.ts";
import { VirtualClock } from "../../../src/testing/testing.ts";
import { errorOf, settle, watch } from "../../support.ts";
import type { Database, Open } from "./suite.ts";

/** A permanent fault of a database. */
interface Misfortune {
	readonly name: string;
	readonly code: StoreErrorCode;
	/** The expected message. */
	readonly words: RegExp;
	/** SQL that another connection than that of the store runs, which wakes a sleeping worker. */
	readonly byOther?: string;
	/** SQL that must run on the connection of the store. */
	readonly bySelf?: string;
	readonly isFileDeleted?: boolean;
	readonly journal?: string;
	/** Whether tasks can still be read. */
	readonly isReadable?: boolean;
}

const misfortunes: readonly Misfortune[] = [
	{
		name: "query_only",
		code: "refused",
		words: /readonly.*query_only/,
		bySelf: "PRAGMA query_only = ON",
		isReadable: true,
	},
	{ name: "no tasks table", code: "corrupt", words: /no such table.*restore/, byOther: "DROP TABLE upkeep_tasks" },
	{ name: "no schema table", code: "corrupt", words: /no such table.*restore/, byOther: "DROP TABLE upkeep_schema" },
	{
		name: "no row of the schema",
		code: "corrupt",
		words: /row .*missing.*restore/,
		byOther: "DELETE FROM upkeep_schema",
	},
	{ name: "no index", code: "corrupt", words: /no such index.*restore/, byOther: "DROP INDEX upkeep_tasks_claimable" },
	{
		name: "a renamed column",
		code: "corrupt",
		words: /no (such column|column named).*restore/,
		byOther: "ALTER TABLE upkeep_tasks RENAME due TO due2",
	},
	{
		name: "a later version",
		code: "newer-schema",
		words: /version 99.*update/,
		byOther: "UPDATE upkeep_schema SET version = 99",
	},
	{
		name: "a trigger that refuses",
		code: "refused",
		words: /not today/,
		byOther: "CREATE TRIGGER t BEFORE UPDATE ON upkeep_tasks BEGIN SELECT RAISE(ABORT, 'not today'); END",
		isReadable: true,
	},
	{ name: "a deleted file in WAL mode", code: "closed", words: /deleted or replaced.*again/, isFileDeleted: true },
	{
		name: "a deleted file",
		code: "closed",
		words: /deleted or replaced.*again/,
		isFileDeleted: true,
		journal: "DELETE",
	},
];

const task: NewTask = { kind: "work", payload: "1", delay: 0, priority: 0 };

interface Opened {
	readonly db: Database;
	readonly clock: VirtualClock;
	readonly store: ReturnType<typeof sqliteStore<Database>>;
	strike(misfortune: Misfortune): Promise<void>;
	close(): void;
}

async function openStore(open: Open, { journal = "WAL" }: Misfortune): Promise<Opened> {
	const folder = mkdtempSync(join(tmpdir(), "upkeep-lasting-"));
	const path = join(folder, "tasks.db");
	const db = open(path);
	db.exec(`PRAGMA journal_mode = ${journal}`);
	const clock = new VirtualClock({ now: 1_700_000_000_000 });
	const store = sqliteStore(db, { clock, pollInterval: 1 });
	await store.open();
	await store.add("default", [task]);
	return {
		db,
		clock,
		store,
		async strike({ byOther, bySelf, isFileDeleted }) {
			if (bySelf !== undefined) db.exec(bySelf);
			if (isFileDeleted) {
				rmSync(path);
				await clock.advance(1_000);
			}
			if (byOther === undefined) return;
			const other = open(path);
			other.exec(byOther);
			other.close();
		},
		close() {
			db.close();
			rmSync(folder, { recursive: true });
		},
	};
}

/** @param make opens a database */
export function testLasting(make: Open): void {
	test.each(misfortunes.map((misfortune) => [misfortune.name, misfortune] as const))(
		"sqliteStore() rejects with a StoreError that says what to do, and changes nothing: %s",
		async (_name, misfortune) => {
			const { db, store, strike, close } = await openStore(make, misfortune);
			const claim = { settle: [], claim: [{ kinds: ["work"], limit: 1 }], lease: 30_000 };
			const { claims: [ref] } = await store.turn("default", claim);
			await store.add("default", [task]);
			const [logged] = (await store.turn("default", claim)).claims;
			await store.save("default", [{ ref: logged!, log: { after: 0, entries: ["1"] } }]);
			await store.add("default", [task]);
			await strike(misfortune);
			const done = { type: "retry", delay: 0, attempts: 1, error: "x" } as const;
			const calls: Record<string, () => Promise<unknown>> = {
				turn: () => store.turn("default", claim),
				settle: () => store.turn("default", { ...claim, settle: [{ ref: ref!, outcome: done }] }),
				extend: () => store.extend("default", [ref!], 1_000),
				save: () => store.save("default", [{ ref: ref!, progress: "1" }]),
				append: () => store.save("default", [{ ref: ref!, log: { after: 0, entries: ["1"] } }]),
				"append more": () => store.save("default", [{ ref: logged!, log: { after: 1, entries: ["2"] } }]),
				...(/trigger|no index/.test(misfortune.name) ? {} : { add: () => store.add("default", [task]) }),
				...(misfortune.isReadable || /no index|column/.test(misfortune.name) ? {} : {
					get: () => store.get("default", ref!.id),
					log: () => store.log("default", [{ id: ref!.id, after: 0, limit: 9 }]),
					list: () => store.list("default", { limit: 9 }),
				}),
				...(misfortune.isReadable ? {} : { counts: () => store.counts("default") }),
			};
			// These members do not need the missing object.
			if (misfortune.name === "no index") {
				for (const name of ["settle", "extend", "save", "append", "append more"]) delete calls[name];
			}
			if (/trigger/.test(misfortune.name)) delete calls["append more"]; // writes no task
			if (misfortune.name === "a renamed column") {
				for (const name of ["save", "append", "append more", "counts"]) {
					delete calls[name];
				}
			}
			for (const [name, call] of Object.entries(calls)) {
				const error = await errorOf(call());
				expect([name, error]).toMatchObject([name, { name: "StoreError", code: misfortune.code, isTransient: false }]);
				expect(error).toBeInstanceOf(StoreError);
				expect((error as Error).message).toMatch(misfortune.words);
			}
			expect(db.isTransaction ?? db.inTransaction).toBe(false);
			if (misfortune.isReadable) expect(await store.counts("default")).toMatchObject({ waiting: 1, running: 2 });
			close();
		},
	);

	test.each(misfortunes.map((misfortune) => [misfortune.name, misfortune] as const))(
		"Basket.run() and drain() on sqliteStore() reject and do not try for ever: %s",
		async (_name, misfortune) => {
			const { store, clock, strike, close } = await openStore(make, misfortune);
			const work = { store: store as Store<Database>, clock, tasks: { work: () => {} } };
			await strike(misfortune);
			const users = [new Basket(work).run(), new Basket(work).drain()].map((user) => watch(user));
			// Nothing is retried later, so the time need not advance.
			while (users.some(({ state }) => state === "pending")) {
				await settle();
				await clock.advance(0);
			}
			for (const user of users) {
				expect(user).toMatchObject({ state: "rejected", error: { name: "StoreError", code: misfortune.code } });
			}
			close();
		},
	);

	test.each(
		misfortunes.filter(({ bySelf }) => bySelf === undefined).map((misfortune) =>
			[misfortune.name, misfortune] as const
		),
	)(
		"Basket.run() on sqliteStore() rejects when it happens while it sleeps: %s",
		async (_name, misfortune) => {
			const { store, clock, strike, close } = await openStore(make, misfortune);
			let runs = 0;
			const basket = new Basket({ store: store as Store<Database>, clock, tasks: { work: () => void runs++ } });
			const running = watch(basket.run());
			while ((await basket.counts()).waiting > 0 || runs === 0) {
				await settle();
				await clock.advance(0);
			}
			await store.add("default", [{ ...task, delay: 1_000 }]);
			await strike(misfortune);
			while (running.state === "pending") {
				await settle();
				await clock.advance(1_000);
			}
			expect(running).toMatchObject({ state: "rejected", error: { name: "StoreError", code: misfortune.code } });
			close();
		},
	);

	test("sqliteStore() on a connection for reading alone shows tasks, and refuses what writes", async () => {
		const folder = mkdtempSync(join(tmpdir(), "upkeep-lasting-"));
		const path = join(folder, "tasks.db");
		const writing = make(path);
		await sqliteStore(writing).open();
		await sqliteStore(writing).open();
		const db = make(path, true);
		const store = sqliteStore(db);
		await store.open();
		expect(await store.counts("default")).toMatchObject({ waiting: 0 });
		const basket = new Basket({ store: store as Store<Database>, tasks: { work: () => {} } });
		for (
			const call of [
				() => basket.add("work", undefined),
				() => store.transaction((tx) => store.add("default", [task], tx)),
			]
		) {
			expect(await errorOf(call())).toMatchObject({ name: "StoreError", code: "refused" });
		}
		db.close();
		writing.close();
		rmSync(folder, { recursive: true });
	});
}

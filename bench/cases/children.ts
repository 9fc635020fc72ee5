// No-op tasks of a store alone, with the calls that a basket makes: as tasks by themselves, or as children of a task that wakes
// when all of them have ended. All have ids, and none is kept.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { memoryStore, type Store } from "upkeep";
import type { Claim } from "upkeep/store";
import { postgresStore } from "upkeep/stores/postgres";
import { sqliteStore } from "upkeep/stores/sqlite";
import { expect, parameters, timeRounds } from "../measure.ts";
import { withDatabase } from "./postgres-queues.ts";

const count = parameters().get("plan") === "quick" ? 2_000 : 10_000;
const batch = 100;
const part = 500;
const lease = 30_000;
const basket = "default";
const [what, storeName] = parameters().get("case")!.split(", ") as [
	string,
	string,
];
const payloads: string[] = Array.from({ length: count }, (_, n) => JSON.stringify(n));
const place = { kind: "task", delay: 0, priority: 0 };

if (storeName === "postgresStore") await withDatabase(measurePostgres);
else if (storeName === "memoryStore") await measure(memoryStore);
else await measureSqlite();
process.exit();

async function measurePostgres(url: string): Promise<void> {
	const store = postgresStore(new pg.Pool({ connectionString: url }));
	await measure(() => store);
}

async function measureSqlite(): Promise<void> {
	const folder = mkdtempSync(join(tmpdir(), "upkeep-bench-children-"));
	let files = 0;
	try {
		await measure(() => {
			const db = new DatabaseSync(join(folder, `${files++}.db`));
			db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
			return sqliteStore(db);
		});
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

async function measure<Tx>(open: () => Store<Tx>): Promise<void> {
	await timeRounds(count, async () => {
		const store = open();
		await store.open();
		// A database gets the tables of children with the first one.
		if (what === "children") await addChildren(store, payloads.slice(0, 1));
		if (what === "children") await workOff(store);
		let ended = 0;
		return {
			work: async () => {
				await (what === "tasks" ? addTasks(store) : addChildren(store, payloads));
				ended = await workOff(store);
			},
			verify: () => expect(ended, count),
		};
	});
}

async function addTasks<Tx>(store: Store<Tx>): Promise<void> {
	for (let from = 0; from < count; from += part) {
		const some = payloads.slice(from, from + part);
		await store.add(basket, some.map((payload, n) => ({ id: `task/${from + n}`, payload, ...place })));
	}
}

async function addChildren<Tx>(store: Store<Tx>, payloads: readonly string[]): Promise<void> {
	await store.add(basket, [{ id: "parent", payload: "", ...place, kind: "parent" }]);
	const { claims: [ref] } = await store.turn(basket, { settle: [], claim: [{ kinds: ["parent"], limit: 1 }], lease });
	const join = { name: "all", left: payloads.length, data: "joined" };
	for (let from = 0; from < payloads.length; from += part) {
		const some = payloads.slice(from, from + part);
		const children = some.map((payload, n) => ({ id: `child/${from + n}`, payload, ...place, join: "all" }));
		await store.save(basket, [{ ref: ref!, join, children }]);
	}
	const outcome = { type: "later", payload: "", delay: null, seen: 0 } as const;
	await store.turn(basket, { settle: [{ ref: ref!, outcome }], claim: [], lease });
}

/** Returns the number of tasks that have ended, when the parent has been woken, if there is one. */
async function workOff<Tx>(store: Store<Tx>): Promise<number> {
	let ended = 0;
	let claims: readonly Claim[] = [];
	do {
		const settle = claims.map((ref) => ({
			ref,
			outcome: { type: "done" } as const,
		}));
		({ claims } = await store.turn(basket, {
			settle,
			claim: [{ kinds: ["task"], limit: batch }],
			lease,
		}));
		ended += claims.length;
	} while (claims.length > 0);
	if (what === "tasks") return ended;
	const { claims: [parent] } = await store.turn(basket, {
		settle: [],
		claim: [{ kinds: ["parent"], limit: 1 }],
		lease,
	});
	expect(parent?.inbox.length, 1);
	await store.turn(basket, {
		settle: [{ ref: parent!, outcome: { type: "done" } }],
		claim: [],
		lease,
	});
	return ended;
}

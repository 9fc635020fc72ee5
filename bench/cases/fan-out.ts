// See `fan-out-rounds.ts`.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { memoryStore, type Store } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";
import { parameters, timeRounds } from "../measure.ts";
import { asChildren, asJobs, batch, type FanOut, indexes, items, roundOf, run } from "./fan-out-rounds.ts";

const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-fan-out-"));
let files = 0;

const cases: Record<string, () => FanOut | Promise<FanOut>> = {
	"jobs, memoryStore": () => asJobs(memoryStore() as Store<never>),
	"Job.each, memoryStore": () => asChildren(memoryStore() as Store<never>),
	"node:sqlite by hand": byHand,
	"jobs, sqliteStore": () => asJobs(sqliteStore(open()) as Store<never>),
	"Job.each, sqliteStore": () => asChildren(sqliteStore(open()) as Store<never>),
	openworkflow,
};

try {
	await timeRounds(items, async () => roundOf(await cases[parameters().get("case")!]!()));
} finally {
	rmSync(folder, { recursive: true, force: true });
}
process.exit();

function open(): DatabaseSync {
	const db = new DatabaseSync(newFile());
	db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
	return db;
}

function newFile(): string {
	return join(folder, `${files++}.db`);
}

function byHand(): FanOut {
	const db = open();
	db.exec(`
		CREATE TABLE job (id INTEGER PRIMARY KEY, parent INTEGER, payload TEXT, result TEXT, due INTEGER, items INTEGER) STRICT;
		CREATE INDEX waiting ON job (due, id) WHERE result IS NULL;
		CREATE INDEX children ON job (parent, id);
	`);
	const inTransaction = <T>(work: () => T): T => {
		db.exec("BEGIN IMMEDIATE");
		const result = work();
		db.exec("COMMIT");
		return result;
	};
	const add = db.prepare("INSERT INTO job (parent, payload, due, items) VALUES (?, ?, ?, ?)");
	const claim = db.prepare(`
		UPDATE job SET due = ? WHERE id IN (
			SELECT id FROM job WHERE due <= ? AND result IS NULL ORDER BY due, id LIMIT ${batch}
		) RETURNING id, payload`);
	const end = db.prepare("UPDATE job SET result = ? WHERE id = ?");
	const count = db.prepare("UPDATE job SET items = items - ? WHERE id = ? RETURNING items");
	const read = db.prepare("SELECT result FROM job WHERE parent = ? ORDER BY id");
	return async () => {
		const parent = inTransaction(() => {
			const { lastInsertRowid } = add.run(null, null, null, items);
			for (const item of indexes()) {
				add.run(lastInsertRowid, JSON.stringify(item), 0, null);
			}
			return lastInsertRowid;
		});
		let done: { id: number; result: number }[] = [];
		for (let left = items; left > 0;) {
			const rows = inTransaction(() => {
				for (const { id, result } of done) end.run(JSON.stringify(result), id);
				left = count.get(done.length, parent)!["items"] as number;
				return claim.all(Date.now() + 30_000, Date.now()) as unknown as {
					id: number;
					payload: string;
				}[];
			});
			done = await Promise.all(rows.map(async ({ id, payload }) => ({ id, result: await run(JSON.parse(payload)) })));
		}
		const results = read.all(parent).map(({ result }) => JSON.parse(result as string) as number);
		end.run(JSON.stringify(results), parent);
		return results;
	};
}

async function openworkflow(): Promise<FanOut> {
	const { OpenWorkflow } = await import("openworkflow");
	const { BackendSqlite } = await import("openworkflow/sqlite");
	const backend = BackendSqlite.connect(newFile());
	// openworkflow has no option for this.
	(backend as unknown as { db: DatabaseSync }).db.exec("PRAGMA synchronous = NORMAL");
	const client = new OpenWorkflow({ backend });
	const workflow = client.defineWorkflow(
		{ name: "fan-out" },
		({ step }) => Promise.all(indexes().map((item) => step.run({ name: `item ${item}` }, () => run(item)))),
	);
	return async () => {
		const worker = client.newWorker({ concurrency: batch });
		await worker.start();
		const results = await (await workflow.run()).result();
		void worker.stop();
		return results;
	};
}

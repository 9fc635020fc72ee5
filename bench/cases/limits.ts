// Tasks of 1,000 keys that wait in SQLite, with at most 2 at once of each key and without a limit, until all are done.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { Basket, limit } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";
import { expect, parameters, type Round, timeRounds } from "../measure.ts";

const keys = 1_000;
const isLimited = parameters().get("case")!.includes("key");
const count = parameters().get("plan") === "quick" ? 2_000 : 10_000;
const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-limits-"));
let files = 0;

try {
	await timeRounds(count, setUp);
} finally {
	rmSync(folder, { recursive: true, force: true });
}
process.exit();

async function setUp(): Promise<Round> {
	const db = new DatabaseSync(join(folder, `${files++}.db`));
	db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
	let done = 0;
	const run = (_: number) => void done++;
	const limited = limit({ key: (payload: number) => `key ${payload % keys}`, atOnce: 2 });
	const task = isLimited ? { run, limit: limited } : { run };
	const basket = new Basket({ store: sqliteStore(db), concurrency: 100, tasks: { task } });
	await basket.addMany(Array.from({ length: count }, (_, payload) => ({ kind: "task" as const, payload })));
	const verify = (): void => {
		expect(done, count);
		db.close();
	};
	return { work: () => basket.drain(), verify };
}

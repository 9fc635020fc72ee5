// Adds of one task each, of which each one is stored before the next begins.
import { mkdtempSync, rmSync } from "node:fs";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Basket } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";
import { expect, parameters, type Round, timeRounds } from "../measure.ts";

const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-add-"));
const [, name, synchronous] = /^(.*), (FULL|NORMAL)$/.exec(
	parameters().get("case")!,
)!;
const count = parameters().get("plan") === "quick" ? 200 : 1_000;
let files = 0;
try {
	await timeRounds(count, name === "node:sqlite by hand" ? byHand : withBasket);
} finally {
	rmSync(folder, { recursive: true, force: true });
}
process.exit();

function open(): DatabaseSync {
	const db = new DatabaseSync(join(folder, `${files++}.db`));
	db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`);
	return db;
}

function byHand(): Round {
	const db = open();
	db.exec("CREATE TABLE task (id INTEGER PRIMARY KEY, payload TEXT NOT NULL, due INTEGER NOT NULL) STRICT");
	db.exec("CREATE INDEX task_due ON task (due)");
	const add = db.prepare("INSERT INTO task (payload, due) VALUES (?, ?)");
	return {
		// deno-lint-ignore require-await
		work: async () => {
			for (let i = 0; i < count; i++) add.run(JSON.stringify(i), Date.now());
		},
		verify: () => expect(db.prepare("SELECT count(*) AS count FROM task").get()!["count"], count),
	};
}

async function withBasket(): Promise<Round> {
	const basket = new Basket({ store: sqliteStore(open()), tasks: { task: async (_: number) => {} } });
	await basket.open();
	return {
		work: async () => {
			for (let i = 0; i < count; i++) await basket.add("task", i);
		},
		verify: async () => expect((await basket.counts()).waiting, count),
	};
}

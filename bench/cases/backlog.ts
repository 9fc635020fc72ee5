// The time of a claim of 100 tasks while many others wait in an SQLite database, and the memory of a worker process.
// Another process adds the tasks. `synchronous` is NORMAL, so that the disk is not measured.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Basket, type Store } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";
import { expect, parameters, report } from "../measure.ts";

declare const gc: () => void;

const name = "backlog";
const claimed = 100;
const lease = 30_000;
const total = Number(parameters().get("case")!.split(" ")[0]!.replaceAll(",", ""));
const file = parameters().get("file");
await (file === null ? measure() : fill(file));
process.exit();

async function measure(): Promise<void> {
	const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-backlog-"));
	try {
		const path: string = join(folder, "tasks.db");
		fillElsewhere(path);
		const store = sqliteStore(open(path));
		await store.open();
		const time: number = await claimTime(store);
		const done: number = await work(store);
		const { waiting, running } = await store.counts(name);
		expect(waiting + running, total - done);
		gc();
		await report(time, process.memoryUsage().rss / 2 ** 20);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

/** Returns the median in microseconds. Each claim is released, which moves its tasks behind all others. */
async function claimTime(store: Store<DatabaseSync>): Promise<number> {
	const times: number[] = [];
	for (let i = 0; i < 200; i++) {
		const start: number = performance.now();
		const { claims } = await store.turn(name, { settle: [], claim: [{ kinds: ["task"], limit: claimed }], lease });
		times.push(performance.now() - start);
		expect(claims.length, claimed);
		const settle = claims.map((ref) => ({ ref, outcome: { type: "release" } as const }));
		expect((await store.turn(name, { settle, claim: [], lease })).settled.every(Boolean), true);
	}
	return times.sort((a, b) => a - b)[times.length / 2]! * 1e3;
}

/** Works for a few seconds at most, on as many tasks as the smallest of these databases has. */
async function work(store: Store<DatabaseSync>): Promise<number> {
	const { promise, resolve } = Promise.withResolvers<void>();
	let started = 0;
	const task = (): void => {
		if (++started === 1_000) resolve();
	};
	const basket = new Basket({ store, name, tasks: { task } });
	void basket.run();
	await promise;
	await basket.stop();
	return basket.getSnapshot().succeeded;
}

function open(path: string): DatabaseSync {
	const db = new DatabaseSync(path);
	db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
	return db;
}

function fillElsewhere(path: string): void {
	const [program, ...args] = JSON.parse(parameters().get("command")!) as string[];
	const all = new URLSearchParams([...parameters(), ["file", path]]);
	const { status } = spawnSync(program!, [...args, String(all)], { stdio: ["ignore", "ignore", "inherit"] });
	expect(status, 0);
}

async function fill(path: string): Promise<void> {
	const db: DatabaseSync = open(path);
	const store = sqliteStore(db);
	await store.open();
	const task = { kind: "task", payload: JSON.stringify({ to: "somebody@example.com" }), delay: 0, priority: 0 };
	const size: number = Math.min(total, 10_000);
	for (let added = 0; added < total; added += size) await store.add(name, Array.from({ length: size }, () => task));
	db.close();
}

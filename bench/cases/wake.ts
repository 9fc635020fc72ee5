// The latency from `add` to the start of the task in an idle worker, and the CPU time of an idle worker. The worker
// is the measuring process; in the cases across processes another process adds the tasks. The payload is the time of
// the `add` on the wall clock, which all processes share. By default plainjob polls each second. liteque has no
// default, so it gets the interval of its own examples.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Basket, memoryStore, type Store } from "upkeep";
import { sqliteStore } from "upkeep/stores/sqlite";
import { expect, parameters, report } from "../measure.ts";
import { allowPromises, silent } from "./queue-peers.ts";

/** Adds a task whose payload is the current time. */
type Add = () => unknown;
/** Opens the queue and, if a function for its tasks is given, starts to work. */
type Open = (file: string, onTask: ((addedAt: number) => void) | undefined) => Add | Promise<Add>;

const openers: Record<string, Open> = {
	"Basket, memoryStore": (_, onTask) => basket(memoryStore(), onTask),
	"Basket, sqliteStore": (file, onTask) => basket(sqliteStore(openDatabase(file)), onTask),
	"Basket, sqliteStore, 2 processes": (file, onTask) => basket(sqliteStore(openDatabase(file)), onTask),
	plainjob,
	liteque,
};

/** The duration of the idle measurement and that of adding tasks, in milliseconds. */
const [idling, adding] = parameters().get("plan") === "quick" ? [2_000, 2_000] : [10_000, 6_000];
const name = parameters().get("case")!;
const file = parameters().get("file");
await (file === null ? measure() : addFor(file));
process.exit();

async function measure(): Promise<void> {
	const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-wake-"));
	const latencies: number[] = [];
	let isStarted = (): void => {};
	const add: Add = await openers[name]!(join(folder, "tasks.db"), (addedAt) => {
		latencies.push(now() - addedAt);
		isStarted();
	});
	for (let i = 0; i < 5; i++) await addOne(add);
	latencies.length = 0;
	const idle: number = await idleCost();
	const added = name.endsWith("2 processes") ? await addElsewhere(join(folder, "tasks.db")) : await addHere();
	expect(latencies.length, added);
	rmSync(folder, { recursive: true, force: true });
	latencies.sort((a, b) => a - b);
	await report(quantile(0.5), quantile(0.95), idle);

	function addOne(add: Add): Promise<void> {
		return new Promise((resolve) => {
			isStarted = resolve;
			add();
		});
	}

	async function addHere(): Promise<number> {
		let count = 0;
		for (const start = now(); now() - start < adding; count++) {
			await addOne(add);
			await pause(5);
		}
		return count;
	}

	function quantile(part: number): number {
		return latencies[Math.floor(latencies.length * part)]!;
	}
}

/** Measures the CPU time of this idle process, in milliseconds per minute. */
async function idleCost(): Promise<number> {
	await pause(500);
	const before = process.cpuUsage();
	const start: number = now();
	await new Promise((resolve) => setTimeout(resolve, idling));
	const { user, system } = process.cpuUsage(before);
	return (user + system) / 1e3 * 60_000 / (now() - start);
}

/** Resolves with the number of added tasks when all of them should have started. */
async function addElsewhere(file: string): Promise<number> {
	const [program, ...args] = JSON.parse(parameters().get("command")!) as string[];
	const child = spawn(program!, [...args, String(new URLSearchParams([...parameters(), ["file", file]]))], {
		stdio: ["ignore", "pipe", "inherit"],
	});
	let output = "";
	child.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
	await new Promise((resolve) => child.once("close", resolve));
	await pause(200);
	return Number(output);
}

/** Adds tasks without waiting for their start. The pauses are long enough. */
async function addFor(file: string): Promise<void> {
	const add: Add = await openers[name]!(file, undefined);
	let count = 0;
	for (const start = now(); now() - start < adding; count++) {
		await add();
		await pause(50);
	}
	await report(count);
}

function now(): number {
	return performance.timeOrigin + performance.now();
}

/** Waits for a random time, so that the interval of a polling worker does not influence the result. */
function pause(least: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, least * (1 + 2 * Math.random())));
}

function openDatabase(file: string): DatabaseSync {
	const db = new DatabaseSync(file);
	db.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL");
	return db;
}

async function basket<Tx>(store: Store<Tx>, onTask: ((addedAt: number) => void) | undefined): Promise<Add> {
	const basket = new Basket({ store, tasks: { task: (addedAt: number) => onTask?.(addedAt) } });
	await basket.open();
	if (onTask !== undefined) void basket.run();
	return () => basket.add("task", now());
}

async function plainjob(file: string, onTask: ((addedAt: number) => void) | undefined): Promise<Add> {
	const { default: Database } = await import("better-sqlite3");
	const { better, defineQueue, defineWorker } = await import("plainjob");
	const queue = defineQueue({ connection: better(new Database(file)), logger: silent });
	// deno-lint-ignore require-await -- the library requires a promise
	const run = async ({ data }: { data: string }): Promise<void> => onTask?.(JSON.parse(data));
	void defineWorker("task", run, { queue, logger: silent }).start();
	return () => queue.add("task", now());
}

async function liteque(file: string, onTask: ((addedAt: number) => void) | undefined): Promise<Add> {
	allowPromises((await import("better-sqlite3")).default);
	const { buildDBClient, Runner, SqliteQueue } = await import("liteque");
	const db = buildDBClient(file, { runMigrations: true });
	const queue = new SqliteQueue<number>("task", db, { defaultJobArgs: { numRetries: 3 }, keepFailedJobs: false });
	const options = { pollIntervalMs: 1_000, timeoutSecs: 60, concurrency: 10 };
	// deno-lint-ignore require-await -- the library requires a promise
	void new Runner(queue, { run: async ({ data }) => onTask?.(data) }, options).run();
	return () => queue.enqueue(now());
}

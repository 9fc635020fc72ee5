// Many no-op tasks that are added at once, until the end of all tasks is stored. The latency of the first task is not
// measured. All libraries have their default settings, except for logging. plainjob and liteque set `synchronous` to NORMAL
// themselves, and plainjob keeps the rows of completed tasks. The hand-written queue claims batches of 100 rows by a later
// due time, and removes each batch in the commit that claims the next. Of 100,000 tasks, it claims as many as a basket.
import { mkdtempSync, rmSync } from "node:fs";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import PQueue from "p-queue";
import { Basket, memoryStore, type Store } from "upkeep";
import type { Claim } from "upkeep/store";
import { sqliteStore } from "upkeep/stores/sqlite";
import { expect, parameters, type Round, timeRounds } from "../measure.ts";
import { allowPromises, silent } from "./queue-peers.ts";

type Task = (payload: number) => Promise<void>;

/** A queue that stores and runs tasks. */
interface Queue {
	/** Adds a task for each payload, and resolves when the end of all tasks is stored. */
	process: (payloads: number[]) => Promise<void>;
	/** The number of tasks that are not done. */
	left: () => number | Promise<number>;
}

const [, name, isLarge] = /^(.*?)(, 100,000)?$/.exec(parameters().get("case")!)!;
const batch = isLarge ? 1_000 : 100;
const lease = 30_000;
const folder: string = mkdtempSync(join(tmpdir(), "upkeep-bench-queue-"));
let files = 0;

const cases: Record<string, (task: Task) => Queue | Promise<Queue>> = {
	"memoryStore by hand": () => storeByHand(memoryStore()),
	"Basket, memoryStore": (task) => basket(task, memoryStore()),
	"p-queue": pQueue,
	"node:sqlite by hand, FULL": (task) => byHand(task, open("FULL")),
	"Basket, sqliteStore, FULL": (task) => basket(task, sqliteStore(open("FULL"))),
	"node:sqlite by hand, NORMAL": (task) => byHand(task, open("NORMAL")),
	"Basket, sqliteStore, NORMAL": (task) => basket(task, sqliteStore(open("NORMAL"))),
	"plainjob, NORMAL": plainjob,
	"liteque, NORMAL": liteque,
};

const count = (isLarge ? 10 : 1) * (parameters().get("plan") === "quick" ? 1_000 : 10_000);
try {
	await timeRounds(count, () => setUp(cases[name!]!));
} finally {
	rmSync(folder, { recursive: true, force: true });
}
process.exit();

async function setUp(
	make: (task: Task) => Queue | Promise<Queue>,
): Promise<Round> {
	let done = 0;
	let sum = 0;
	// The measured task is async, although it awaits nothing.
	// deno-lint-ignore require-await
	const queue = await make(async (payload) => {
		done++;
		sum += payload;
	});
	const payloads = Array.from({ length: count }, (_, i) => i);
	const isByHand = name === "memoryStore by hand"; // this case runs no tasks
	const verify = async (): Promise<void> => {
		expect(await queue.left(), 0);
		expect(isByHand || done, isByHand || count);
		expect(isByHand || sum, isByHand || count * (count - 1) / 2);
	};
	return { work: () => queue.process(payloads), verify };
}

function newFile(): string {
	return join(folder, `${files++}.db`);
}

function open(synchronous: "FULL" | "NORMAL"): DatabaseSync {
	const db = new DatabaseSync(newFile());
	db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`);
	return db;
}

async function basket<Tx>(task: Task, store: Store<Tx>): Promise<Queue> {
	const basket = new Basket({ store, tasks: { task } });
	await basket.open();
	return {
		process: async (payloads) => {
			await basket.addMany(
				payloads.map((payload) => ({ kind: "task", payload })),
			);
			await basket.drain();
		},
		left: async () => Object.values(await basket.counts()).reduce((sum, count) => sum + count),
	};
}

/** Measures the store alone, with the same calls that a basket makes. */
function storeByHand<Tx>(store: Store<Tx>): Queue {
	const claim = [{ kinds: ["task"], limit: batch }];
	return {
		process: async (payloads) => {
			const tasks = payloads.map((n) => ({
				kind: "task",
				payload: JSON.stringify(n),
				delay: 0,
				priority: 0,
			}));
			await store.add("default", tasks);
			let claims: readonly Claim[] = [];
			do {
				const settle = claims.map((ref) => ({
					ref,
					outcome: { type: "done" } as const,
				}));
				({ claims } = await store.turn("default", { settle, claim, lease }));
			} while (claims.length > 0);
		},
		left: async () => Object.values(await store.counts("default")).reduce((sum, count) => sum + count),
	};
}

/** It stores nothing: what a basket in memory is compared with. */
function pQueue(task: Task): Queue {
	const queue = new PQueue({ concurrency: 10 });
	return {
		process: async (payloads) => void await queue.addAll(payloads.map((payload) => () => task(payload))),
		left: () => queue.size + queue.pending,
	};
}

function byHand(task: Task, db: DatabaseSync): Queue {
	db.exec(
		"CREATE TABLE task (id INTEGER PRIMARY KEY, payload TEXT NOT NULL, due INTEGER NOT NULL) STRICT",
	);
	db.exec("CREATE INDEX task_due ON task (due)");
	const add = db.prepare("INSERT INTO task (payload, due) VALUES (?, ?)");
	const remove = db.prepare("DELETE FROM task WHERE id = ?");
	const claim = db.prepare(
		`UPDATE task SET due = ? WHERE id IN (SELECT id FROM task WHERE due <= ? ORDER BY due, id LIMIT ${batch})
		RETURNING id, payload`,
	);
	const inTransaction = <T>(work: () => T): T => {
		db.exec("BEGIN IMMEDIATE");
		const result = work();
		db.exec("COMMIT");
		return result;
	};
	return {
		process: async (payloads) => {
			inTransaction(() => payloads.forEach((payload) => add.run(JSON.stringify(payload), Date.now())));
			let rows: { id: number; payload: string }[] = [];
			do {
				rows = inTransaction(() => {
					for (const { id } of rows) remove.run(id);
					return claim.all(
						Date.now() + lease,
						Date.now(),
					) as unknown as typeof rows;
				});
				await Promise.all(rows.map(({ payload }) => task(JSON.parse(payload))));
			} while (rows.length > 0);
		},
		left: () =>
			db.prepare("SELECT count(*) AS count FROM task")
				.get()!["count"] as number,
	};
}

async function plainjob(task: Task): Promise<Queue> {
	const { default: Database } = await import("better-sqlite3");
	const { better, defineQueue, defineWorker, JobStatus } = await import(
		"plainjob"
	);
	const queue = defineQueue({
		connection: better(new Database(newFile())),
		logger: silent,
	});
	return {
		process: async (payloads) => {
			queue.addMany("task", payloads);
			let left = payloads.length;
			const completed = new Promise<void>((resolve) => {
				const onCompleted = (): void => {
					if (--left === 0) resolve();
				};
				const run = ({ data }: { data: string }): Promise<void> => task(JSON.parse(data));
				const worker = defineWorker("task", run, {
					queue,
					logger: silent,
					onCompleted,
				});
				void worker.start();
			});
			await completed;
		},
		left: () => queue.countJobs() - queue.countJobs({ status: JobStatus.Done }),
	};
}

async function liteque(task: Task): Promise<Queue> {
	allowPromises((await import("better-sqlite3")).default);
	const { buildDBClient, Runner, SqliteQueue } = await import("liteque");
	const db = buildDBClient(newFile(), { runMigrations: true });
	const queue = new SqliteQueue<number>("task", db, {
		defaultJobArgs: { numRetries: 3 },
		keepFailedJobs: false,
	});
	const options = { pollIntervalMs: 10, timeoutSecs: 60, concurrency: 10 };
	return {
		process: async (payloads) => {
			for (const payload of payloads) await queue.enqueue(payload); // liteque has no bulk operation
			await new Runner(queue, { run: ({ data }) => task(data) }, options)
				.runUntilEmpty();
		},
		left: async () => Object.values(await queue.stats()).reduce((sum, count) => sum + count),
	};
}

// The measured topics with their engines and targets. The cases are in `cases/`, one file for each topic, under the
// same names.

export type EngineName = "node" | "deno" | "bun" | "chromium";

export type TopicName =
	| "run"
	| "flat"
	| "attach"
	| "memory"
	| "group"
	| "pool"
	| "threads"
	| "cron"
	| "queue"
	| "sqlite-add"
	| "sqlite-lanes"
	| "sqlite-hold"
	| "deno-kv"
	| "observe"
	| "browser-queue"
	| "browser-add"
	| "wake"
	| "backlog"
	| "jobs"
	| "long-job"
	| "children"
	| "fan-out"
	| "postgres-fan-out"
	| "postgres-jobs"
	| "postgres"
	| "postgres-lanes"
	| "postgres-flat"
	| "limits"
	| "postgres-limits"
	| "postgres-replace"
	| "postgres-workers"
	| "postgres-wake"
	| "postgres-idle"
	| "postgres-backlog";

/** The maximum of a ratio or of a number. */
export interface Target {
	/** The case that the target is for. */
	case: string;
	/** The maximum ratio to the other case. Without another case, the maximum number itself. */
	most: number;
	/** The case to compare with. */
	of?: string;
	/** The column to compare, if it is not the first. */
	column?: string;
}

export interface Topic {
	title: string;
	/** The unit of the first number of each case. */
	unit: "ns" | "µs" | "ms" | "bytes" | "statements";
	/** Further numbers that each case reports if the engine can measure them. */
	more?: readonly string[];
	engines: readonly EngineName[];
	/** Cases that only some of the engines can run. */
	only?: Readonly<Record<string, readonly EngineName[]>>;
	/** The number of processes of each case, for long cases. */
	processes?: number;
	/** The cases in the order of the table. The others are compared with the first. */
	cases: readonly string[];
	targets: readonly Target[];
	/** Whether the topic needs a Postgres server, which is started for it. */
	needsPostgres?: boolean;
	/** Further modules of `cases/` that the topic loads by their URLs. */
	modules?: readonly string[];
}

export const engineNames: readonly EngineName[] = ["node", "deno", "bun", "chromium"];

// Names that occur more than once.
const bare = "bare await";
const loop = "hand-written loop, signal read";
const thread = "Thread.call";
const threads = "Thread.call, 100";
const memoryAlone = "memoryStore by hand";
const memory = "Basket, memoryStore";
const raw = "node:sqlite by hand";
const sqlite = "Basket, sqliteStore";
const across = "Basket, sqliteStore, 2 processes";
const smallest = "1,000 tasks";
const largest = "1,000,000 tasks";
const resident = "resident MiB";
const idb = "idb by hand";
const indexedDB = "Basket, indexedDBStore";
const stored = [
	...["strict", "relaxed"].flatMap((durability) => [`${idb}, ${durability}`, `${indexedDB}, ${durability}`]),
	"workbox QueueStore, relaxed",
];
const jobs = ["Processor", "Processor, durable"] as const;
const stores = ["memoryStore", "sqliteStore", "postgresStore"];
const eachIn = (store: string): string => `Job.each, ${store}`;
const jobsIn = (store: string): string => `jobs, ${store}`;
const rawAt = (count: number): string => count === 1 ? raw : `${raw}, ${count}`;
const atOnce = [1, 10, 100];
const durabilities = ["FULL", "NORMAL"] as const;
const many = "100,000";
const holders = ["hold", "release", "retry", "delete", "list", "counts", "claim of 1,000"];
const kv = "Deno.Kv by hand";
const rawPg = "pg by hand";
const rawPg500 = `${rawPg}, 500 at once`;
const pg = "Basket, pg";
const postgres = "Basket, postgres";
const graphile = "graphile-worker";
const boss = "pg-boss";
const dbos = "DBOS";
const amounts = ["10,000", "100,000"];
const limitedTo = (name: string): string => `${name}, at most 2 of a key`;
const attachOne = "Intermittent, 1,000 attaches to a signal";

export const topics: Record<TopicName, Topic> = {
	run: {
		title: "One successful attempt of an async no-op",
		unit: "ns",
		engines: engineNames,
		cases: [
			bare,
			"run",
			"cockatiel retry",
			"p-retry",
			"run, signal and timeout, unread",
			"run, signal and timeout, read",
			loop,
		],
		targets: [
			{ case: "run", most: 2, of: bare },
			{ case: "run", most: 0.4, of: "p-retry" },
			{ case: "run, signal and timeout, unread", most: 4.9, of: bare },
			{ case: "run, signal and timeout, read", most: 1, of: loop },
		],
	},
	flat: {
		title: "Start and finish of one of many attempts in flight on one signal, which each task reads",
		unit: "ns",
		engines: engineNames,
		cases: [
			"run, 10",
			"run, 100",
			"run, 1,000",
			"run, 10,000",
			"run, 40,000",
			"a listener each, 10",
			"a listener each, 100",
			"a listener each, 1,000",
			"a listener each, 10,000",
		],
		targets: [{ case: "run, 10,000", most: 2, of: "run, 10" }],
	},
	attach: {
		title: "Attach and detach of a shared operation that another listener holds",
		unit: "ns",
		engines: engineNames,
		cases: [
			"rxjs share",
			"nanostores onMount",
			attachOne,
			"Intermittent, a controller each",
			"bare controller, listener and abort",
		],
		targets: [
			{ case: attachOne, most: 1, of: "rxjs share" },
			{ case: "Intermittent, a controller each", most: 1, of: "rxjs share" },
		],
	},
	memory: {
		title: "Heap of one of 100,000 tasks of a Group that wait in a backoff, name included",
		unit: "bytes",
		engines: ["node", "deno", "bun"], // a page cannot force a garbage collection
		cases: ["bare setTimeout", "awaited setTimeout", "Group task"],
		targets: [{ case: "Group task", most: 2, of: "bare setTimeout" }],
	},
	group: {
		title: "One of 1,000 no-op tasks started at once, until all have ended",
		unit: "ns",
		engines: engineNames,
		cases: ["bare promise", "Group.spawn", "Effect.runPromise"],
		targets: [{ case: "Group.spawn", most: 1.1, of: "Effect.runPromise" }],
	},
	pool: {
		title: "One of many no-op tasks given at once to 100 workers, 100,000 unless it says otherwise",
		unit: "ns",
		engines: engineNames,
		cases: [
			"hand-written limiter",
			"Pool",
			"p-limit",
			"p-queue",
			"Pool, 7 priorities, 10,000",
			"Pool, 7 priorities, 100,000",
			"Pool, 7 priorities, 1,000,000",
		],
		targets: [
			{ case: "Pool", most: 2.2, of: "hand-written limiter" },
			{ case: "Pool", most: 0.75, of: "p-limit" },
			{ case: "Pool", most: 0.4, of: "p-queue" },
		],
	},
	threads: {
		title: "Round trip of a call into a thread that adds 1 to a number, one after the other or 100 at once",
		unit: "ns",
		engines: ["node"], // the peers support only Node
		cases: [thread, "piscina", "tinypool", threads, "piscina, 100", "tinypool, 100"],
		targets: [
			{ case: thread, most: 1, of: "piscina" },
			{ case: thread, most: 1, of: "tinypool" },
			{ case: threads, most: 1, of: "piscina, 100" },
			{ case: threads, most: 1, of: "tinypool, 100" },
		],
		modules: ["threads-plain", "threads-served"],
	},
	cron: {
		title: "The next instant of a cron pattern in the zone of Berlin, mean of 4 patterns",
		unit: "ns",
		engines: engineNames,
		cases: ["cron", "cronosjs", "croner"],
		targets: [
			{ case: "cron", most: 0.5, of: "cronosjs" },
			{ case: "cron", most: 0.5, of: "croner" },
		],
	},
	queue: {
		title:
			"One of many no-op tasks, 10,000 unless it says otherwise, added in bulk and run until all are done and that is stored",
		unit: "ns",
		more: ["CPU"],
		engines: ["node", "deno", "bun"],
		cases: [
			memoryAlone,
			memory,
			"p-queue",
			`${raw}, FULL`,
			`${sqlite}, FULL`,
			`${raw}, NORMAL`,
			`${sqlite}, NORMAL`,
			"plainjob, NORMAL",
			"liteque, NORMAL",
			...durabilities.flatMap((synchronous) => [raw, sqlite].map((name) => `${name}, ${synchronous}, ${many}`)),
		],
		only: { "plainjob, NORMAL": ["node"], "liteque, NORMAL": ["node"] }, // they need better-sqlite3
		targets: [
			{ case: memory, most: 6_667 },
			{ case: memory, most: 1.5, of: "p-queue" },
			{ case: `${sqlite}, FULL`, most: 1.82, of: `${raw}, FULL` },
			{ case: `${sqlite}, NORMAL`, most: 2.5, of: `${raw}, NORMAL` },
			{ case: `${sqlite}, NORMAL`, most: 0.2, of: "plainjob, NORMAL" },
			{ case: `${sqlite}, NORMAL`, most: 0.2, of: "liteque, NORMAL" },
			{ case: `${sqlite}, FULL, ${many}`, most: 1.11, of: `${raw}, FULL, ${many}` },
			{ case: `${sqlite}, NORMAL, ${many}`, most: 1.54, of: `${raw}, NORMAL, ${many}` },
		],
		processes: 3,
	},
	"sqlite-add": {
		title: "An add of a task to SQLite, one after the other",
		unit: "ns",
		more: ["CPU"],
		engines: ["node", "deno", "bun"],
		cases: durabilities.flatMap((synchronous) => [raw, sqlite].map((name) => `${name}, ${synchronous}`)),
		targets: durabilities.map((synchronous): Target => ({
			case: `${sqlite}, ${synchronous}`,
			most: 1.67,
			of: `${raw}, ${synchronous}`,
		})),
		processes: 3,
	},
	"sqlite-lanes": {
		title: "One of 10,000 no-op tasks in lanes in SQLite, added in bulk and run until all are done and that is stored",
		unit: "ns",
		more: ["CPU"],
		engines: ["node", "deno", "bun"],
		cases: ["no lane", "1 lane", "100 lanes"],
		targets: [{ case: "1 lane", most: 100_000 }, { case: "100 lanes", most: 1.43, of: "no lane" }],
		processes: 3,
	},
	"sqlite-hold": {
		title:
			"The longest time that SQLite keeps the event loop from others, in a change, a list or a count of 20,000 tasks, or in a claim",
		unit: "ms",
		engines: ["node"],
		cases: holders,
		targets: holders.map((name): Target => ({ case: name, most: 10 })),
		processes: 3,
	},
	"deno-kv": {
		title: "One of 2,000 no-op tasks in Deno KV, added at the same time, until all are done and that is stored",
		unit: "ns",
		more: ["CPU"],
		engines: ["deno"],
		cases: [kv, "Basket, denoKvStore"],
		targets: [{ case: "Basket, denoKvStore", most: 2.5, of: kv }],
		processes: 3,
	},
	observe: {
		title: "One attempt of an async no-op, and one of 10,000 no-op tasks in memory, with and without an observer",
		unit: "ns",
		more: ["CPU"],
		engines: ["node", "deno", "bun"],
		cases: ["run", "Basket"].flatMap((name) => ["", ", observer", ", otel without an SDK"].map((what) => name + what)),
		targets: [
			{ case: "run, observer", most: 3_000 },
			{ case: "Basket, observer", most: 1.5, of: "Basket" },
		],
		processes: 3,
	},
	"browser-queue": {
		title: "The same in a page, 2,000 tasks in IndexedDB",
		unit: "ns",
		engines: ["chromium"],
		cases: stored,
		targets: [
			{ case: `${indexedDB}, strict`, most: 0.2, of: `${idb}, strict` },
			{ case: `${indexedDB}, relaxed`, most: 0.2, of: `${idb}, relaxed` },
			{ case: `${indexedDB}, relaxed`, most: 0.2, of: "workbox QueueStore, relaxed" },
		],
		processes: 3,
	},
	"browser-add": {
		title: "An add of a message to IndexedDB, one after the other",
		unit: "ns",
		engines: ["chromium"],
		cases: [...stored, "idb-keyval, relaxed", "localforage, relaxed"],
		targets: [
			{ case: `${indexedDB}, strict`, most: 1.43, of: `${idb}, strict` },
			{ case: `${indexedDB}, relaxed`, most: 1.43, of: `${idb}, relaxed` },
			...["workbox QueueStore", "idb-keyval", "localforage"].map((peer): Target => ({
				case: `${indexedDB}, relaxed`,
				most: 1,
				of: `${peer}, relaxed`,
			})),
		],
		processes: 3,
	},
	wake: {
		title: "From the add of a task to its start, by a worker that waits: the median",
		unit: "ms",
		more: ["95 %", "idle CPU, ms/min"],
		engines: ["node", "deno", "bun"],
		cases: [memory, sqlite, across, "plainjob", "liteque"],
		only: { plainjob: ["node"], liteque: ["node"] },
		targets: [{ case: sqlite, most: 2 }, { case: across, most: 50 }],
		processes: 2,
	},
	backlog: {
		title: "A claim of 100 tasks while so many wait in SQLite",
		unit: "µs",
		more: [resident],
		engines: ["node"],
		cases: [smallest, "10,000 tasks", "100,000 tasks", largest],
		targets: [
			{ case: largest, most: 1.5, of: smallest },
			{ case: largest, most: 1.2, of: smallest, column: resident },
		],
		processes: 2,
	},
	jobs: {
		title: "A job of 5 no-op steps, until it is completed and that is stored; with how many at once",
		unit: "ns",
		more: ["CPU"],
		engines: ["node"],
		cases: durabilities.flatMap((synchronous) => [
			...atOnce.map((count) => `${rawAt(count)}, ${synchronous}`),
			...jobs.flatMap((name) => atOnce.map((count) => `${name}, ${count}, ${synchronous}`)),
			`openworkflow, ${synchronous}`,
		]),
		targets: durabilities.flatMap((synchronous) =>
			jobs.flatMap((name) =>
				atOnce.flatMap((count): Target[] => {
					const label = `${name}, ${count}, ${synchronous}`;
					return [
						{ case: label, most: count === 1 ? 1.67 : 2, of: `${rawAt(count)}, ${synchronous}` },
						{ case: label, most: 0.2, of: `openworkflow, ${synchronous}` },
					];
				})
			)
		),
		processes: 3,
	},
	// Without openworkflow, whose workflows have at most 1,000 steps.
	"long-job": {
		title: "A step of one job of 1,600 no-op steps, until the job is completed and that is stored",
		unit: "ns",
		more: ["CPU"],
		engines: ["node"],
		cases: durabilities.flatMap((synchronous) => [raw, ...jobs].map((name) => `${name}, ${synchronous}`)),
		targets: durabilities.flatMap((synchronous) =>
			jobs.map((name): Target => ({ case: `${name}, ${synchronous}`, most: 1.67, of: `${raw}, ${synchronous}` }))
		),
		processes: 3,
	},
	children: {
		title: "One of 10,000 no-op tasks of a store alone, by itself or as a child of another task, until all are done",
		unit: "ns",
		more: ["CPU"],
		engines: ["node"],
		cases: stores.flatMap((store) => [`tasks, ${store}`, `children, ${store}`]),
		targets: stores.map((store): Target => ({ case: `children, ${store}`, most: 1.25, of: `tasks, ${store}` })),
		processes: 3,
		needsPostgres: true,
	},
	"fan-out": {
		title:
			"One of 1,000 no-op items of a job, until all have ended and the job has their results; or as many jobs of one step",
		unit: "ns",
		more: ["CPU"],
		engines: ["node"],
		cases: [
			jobsIn("memoryStore"),
			eachIn("memoryStore"),
			raw,
			jobsIn("sqliteStore"),
			eachIn("sqliteStore"),
			"openworkflow",
		],
		targets: [
			...["memoryStore", "sqliteStore"].map((store): Target => ({
				case: eachIn(store),
				most: 1.25,
				of: jobsIn(store),
			})),
			{ case: eachIn("sqliteStore"), most: 0.5, of: "openworkflow" },
		],
		processes: 3,
	},
	"postgres-fan-out": {
		title: "The same in Postgres",
		unit: "ns",
		more: ["CPU"],
		engines: ["node"],
		cases: [rawPg, jobsIn("pg"), eachIn("pg"), `${dbos}, steps`, `${dbos}, workflows`],
		targets: [
			{ case: eachIn("pg"), most: 1.25, of: jobsIn("pg") },
			{ case: eachIn("pg"), most: 0.5, of: `${dbos}, workflows` },
		],
		processes: 3,
		needsPostgres: true,
	},
	"postgres-jobs": {
		title: "A job of 5 no-op steps in Postgres, from its start to its result; with how many at once",
		unit: "ns",
		more: ["CPU"],
		engines: ["node"],
		cases: atOnce.flatMap((count) => [rawPg, ...jobs, dbos].map((name) => `${name}, ${count}`)),
		targets: atOnce.flatMap((count) =>
			jobs.flatMap((name): Target[] => [
				{ case: `${name}, ${count}`, most: 2, of: `${rawPg}, ${count}` },
				{ case: `${name}, ${count}`, most: 0.2, of: `${dbos}, ${count}` },
			])
		),
		processes: 3,
		needsPostgres: true,
	},
	postgres: {
		title:
			"One of many no-op tasks in Postgres, added in bulk to a worker that waits, until all are done and that is stored",
		unit: "ns",
		more: ["CPU"],
		engines: ["node"],
		cases: amounts.flatMap((count) =>
			[rawPg, rawPg500, pg, postgres, `${pg}, 100 lanes`, graphile, boss].map((name) => `${name}, ${count}`)
		),
		targets: amounts.flatMap((count) =>
			[pg, postgres].map((name) => `${name}, ${count}`).flatMap((label): Target[] => [
				{ case: label, most: 1, of: `${graphile}, ${count}` },
				{ case: label, most: 1, of: `${boss}, ${count}` },
				{ case: label, most: 1.67, of: `${rawPg}, ${count}` },
			])
		),
		processes: 3,
		needsPostgres: true,
	},
	"postgres-lanes": {
		title: "One of 10,000 no-op tasks in lanes in Postgres, as above",
		unit: "ns",
		more: ["CPU"],
		engines: ["node"],
		cases: [pg, `${pg}, 1 lane`, `${pg}, 100 lanes`].map((name) => `${name}, 10,000`),
		targets: [
			{ case: `${pg}, 1 lane, 10,000`, most: 100_000 },
			{ case: `${pg}, 100 lanes, 10,000`, most: 1.43, of: `${pg}, 10,000` },
		],
		processes: 3,
		needsPostgres: true,
	},
	"postgres-flat": {
		title: "One of 200,000 no-op tasks in Postgres, the first and the last tenth of 2,000,000",
		unit: "ns",
		engines: ["node"],
		cases: [rawPg500, pg, postgres].flatMap((name) => [`tenth 1, ${name}`, `tenth 10, ${name}`]),
		targets: [pg, postgres].map((name): Target => ({ case: `tenth 10, ${name}`, most: 1.2, of: `tenth 1, ${name}` })),
		processes: 1,
		needsPostgres: true,
	},
	limits: {
		title: "One of 10,000 no-op tasks of 1,000 keys that wait in SQLite, until all are done and that is stored",
		unit: "ns",
		more: ["CPU"],
		engines: ["node"],
		cases: [sqlite, limitedTo(sqlite)],
		targets: [{ case: limitedTo(sqlite), most: 1.43, of: sqlite }],
		processes: 2,
	},
	"postgres-limits": {
		title: "The same with 4,000 tasks in Postgres",
		unit: "ns",
		more: ["CPU"],
		engines: ["node"],
		cases: [pg, limitedTo(pg), boss, limitedTo(boss)],
		targets: [
			{ case: limitedTo(pg), most: 1.43, of: pg },
			{ case: limitedTo(pg), most: 1, of: limitedTo(boss) },
		],
		processes: 2,
		needsPostgres: true,
	},
	"postgres-replace": {
		title: "Replacing the payload of a task in Postgres that waits, one after the other",
		unit: "ns",
		engines: ["node"],
		cases: [graphile, pg],
		targets: [{ case: pg, most: 1, of: graphile }],
		processes: 2,
		needsPostgres: true,
	},
	"postgres-workers": {
		title: "One of 100,000 no-op tasks that wait in Postgres, worked off by so many processes",
		unit: "ns",
		engines: ["node"],
		cases: ["1 process", "2 processes", "4 processes", "8 processes"],
		targets: [
			{ case: "2 processes", most: 1, of: "1 process" },
			{ case: "4 processes", most: 1, of: "1 process" },
			{ case: "8 processes", most: 1, of: "1 process" },
		],
		processes: 2,
		needsPostgres: true,
	},
	"postgres-wake": {
		title: "From the add of a task to Postgres to its start, by a worker that waits: the median; and one add alone",
		unit: "ms",
		more: ["95 %", "idle for 11 s", "add, µs"],
		engines: ["node"],
		cases: [rawPg, pg, postgres, graphile, `${boss}, pushed`],
		targets: [pg, postgres].flatMap((label): Target[] => [
			{ case: label, most: 1.3, of: rawPg },
			{ case: label, most: 1, of: graphile },
			{ case: label, most: 1.3, of: rawPg, column: "idle for 11 s" },
			{ case: label, most: 1, of: graphile, column: "add, µs" },
			{ case: label, most: 1, of: `${boss}, pushed`, column: "add, µs" },
		]),
		processes: 2,
		needsPostgres: true,
	},
	"postgres-idle": {
		title: "What a worker that waits asks Postgres in a minute",
		unit: "statements",
		engines: ["node"],
		cases: [graphile, `${boss}, pushed`, pg, postgres],
		targets: [{ case: pg, most: 2 }, { case: postgres, most: 2 }],
		processes: 1,
		needsPostgres: true,
	},
	"postgres-backlog": {
		title: "A claim of 100 tasks while so many wait in Postgres: 95 %",
		unit: "ms",
		more: ["median"],
		engines: ["node"],
		cases: [smallest, "10,000 tasks", "100,000 tasks", largest],
		targets: [{ case: largest, most: 2, of: smallest }],
		processes: 1,
		needsPostgres: true,
	},
};

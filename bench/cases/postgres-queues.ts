// The compared queues on Postgres, behind one interface. Each queue has a database of its own on one server, and
// settings from its own documentation: graphile-worker those of its page on performance, pg-boss batches of 1,000.
// Two concurrent loops fetch and complete the batches of pg-boss; where latency is measured, a function receives
// them. Limited queues have at most 2 running tasks of each of 1,000 keys. The hand-written queues claim rows by a later
// due time, and remove a batch with one statement: batches of 100 on two connections, or of 500 on one.
import type { PgBoss } from "pg-boss";
import pg from "pg";
import postgres from "postgres";
import { Basket, limit, type Store } from "upkeep";
import { postgresStore } from "upkeep/stores/postgres";
import { parameters } from "../measure.ts";

/** A queue that stores and runs tasks whose payloads are numbers. */
export interface Queue {
	/** Adds all of the tasks, or none of them. */
	add(payloads: number[]): Promise<unknown>;
	/** Adds one task. */
	addOne(payload: number): Promise<unknown>;
	/** Adds the task with this id, due in an hour, or replaces its payload. */
	replace?(id: string, payload: number): Promise<unknown>;
	/** Starts to work, and reports the start of each task. Resolves when the queue is ready. */
	work(onTask: (payload: number) => void): Promise<void>;
	/** Whether no task is left. Only valid when all tasks have started. */
	isEmpty(): boolean | Promise<boolean>;
}

interface Boxed {
	readonly payload: number;
}

const bossBatch = 1_000;
const bossLoops = 2;
const keys = 1_000;
const mostOfKey = 2;
const hour = 3_600_000;

/** By the first part of the name of a case. */
const openers: Record<string, (url: string) => Promise<Queue>> = {
	"pg by hand": (url) => byHand(url, 100, 2),
	"pg by hand, 500 at once": (url) => byHand(url, 500, 1),
	"Basket, pg": (url) => basket(postgresStore(new pg.Pool({ connectionString: url }))),
	"Basket, pg, 1 lane": (url) => basket(postgresStore(new pg.Pool({ connectionString: url })), 1),
	"Basket, pg, 100 lanes": (url) => basket(postgresStore(new pg.Pool({ connectionString: url })), 100),
	"Basket, pg, at most 2 of a key": (url) => basket(postgresStore(new pg.Pool({ connectionString: url })), 0, true),
	"Basket, postgres": (url) => basket(postgresStore(postgres(url, { onnotice: () => {} }))),
	"graphile-worker": graphile,
	"pg-boss": boss,
	"pg-boss, at most 2 of a key": (url) => boss(url, false, true),
	"pg-boss, pushed": (url) => boss(url, true),
};

export async function openQueue(name: string, url: string): Promise<Queue> {
	return await openers[name]!(url);
}

/** Creates a database for this process, and removes it at the end. */
export async function withDatabase<T>(work: (url: string) => Promise<T>): Promise<T> {
	const server = parameters().get("server")!;
	const name = `bench_${globalThis.process.pid}`;
	const client = new pg.Client({ connectionString: server });
	await client.connect();
	await client.query(`CREATE DATABASE ${name}`);
	try {
		return await work(Object.assign(new URL(server), { pathname: `/${name}` }).href);
	} finally {
		// The server ends the open connections, which emit an error.
		globalThis.process.on("uncaughtException", () => {});
		await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
		await client.end();
	}
}

/** The key of a task. Its limit is per key. */
function keyOf(payload: number): string {
	return `key ${payload % keys}`;
}

async function basket<Tx>(store: Store<Tx>, lanes = 0, isLimited = false): Promise<Queue> {
	let onTask: (payload: number) => void;
	let added = 0;
	const laneOf = (payload: number): string | undefined => lanes === 0 ? undefined : `${payload % lanes}`;
	const run = (payload: number) => onTask(payload);
	const task = isLimited ? { run, limit: limit({ key: keyOf, atOnce: mostOfKey }) } : { run };
	// Limited tasks are not claimed ahead of time: a place for each of a batch of pg-boss.
	const basket = new Basket({ store, concurrency: isLimited ? bossBatch : undefined, tasks: { task } });
	await basket.open();
	return {
		add: (payloads) => {
			added += payloads.length;
			return basket.addMany(payloads.map((payload) => ({ kind: "task", payload, lane: laneOf(payload) })));
		},
		addOne: (payload) => {
			added++;
			return basket.add("task", payload);
		},
		replace: (id, payload) => basket.add("task", payload, { id, ifPresent: "replace", delay: hour }),
		work: async (listener) => {
			onTask = listener;
			void basket.run();
			await pause(200);
		},
		isEmpty: () => basket.getSnapshot().succeeded === added,
	};
}

/**
 * @param batch the number of tasks that each connection claims at once
 * @param connections the number of connections, each with a batch at a time
 */
async function byHand(url: string, batch: number, connections: number): Promise<Queue> {
	const pool = new pg.Pool({ connectionString: url, max: connections });
	const listener = new pg.Client({ connectionString: url });
	await listener.connect();
	await listener.query(`CREATE TABLE task (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text NOT NULL, due timestamptz NOT NULL DEFAULT now()
	)`);
	await listener.query("CREATE INDEX ON task (due, id)");
	const claim = {
		name: "claim",
		text: `WITH claimed AS MATERIALIZED (
			SELECT id FROM task WHERE due <= now() ORDER BY due, id LIMIT ${batch} FOR UPDATE SKIP LOCKED
		) UPDATE task SET due = now() + interval '30 s' WHERE id = ANY (ARRAY (SELECT id FROM claimed))
		RETURNING id, payload`,
	};
	const remove = { name: "remove", text: "DELETE FROM task WHERE id = ANY ($1)" };
	const insert = "WITH added AS (INSERT INTO task (payload) SELECT unnest($1::text[])) SELECT pg_notify('task', '')";
	const hint = new Hint();
	listener.on("notification", () => hint.give());
	await listener.query("LISTEN task");
	let left = 0;
	const add = (payloads: number[]): Promise<unknown> => {
		left += payloads.length;
		return pool.query({ name: "add", text: insert, values: [payloads.map((payload) => JSON.stringify(payload))] });
	};
	const work = async (onTask: (payload: number) => Promise<void>): Promise<void> => {
		const client = await new pg.Pool({ connectionString: url, max: 1 }).connect();
		for (;;) {
			const { count } = hint;
			const { rows } = await client.query<{ id: string; payload: string }>(claim);
			await Promise.all(rows.map(({ payload }) => onTask(JSON.parse(payload))));
			if (rows.length === 0) await hint.after(count);
			else await client.query({ ...remove, values: [rows.map(({ id }) => id)] });
			left -= rows.length;
		}
	};
	return {
		add,
		addOne: (payload) => add([payload]),
		work: async (onTask) => {
			// deno-lint-ignore require-await -- a task is async
			for (let i = 0; i < connections; i++) void work(async (payload) => onTask(payload));
			await pause(200);
		},
		isEmpty: () => left === 0,
	};
}

async function graphile(url: string): Promise<Queue> {
	const { Logger, makeWorkerUtils, run } = await import("graphile-worker");
	const pgPool = new pg.Pool({ connectionString: url, max: 25 }).on("error", () => {})
		.on("connect", (client) => client.on("error", () => {}));
	const shared = { pgPool, logger: new Logger(() => () => {}) };
	const utils = await makeWorkerUtils(shared);
	await utils.migrate();
	const worker = {
		concurrentJobs: 24,
		maxPoolSize: 25,
		localQueue: { size: 500 },
		completeJobBatchDelay: 0,
		failJobBatchDelay: 0,
	};
	return {
		add: (payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: "task", payload }))),
		addOne: (payload) => utils.addJob("task", payload),
		replace: (jobKey, payload) => utils.addJob("task", payload, { jobKey, runAt: new Date(Date.now() + hour) }),
		work: async (onTask) => {
			const taskList = { task: async (payload: unknown): Promise<void> => onTask(payload as number) };
			await run({ ...shared, preset: { worker }, noHandleSignals: true, taskList });
			await pause(200);
		},
		isEmpty: async () => {
			const { rows } = await pgPool.query("SELECT FROM graphile_worker._private_jobs LIMIT 1");
			return rows.length === 0;
		},
	};
}

async function boss(url: string, isPushed = false, isLimited = false): Promise<Queue> {
	const { PgBoss } = await import("pg-boss");
	const boss: PgBoss = new PgBoss({ connectionString: url, useListenNotify: true });
	await boss.start();
	await boss.createQueue("task", { notify: true });
	const hint = new Hint();
	let left = 0;
	const fetch = { batchSize: bossBatch, groupConcurrency: isLimited ? mostOfKey : undefined };
	const groupOf = (payload: number) => isLimited ? { group: { id: keyOf(payload) } } : {};
	const fetchAll = async (onTask: (payload: number) => void): Promise<void> => {
		for (;;) {
			const { count } = hint;
			const jobs = await boss.fetch<Boxed>("task", fetch);
			for (const { data: { payload } } of jobs) onTask(payload);
			if (jobs.length === 0) await hint.after(count);
			else await boss.complete("task", jobs.map(({ id }) => id));
			left -= jobs.length;
			if (isLimited && jobs.length > 0) hint.give(); // there are free places
		}
	};
	return {
		add: async (payloads) => {
			left += payloads.length;
			await boss.insert("task", payloads.map((payload) => ({ data: { payload }, ...groupOf(payload) })));
			hint.give();
		},
		addOne: (payload) => boss.send("task", { payload }),
		work: async (onTask) => {
			const push = async (jobs: { data: Boxed }[]): Promise<void> => jobs.forEach(({ data }) => onTask(data.payload));
			if (isPushed) await boss.work<Boxed>("task", { batchSize: bossBatch, burstWhenBatchFull: true }, push);
			else for (let i = 0; i < bossLoops; i++) void fetchAll(onTask);
			await pause(1_000);
		},
		isEmpty: () => left === 0,
	};
}

/** Signals that tasks can be claimed. */
class Hint {
	count = 0;
	#waiting: (() => void)[] = [];

	give(): void {
		this.count++;
		for (const wake of this.#waiting.splice(0)) wake();
	}

	/** Resolves with the first hint after the counted ones. */
	async after(count: number): Promise<void> {
		if (count === this.count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
	}
}

export function pause(delay: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, delay));
}

// The parts of the peers that the cases use, so that the cases can be type-checked if the peers are not installed.

declare module "cockatiel" {
	export const handleAll: unique symbol;
	export function retry(policy: typeof handleAll, options: object): { execute<T>(task: () => Promise<T>): Promise<T> };
}

declare module "nanostores" {
	export interface Atom<T> {
		listen(listener: (value: T) => void): () => void;
	}
	export function atom<T>(value: T): Atom<T>;
	export function onMount<T>(store: Atom<T>, initialize: () => void): () => void;
}

declare module "p-retry" {
	export default function pRetry<T>(task: () => Promise<T>): Promise<T>;
}

declare module "croner" {
	export class Cron {
		constructor(pattern: string, options: { timezone: string });
		nextRun(after: Date): Date | null;
	}
}

declare module "cronosjs" {
	export class CronosExpression {
		static parse(pattern: string, options: { timezone: string }): CronosExpression;
		nextDate(after: Date): Date | null;
	}
}

declare module "piscina" {
	export class Piscina {
		constructor(options: object);
		run(task: number, options: { name: string }): Promise<number>;
	}
}

declare module "rxjs" {
	export class Observable<T> {
		constructor(subscribe: () => void);
		pipe(operator: (source: Observable<T>) => Observable<T>): Observable<T>;
		subscribe(next: (value: T) => void): { unsubscribe(): void };
	}
	export function share<T>(): (source: Observable<T>) => Observable<T>;
}

declare module "p-limit" {
	export default function pLimit(concurrency: number): <T>(task: () => Promise<T>) => Promise<T>;
}

declare module "p-queue" {
	export default class PQueue {
		constructor(options: { concurrency: number });
		add<T>(task: () => Promise<T>): Promise<T>;
		addAll<T>(tasks: (() => Promise<T>)[]): Promise<T[]>;
		readonly size: number;
		readonly pending: number;
	}
}

declare module "tinypool" {
	export class Tinypool {
		constructor(options: object);
		run(task: number, options: { name: string }): Promise<number>;
	}
}

declare module "better-sqlite3" {
	export default class Database {
		constructor(file: string);
		transaction(work: (...args: unknown[]) => unknown): { deferred(...args: unknown[]): unknown };
	}
}

declare module "plainjob" {
	import type Database from "better-sqlite3";

	interface Logger {
		error(message: string): void;
		warn(message: string): void;
		info(message: string): void;
		debug(message: string): void;
	}
	interface Queue {
		add(type: string, data: unknown): { id: number };
		addMany(type: string, data: unknown[]): { ids: number[] };
		countJobs(query?: { status: number }): number;
	}
	interface WorkerOptions {
		queue: Queue;
		logger: Logger;
		onCompleted?: () => void;
	}
	export const JobStatus: { readonly Done: number };
	export function better(database: Database): object;
	export function defineQueue(
		options: { connection: object; logger: Logger },
	): Queue;
	export function defineWorker(
		type: string,
		run: (job: { data: string }) => Promise<void>,
		options: WorkerOptions,
	): { start(): Promise<void>; stop(): Promise<void> };
}

declare module "liteque" {
	export function buildDBClient(
		path: string,
		options: { runMigrations: boolean },
	): object;
	export class SqliteQueue<T> {
		constructor(
			name: string,
			db: object,
			options: {
				defaultJobArgs: { numRetries: number };
				keepFailedJobs: boolean;
			},
		);
		enqueue(payload: T): Promise<unknown>;
		stats(): Promise<Record<string, number>>;
	}
	export class Runner<T> {
		constructor(
			queue: SqliteQueue<T>,
			functions: { run: (job: { data: T }) => Promise<void> },
			options: {
				pollIntervalMs: number;
				timeoutSecs: number;
				concurrency: number;
			},
		);
		run(): Promise<void>;
		runUntilEmpty(): Promise<void>;
		stop(): void;
	}
}

declare module "idb" {
	interface IDBPCursor {
		readonly value: number;
		delete(): Promise<void>;
	}
	interface IDBPTransaction {
		readonly store: { add(value: unknown): Promise<unknown>; openCursor(): Promise<IDBPCursor | null> };
		readonly done: Promise<void>;
	}
	export interface IDBPDatabase {
		createObjectStore(name: string, options: object): unknown;
		transaction(name: string, mode: "readwrite", options: { durability: "strict" | "relaxed" }): IDBPTransaction;
		count(name: string): Promise<number>;
		close(): void;
	}
	export function openDB(
		name: string,
		version: number,
		options: { upgrade: (db: IDBPDatabase) => void },
	): Promise<IDBPDatabase>;
	export function deleteDB(name: string): Promise<void>;
}

declare module "idb-keyval" {
	export function createStore(database: string, store: string): unknown;
	export function set(key: number, value: unknown, store: unknown): Promise<void>;
}

declare module "localforage" {
	const localforage: { setItem(key: string, value: unknown): Promise<unknown> };
	export default localforage;
}

declare module "workbox-background-sync/QueueStore.mjs" {
	interface Entry<T> {
		requestData: { url: string };
		metadata: T;
	}
	export class QueueStore<T = number> {
		constructor(name: string);
		pushEntry(entry: Entry<T>): Promise<void>;
		shiftEntry(): Promise<Entry<T> | undefined>;
		size(): Promise<number>;
	}
}

declare module "openworkflow" {
	import type { BackendSqlite } from "openworkflow/sqlite";

	interface Step {
		run<T>(config: { name: string }, work: () => Promise<T>): Promise<T>;
	}
	export class OpenWorkflow {
		constructor(options: { backend: BackendSqlite });
		defineWorkflow<T>(
			spec: { name: string },
			work: (context: { step: Step }) => Promise<T>,
		): { run(): Promise<{ result(): Promise<T> }> };
		newWorker(options: { concurrency: number }): { start(): Promise<void>; stop(): Promise<void> };
	}
}

declare module "openworkflow/sqlite" {
	export class BackendSqlite {
		static connect(path: string): BackendSqlite;
		countWorkflowRuns(): Promise<{ completed: number }>;
	}
}

declare module "@dbos-inc/dbos-sdk" {
	export class DBOS {
		static setConfig(config: { name: string; systemDatabaseUrl: string; logLevel: string }): void;
		static registerWorkflow<A extends unknown[], T>(
			work: (...args: A) => Promise<T>,
			config: { name: string },
		): (...args: A) => Promise<T>;
		static startWorkflow<A extends unknown[], T>(
			workflow: (...args: A) => Promise<T>,
		): (...args: A) => Promise<{ getResult(): Promise<T> }>;
		static runStep<T>(work: () => Promise<T>, config: { name: string }): Promise<T>;
		static launch(): Promise<void>;
	}
}

declare module "effect" {
	export const Effect: {
		promise<T>(task: () => Promise<T>): object;
		runPromise(effect: object): Promise<unknown>;
	};
}

declare module "graphile-worker" {
	import type { Pool } from "pg";

	export class Logger {
		constructor(factory: () => () => void);
	}
	interface SharedOptions {
		pgPool: Pool;
		logger: Logger;
	}
	interface WorkerUtils {
		migrate(): Promise<void>;
		addJob(identifier: string, payload: unknown, spec?: { jobKey: string; runAt: Date }): Promise<unknown>;
		addJobs(jobs: readonly { identifier: string; payload: unknown }[]): Promise<unknown>;
	}
	interface RunnerOptions extends SharedOptions {
		preset: { worker: object };
		noHandleSignals: boolean;
		taskList: Record<string, (payload: unknown) => Promise<void>>;
	}
	export function makeWorkerUtils(options: SharedOptions): Promise<WorkerUtils>;
	export function run(options: RunnerOptions): Promise<{ stop(): Promise<void> }>;
}

declare module "pg-boss" {
	interface Job<T> {
		id: string;
		data: T;
	}
	export class PgBoss {
		constructor(options: { connectionString: string; useListenNotify: boolean });
		start(): Promise<unknown>;
		createQueue(name: string, options: { notify: boolean }): Promise<void>;
		insert(name: string, jobs: readonly { data: object; group?: { id: string } }[]): Promise<unknown>;
		send(name: string, data: object): Promise<unknown>;
		fetch<T>(
			name: string,
			options: { batchSize: number; groupConcurrency?: number | undefined },
		): Promise<Job<T>[]>;
		complete(name: string, ids: readonly string[]): Promise<unknown>;
		work<T>(
			name: string,
			options: { batchSize: number; burstWhenBatchFull: boolean },
			handler: (jobs: Job<T>[]) => Promise<void>,
		): Promise<string>;
	}
}

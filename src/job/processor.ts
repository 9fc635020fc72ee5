/**
 * Jobs that survive: their steps are run one after the other, each result is stored, and what fails is undone.
 *
 * Use a {@link Processor} for work of several steps that must end whole or be undone; use a `Basket` where one step is
 * enough.
 *
 * @module
 */

import type { BasketOptions, Settled, TaskDefinition } from "../basket/options.ts";
import type { Data, Save } from "../basket/store.ts";
import type { Job } from "./job.ts";
import type { JobAttempt, JobCheckpoint, JobStatus, PreparedJob } from "./state.ts";
import { type BackoffSettings, checkBackoff, grow } from "../backoff.ts";
import { type AddOptions, Basket, type TaskRecord, type WorkOptions } from "../basket/basket.ts";
import { Batch } from "../basket/batch.ts";
import { type ClaimedTask, isThenable, synchronous } from "../basket/claimed-task.ts";
import { type Codec, jsonCodec, type TaskFailure } from "../basket/codec.ts";
import { check } from "../platform/check.ts";
import { checkClock } from "../platform/clock.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { validate } from "../platform/standard-schema.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";
import { Waiters, type WaitOptions } from "../platform/waiters.ts";
import { checkRunnerOptions, defaultSettings } from "../runner-options.ts";
import { type JobMessage, type JobOwner, JobRun } from "./job-run.ts";
import { decodeCheckpoint, firstCheckpoint } from "./state.ts";

/** The definition of any job, whatever it takes and gives. */
// deno-lint-ignore no-explicit-any -- whatever it takes and gives
export type AnyJob = Job<any, any, any>;

/** The id of a job that remembers what kind of job it is, so that its outcome is typed. */
export type JobId<R = unknown, V = unknown> = string & { readonly job?: readonly [R, V] };

/** How a job has ended, as {@link Processor.wait} and {@link Processor.result} tell it. */
export type JobOutcome<R = Readonly<Record<string, unknown>>, V = unknown> =
	| {
		/** All steps were done. */
		readonly status: "completed";
		/** The result of the last step. */
		readonly value: V;
		readonly error: undefined;
		readonly revertError: undefined;
		/** The results of all steps. */
		readonly results: R;
		readonly unreverted: readonly string[];
		readonly history: readonly JobAttempt[];
	}
	| {
		/** A step failed, or it was cancelled. All that was done and has a revert is reverted; or not, if `failed`. */
		readonly status: "reverted" | "failed";
		readonly value: undefined;
		/** Why it was reverted, or would have been. */
		readonly error: TaskFailure;
		/** What the revert failed with, at which it was given up. */
		readonly revertError: TaskFailure | undefined;
		/** The results of the steps that were done, reverted ones included. */
		readonly results: Partial<R>;
		/** The steps that were done and could be reverted, but were not. */
		readonly unreverted: readonly string[];
		/** The last attempts, the oldest one first. */
		readonly history: readonly JobAttempt[];
	};

/** What a job is doing. */
export interface JobState {
	/** Its id. */
	readonly id: string;
	/** The name of its definition. */
	readonly job: string;
	/** `waiting` for its time, a signal or a processor; `held` by {@link Processor.hold} or because of its `problem`. */
	readonly status: "waiting" | "running" | "held" | "dead" | JobStatus;
	/** Why it is held, if nobody asked for it: its state cannot be read, or does not fit its definition. */
	readonly problem: TaskFailure | undefined;
	/** Whether its steps are run or reverted. */
	readonly direction: "forward" | "backward";
	/** The step that is run, waited for or reverted next; none when it is over. */
	readonly step: string | undefined;
	/** How many attempts of that have failed. */
	readonly attempts: number;
	/** What the last one of these failed with. */
	readonly previousError: TaskFailure | undefined;
	/** What it was added with. */
	readonly input: unknown;
	/** The results so far. */
	readonly results: Readonly<Record<string, unknown>>;
	/** The version of the definition that it was added with. */
	readonly version: number | string | undefined;
	/** Why it is reverted. */
	readonly error: TaskFailure | undefined;
	/** Why it could not be reverted. */
	readonly revertError: TaskFailure | undefined;
	/** The last attempts, the oldest one first. */
	readonly history: readonly JobAttempt[];
	/** When it was added: milliseconds since 1970, on the store's clock. */
	readonly addedAt: number;
	/** When it goes on, or is removed if it is over; absent if only a signal makes it go on. */
	readonly dueAt: number | undefined;
	/** Where it stands among all: for {@link JobQuery.after}. */
	readonly key: string;
}

/** Which jobs {@link Processor.list} gives. */
export interface JobQuery {
	/** Only those in this state of the store; `done` for all that are over. */
	state?: "waiting" | "running" | "held" | "dead" | "done" | undefined;
	/** Only those of this definition, by its name. */
	job?: string | undefined;
	/** Only those behind the one with this {@link JobState.key}. */
	after?: string | undefined;
	/** At most this many: a whole number from 1. @default Infinity */
	limit?: number | undefined;
}

/** A job that runs in this process. */
export interface LiveJob {
	/** Its id. */
	readonly id: string;
	/** The name of its definition. */
	readonly job: string;
	/** Whether its steps are run or reverted. */
	readonly direction: "forward" | "backward";
	/** The current step. */
	readonly step: string | undefined;
	/** The number of its attempt, from 1. */
	readonly attempt: number;
}

/** What a {@link Processor} shows of what it does in this process. */
export interface ProcessorSnapshot {
	/** As in `BasketSnapshot`. */
	readonly state: "stopped" | "starting" | "running" | "paused" | "stopping";
	/** The jobs that run now, by id. */
	readonly jobs: ReadonlyMap<string, LiveJob>;
	/** How many were completed here, since the processor was made. */
	readonly completed: number;
	/** How many were reverted. */
	readonly reverted: number;
	/** How many failed, and were not or not wholly reverted. */
	readonly failed: number;
}

/** What a {@link Processor} can be told. */
export interface ProcessorOptions<Tx = never> extends
	Pick<
		BasketOptions<Record<string, TaskDefinition>, Tx>,
		"store" | "concurrency" | "lease" | "grace" | "crashes" | "codec" | "gate" | "onError" | "clock"
	> {
	/** The definitions of the jobs. One that is stored but not named here stays untouched. */
	jobs: readonly AnyJob[];
	/** Tells its jobs from the tasks of baskets in the same store. @default "jobs" */
	name?: string | undefined;
	/** How long a job that is over is kept, with its id and its outcome, in milliseconds. @default 86_400_000, a day */
	retain?: number | undefined;
	/** Between the attempts of steps that have none of their own. @default { start: 1_000, factor: 2, max: 3_600_000, jitter: "full" } */
	backoff?: BasketOptions<Record<string, TaskDefinition>, Tx>["backoff"];
}

/**
 * There is no job with this id: it was never added, or its time is over.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { JobNotFoundError, memoryStore, Processor } from "upkeep";
 *
 * const processor = new Processor({ store: memoryStore(), jobs: [] });
 * await assert.rejects(processor.result("nothing"), (error) => error instanceof JobNotFoundError && error.id === "nothing");
 * ```
 */
export class JobNotFoundError extends Error {
	/** What this error is called. */
	override readonly name = "JobNotFoundError";
	/** What was asked for. */
	readonly id: string;

	/**
	 * Made by a processor.
	 *
	 * @param id what was asked for
	 */
	constructor(id: string) {
		super(`There is no job ${JSON.stringify(id)}: it was never added, or its time is over`);
		this.id = id;
	}
}

/** Those who wait for one job. */
interface Waiting {
	readonly waiters: Waiters;
	readonly timer: CallbackTimer;
	count: number;
	/** What the backoff of the looking has given last. */
	delay: number | undefined;
	/** How it has ended, once that is stored. */
	ended: JobCheckpoint | undefined;
}

/** A claim ends with what its job says, and its payload is read by the job itself, which knows what to do with a broken one. */
const rawCodec: Codec = { encode: (data) => data as Data, decode: (data) => data };

/**
 * Runs jobs: step by step, over crashes and restarts, each result stored before the next step begins. When a step is out
 * of attempts, the steps before it are reverted in reverse order, with attempts of their own.
 *
 * - A job that was added ends in exactly one of three ways: `completed`, `reverted`, or `failed` if it could not be reverted.
 * - A step whose result is stored is never run again. One that was under way when its process died is: give its
 *   `idempotencyKey` to the service, or store the result in the same transaction as the effect with `commit`.
 * - Any number of processes may work on the jobs of one store; each job is run by one at a time.
 *
 * @typeParam Tx the transactions of the store
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { job, memoryStore, Processor } from "upkeep";
 *
 * const order = job<{ article: string }>("order")
 * 	.step("reserve", { run: ({ input }) => ({ place: `shelf of ${input.article}` }), revert: () => {} })
 * 	.step("ship", { run: ({ results }) => `from the ${results.reserve.place}`, attempts: 4, timeout: 10_000 });
 *
 * const processor = new Processor({ store: memoryStore(), jobs: [order] });
 * const id = await processor.add(order, { article: "tea" }, { id: "order-1" });
 * await processor.add(order, { article: "tea" }, { id: "order-1" }); // the same job
 *
 * const controller = new AbortController();
 * const running = processor.run({ signal: controller.signal });
 * const outcome = await processor.wait(id);
 * assert.equal(outcome.status === "completed" && outcome.value, "from the shelf of tea");
 * controller.abort();
 * await running;
 * ```
 */
export class Processor<Tx = never> implements Subscribable<ProcessorSnapshot>, AsyncDisposable {
	readonly #owner: JobOwner<Tx>;
	readonly #jobs: ReadonlyMap<string, PreparedJob>;
	readonly #basket: Basket<Record<string, TaskDefinition>, Tx>;
	readonly #live = new Map<string, { readonly job: string; readonly run: JobRun<Tx> }>();
	readonly #waiting = new Map<string, Waiting>();
	readonly #looking: BackoffSettings;
	readonly #totals: Record<JobStatus, number> = { completed: 0, reverted: 0, failed: 0 };
	readonly #snapshot: Snapshot<ProcessorSnapshot>;

	/** See {@link Subscribable.subscribe}. Also called when others may have changed something, so that `state` and `list` may differ. */
	readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}. */
	readonly getSnapshot: () => ProcessorSnapshot;

	/**
	 * Makes a processor. It touches its store when it is first used.
	 *
	 * @param options the store, the jobs, and how they are run
	 * @throws {TypeError | RangeError} for options of the wrong type or out of range, and for two jobs of one name
	 */
	constructor(options: ProcessorOptions<Tx>) {
		const { jobs, name = "jobs", retain = 86_400_000, crashes = 10, codec = jsonCodec, store, onError, ...rest } =
			check("options", options, "object");
		const clock = checkClock(options.clock);
		this.#jobs = prepare(check("jobs", jobs, "object"), options.backoff, clock);
		const tasks = Object.fromEntries([...this.#jobs.values()].map((job) => [job.job.name, this.#task(job)]));
		const onSettled = (settled: Settled) => this.#settled(settled);
		// Checks all of these, too.
		this.#basket = new Basket({ ...rest, store, name, retain, crashes, codec, onError, tasks, onSettled });
		const saves = new Batch<Save, boolean>((saves) => store.save(name, saves));
		this.#owner = {
			store,
			name,
			codec,
			clock,
			crashes,
			retain,
			onError,
			save: async (save) => (await saves.submit([save]))[0]!,
			onChange: () => this.#snapshot.changed(),
		};
		this.#looking = checkBackoff({ start: 100, max: 5_000 });
		this.#snapshot = new Snapshot(() => this.#read(), onError);
		this.#basket.subscribe(() => this.#snapshot.changed());
		this.subscribe = this.#snapshot.subscribe;
		this.getSnapshot = this.#snapshot.getSnapshot;
	}

	/**
	 * Adds a job. Resolves when it is stored durably; with `tx`, when it is part of that transaction.
	 *
	 * @param job its definition, one of those of this processor
	 * @param args the input, and options; the input may be left out where it may be `undefined`
	 * @returns its id. If there is a job with the id that was given, in whatever state, that one is left as it is
	 * @throws {TypeError | RangeError} (as a rejection) for an unknown job, an input that cannot be encoded or is too large for
	 * the store, and options of the wrong type or out of range
	 * @throws {ValidationError} (as a rejection) if the input does not pass the job's schema
	 * @throws {StoreError} (as a rejection) if it could not be stored
	 */
	async add<I, R, V>(
		job: Job<I, R, V>,
		...args: undefined extends I ? [input?: NoInfer<I>, options?: AddOptions<Tx>]
			: [input: NoInfer<I>, options?: AddOptions<Tx>]
	): Promise<JobId<R, V>> {
		const [input, options] = args;
		const known = this.#jobs.get(check("job", job, "object").name)?.job;
		if (known === undefined) throw new TypeError(`The processor has no job ${JSON.stringify(job.name)}`);
		const tx = options?.tx;
		const valid = known.schema && validate(known.schema, input);
		if (isThenable(valid)) await synchronous(valid, tx);
		const encoded = this.#owner.codec.encode(firstCheckpoint(known, input));
		const data = isThenable(encoded) ? await synchronous(encoded, tx) : encoded;
		const { id } = await this.#basket.add(known.name, data, options);
		return id;
	}

	/**
	 * Works until the signal aborts. Then the signals of the running steps abort, too, and it resolves when they have ended,
	 * `grace` ms later at most. Several calls share one worker.
	 *
	 * @throws {StoreError} (as a rejection) for a failure that will not pass
	 * @throws {TypeError} (as a rejection) if `signal` is none
	 */
	async run(options: WorkOptions = {}): Promise<void> {
		await this.#basket.run(options);
	}

	/**
	 * Works until nothing is due. Jobs that wait, for a time or a signal, are left for later.
	 *
	 * @throws {unknown} (as a rejection) the reason of `signal`, itself, if that aborts first
	 * @throws {StoreError} (as a rejection) for a failure that will not pass
	 */
	async drain(options: WorkOptions = {}): Promise<void> {
		await this.#basket.drain(options);
	}

	/** Ends every `run` and `drain`, as their signals would, and resolves when they have ended. Harmless if there is none. */
	async stop(): Promise<void> {
		await this.#basket.stop();
	}

	/**
	 * Waits until a job is over, whichever process runs it: this one is told at once, that of another process is seen within
	 * five seconds.
	 *
	 * @returns how it has ended
	 * @throws {JobNotFoundError} (as a rejection) if there is no such job, or it was deleted meanwhile
	 * @throws {unknown} (as a rejection) the reason of `signal`, itself, if that aborts first
	 */
	wait<R, V>(id: JobId<R, V>, options?: WaitOptions): Promise<JobOutcome<R, V>>;
	/** The same for an id without its types. */
	wait(id: string, options?: WaitOptions): Promise<JobOutcome>;
	async wait(id: string, options: WaitOptions = {}): Promise<JobOutcome> {
		const { signal } = check("options", options, "object");
		check("id", id, "string");
		const waiting = this.#waitFor(id);
		const { clock } = this.#owner;
		try {
			for (;;) {
				signal?.throwIfAborted();
				const record = await this.#basket.get(id);
				// Told meanwhile, and perhaps removed.
				if (waiting.ended !== undefined) return outcomeOf(await this.#asStored(waiting.ended));
				const outcome = await this.#outcome(id, record);
				if (outcome !== undefined) return outcome;
				if (waiting.ended !== undefined) return outcomeOf(await this.#asStored(waiting.ended));
				clock.set(waiting.timer, waiting.delay = grow(this.#looking, waiting.delay));
				if (!await waiting.waiters.wait(signal)) throw signal!.reason;
			}
		} finally {
			if (--waiting.count === 0) {
				clock.clear(waiting.timer);
				this.#waiting.delete(id);
			}
		}
	}

	/**
	 * How a job has ended; `undefined` if it has not.
	 *
	 * @throws {JobNotFoundError} (as a rejection) if there is no such job
	 */
	result<R, V>(id: JobId<R, V>): Promise<JobOutcome<R, V> | undefined>;
	/** The same for an id without its types. */
	result(id: string): Promise<JobOutcome | undefined>;
	async result(id: string): Promise<JobOutcome | undefined> {
		return await this.#outcome(id, await this.#basket.get(id));
	}

	/** What a job is doing, as it is stored; `undefined` if there is none with this id. */
	async state(id: string): Promise<JobState | undefined> {
		const record = await this.#basket.get(id);
		return record && await this.#show(record);
	}

	/**
	 * The jobs, in the order in which they were added. Reads a page at a time.
	 *
	 * @throws {TypeError | RangeError} (as a rejection of the first step) for a query of the wrong type or out of range
	 */
	async *list(query: JobQuery = {}): AsyncGenerator<JobState, void, undefined> {
		const { job, ...rest } = check("query", query, "object");
		for await (const record of this.#basket.list({ ...rest, kind: job })) yield await this.#show(record);
	}

	/**
	 * Reverts a job: the signal of a running step aborts, within a third of the lease if that is in another process, and what was
	 * done is reverted. A held job is reverted when it is released.
	 *
	 * @returns `false` if there is nothing to cancel, because it is over or not there. `true` is no promise: a job may come to
	 * its end before it notices
	 */
	async cancel(id: string): Promise<boolean> {
		return await this.#post(id, { type: "cancel" });
	}

	/**
	 * Sends a value to the step of this name that {@link Job.waitFor} has defined. It is kept until the job gets there; the first
	 * one counts.
	 *
	 * @returns `false` if there is no such job, or it is over
	 * @throws {TypeError} (as a rejection) if the job has no such step, or the value cannot be encoded
	 * @throws {ValidationError} (as a rejection) if the value does not pass the schema of the step
	 */
	async signal(id: string, name: string, value?: unknown): Promise<boolean> {
		const record = await this.#basket.get(id);
		const job = record && this.#jobs.get(record.kind);
		const step = job?.steps.get(check("name", name, "string"))?.definition;
		if (job !== undefined && step?.type !== "waitFor") {
			throw new TypeError(`The job ${JSON.stringify(job.job.name)} does not wait for ${JSON.stringify(name)}`);
		}
		const schema = step?.options.schema;
		if (schema !== undefined) await validate(schema, value);
		return await this.#post(id, { type: "signal", name, value });
	}

	/**
	 * Hides a job from all processors until {@link Processor.release}. A running one goes on until its current step is done.
	 *
	 * @returns whether that applied: not to a job that is held already, over or not there
	 */
	async hold(id: string): Promise<boolean> {
		const isHeld = await this.#basket.hold(id);
		if (isHeld) await this.#post(id, { type: "yield" });
		return isHeld;
	}

	/**
	 * Undoes {@link Processor.hold}, and lets a job be tried again that was held because of a problem.
	 *
	 * @returns whether that applied
	 */
	async release(id: string): Promise<boolean> {
		return await this.#basket.release(id);
	}

	/**
	 * Removes a job, in whatever state, with its outcome. Nothing is reverted: for that see {@link Processor.cancel}.
	 *
	 * @returns whether it was there
	 */
	async delete(id: string): Promise<boolean> {
		return await this.#basket.delete(id);
	}

	/** The same as {@link Processor.stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	#task(job: PreparedJob): TaskDefinition {
		const run = async (data: Data, context: unknown) => {
			const task = context as ClaimedTask<Tx>;
			const { id } = task;
			const live = { job: job.job.name, run: new JobRun(this.#owner, job, task) };
			this.#live.set(id, live);
			try {
				const outcome = await live.run.run(data);
				task.ending = { outcome, error: live.run.state, delay: 0 };
			} finally {
				if (this.#live.get(id) === live) this.#live.delete(id);
				this.#snapshot.changed();
			}
		};
		return { run, codec: rawCodec, attempts: Infinity, crashes: Infinity };
	}

	async #post(id: string, message: JobMessage): Promise<boolean> {
		check("id", id, "string");
		const { store, name, codec } = this.#owner;
		const data = await codec.encode(message);
		await this.#basket.open();
		if (!await store.post(name, id, data)) return false;
		// Nothing pauses this basket: it only wakes.
		this.#basket.resume();
		await this.#live.get(id)?.run.look();
		return true;
	}

	#waitFor(id: string): Waiting {
		let waiting = this.#waiting.get(id);
		if (waiting === undefined) {
			const waiters = new Waiters();
			const timer = new CallbackTimer(() => waiters.release());
			waiting = { waiters, timer, count: 0, delay: undefined, ended: undefined };
			this.#waiting.set(id, waiting);
		}
		waiting.count++;
		return waiting;
	}

	/** What a reader of the store gets to see, who need not be in this process. */
	async #asStored(state: JobCheckpoint): Promise<JobCheckpoint> {
		const { codec } = this.#owner;
		return await codec.decode(await codec.encode(state)) as JobCheckpoint;
	}

	/** What a run tells as its error is its checkpoint. */
	#settled({ id, outcome, error }: Settled): void {
		if (outcome !== "done") return;
		const ended = error as JobCheckpoint;
		this.#totals[ended.status!]++;
		const waiting = this.#waiting.get(id);
		if (waiting === undefined) return;
		waiting.ended = ended;
		waiting.waiters.release();
	}

	async #outcome(id: string, record: TaskRecord | undefined): Promise<JobOutcome | undefined> {
		if (record === undefined) throw new JobNotFoundError(id);
		const { state, payload, error } = record;
		if (state === "done") return outcomeOf(await decodeCheckpoint(this.#owner.codec, payload as Data));
		// The store itself could not read it.
		return state === "dead" ? outcomeOf({ plan: [], results: {}, history: [], status: "failed", error }) : undefined;
	}

	#read(): ProcessorSnapshot {
		const jobs = new Map<string, LiveJob>();
		for (const [id, { job, run: { state } }] of this.#live) {
			if (state !== undefined) jobs.set(id, { id, job, ...position(state), attempt: state.attempts + 1 });
		}
		return { state: this.#basket.getSnapshot().state, jobs, ...this.#totals };
	}

	async #show(record: TaskRecord): Promise<JobState> {
		const { id, kind, state, error: problem, addedAt, dueAt, key } = record;
		const read = decodeCheckpoint(this.#owner.codec, record.payload as Data);
		const checkpoint: Partial<JobCheckpoint> = await read.catch(() => ({}));
		const { attempts = 0, previous, input, results = {}, version, error, revertError, history = [] } = checkpoint;
		const status = state === "done" ? checkpoint.status ?? "failed" : state;
		const step = { ...position(checkpoint), attempts, previousError: previous };
		const stored = { input, results, version, error, revertError, history, addedAt, dueAt, key };
		return { id, job: kind, status, problem, ...step, ...stored };
	}
}

function prepare(
	jobs: readonly AnyJob[],
	backoff: ProcessorOptions["backoff"],
	clock: ReturnType<typeof checkClock>,
): Map<string, PreparedJob> {
	const least = { start: 1_000, factor: 2, max: 3_600_000, jitter: "full" } as const;
	const defaults = { ...defaultSettings, backoff: checkBackoff(backoff ?? least), clock };
	const prepared = new Map<string, PreparedJob>();
	for (const job of jobs) {
		const name = check("job.name", check("job", job, "object").name, "string");
		if (prepared.has(name)) throw new TypeError(`There are two jobs of the name ${JSON.stringify(name)}`);
		if (job.steps.length === 0) throw new TypeError(`The job ${JSON.stringify(name)} has no steps`);
		const steps = job.steps.map((definition) => {
			const { options } = definition;
			const settings = checkRunnerOptions(options, defaults);
			const { revertAttempts: attempts = Infinity } = options;
			const revertSettings = checkRunnerOptions({ ...options, attempts, deadline: Infinity }, defaults);
			return [definition.name, { definition, settings, revertSettings }] as const;
		});
		prepared.set(name, { job, steps: new Map(steps) });
	}
	return prepared;
}

function outcomeOf(state: Pick<JobCheckpoint, "plan" | "results" | "history"> & Partial<JobCheckpoint>): JobOutcome {
	const { status, plan, results, error, revertError, unreverted = [], history } = state;
	const value = status === "completed" ? results[plan.at(-1)!] : undefined;
	return { status, value, error, revertError, results, unreverted, history } as JobOutcome;
}

/** Where a job is. */
function position(
	{ plan = [], at = 0, isBackward, status }: Partial<JobCheckpoint>,
): Pick<LiveJob, "direction" | "step"> {
	const step = status === undefined ? plan[isBackward ? at - 1 : at] : undefined;
	return { direction: isBackward ? "backward" : "forward", step };
}

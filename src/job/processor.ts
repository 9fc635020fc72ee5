/**
 * Persistent jobs: each result of their steps is stored, and failed jobs are reverted.
 *
 * Use a {@link Processor} for work of several steps that must all complete or be undone. Use a `Basket` for work of
 * one step.
 *
 * @module
 */

import { BasketEngine, Endings, getTask, listTasks } from "../basket/engine.ts";
import type { BasketStopOptions, Changed, TxOptions, WorkOptions } from "../basket/basket.ts";
import type { Counts, Pauses } from "../basket/store.ts";
import type { AnyJob } from "./definition.ts";
import type { JobCheckpoint, JobMessage } from "./state.ts";
import { addJobs, type JobsToAdd } from "./adding.ts";
import { changeJobs, clearJobs, type JobFilter, pauseJobs, runningAmong } from "./changing.ts";
import { LiveJobs } from "./live.ts";
import {
	type AddJobArguments,
	checkProcessorOptions,
	type NewJob,
	type ProcessorOptions,
	type StoredJobPause,
} from "./options.ts";
import {
	type AddedJob,
	type JobId,
	type JobOf,
	type JobOutcome,
	type SignalName,
	type SignalValue,
	storedOutcome,
} from "./outcome.ts";
import { createOwner, type JobOwner } from "./owner.ts";
import { type RetryJobOptions, retryJobs } from "./restarting.ts";
import { checkSignalValue, postTo } from "./signals.ts";
import type { JobSource } from "./stored.ts";
import { type JobQuery, type JobRecord, type ProcessorSnapshot, showJob, showJobs } from "./view.ts";
import { waitForJob } from "./waiting.ts";
import { check, refuse } from "../platform/check.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import type { WaitOptions } from "../platform/waiters.ts";

/**
 * Runs jobs step by step, across crashes and restarts. Each result is stored before the next step begins. If a step
 * runs out of attempts, the completed steps are reverted in reverse order. Each revert has attempts of its own.
 *
 * - Each added job ends in exactly one of three ways: `completed`, `reverted`, or `failed` if it could not be
 *   reverted.
 * - A step whose result is stored never runs again. A step that was running when its process died runs again: pass
 *   its `idempotencyKey` to the service, or use `commit` to store the result in the same transaction as the effect.
 * - Any number of processes can work on the jobs of one store. Each job is run by one process at a time.
 *
 * @typeParam Jobs the definitions of its jobs
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
 * const { id } = await processor.add(order, { article: "tea" }, { id: "order-1" });
 * await processor.add(order, { article: "tea" }, { id: "order-1" }); // no second job
 *
 * const controller = new AbortController();
 * const running = processor.run({ signal: controller.signal });
 * const outcome = await processor.wait(id);
 * assert.equal(outcome.status === "completed" && outcome.value, "from the shelf of tea");
 * controller.abort();
 * await running;
 * ```
 */
export class Processor<Jobs extends AnyJob<Tx> = AnyJob, Tx = never>
	implements Subscribable<ProcessorSnapshot>, AsyncDisposable {
	readonly #owner: JobOwner<Tx>;
	readonly #source: JobSource;
	readonly #known: JobsToAdd;
	readonly #engine: BasketEngine<Tx>;
	readonly #live: LiveJobs<Tx>;
	readonly #endings: Endings<JobCheckpoint>;
	readonly #snapshot: Snapshot<ProcessorSnapshot>;

	/** See {@link Subscribable.subscribe}. Listeners are also called when other processes may have changed jobs. */
	readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}. */
	readonly getSnapshot: () => ProcessorSnapshot;

	/**
	 * Creates a processor. It accesses its store when it is first used.
	 *
	 * @param options the store, the jobs, and how to run them
	 * @throws {TypeError | RangeError} for options of the wrong type or out of range, and for two jobs with the same
	 * name and version
	 */
	constructor(options: ProcessorOptions<Jobs, Tx>) {
		const checked = checkProcessorOptions<Tx>(options, (job, claim) => this.#live.run(job, claim));
		const { settings, jobs, codec, onSettled } = checked;
		this.#known = { jobs, codec };
		this.#engine = new BasketEngine({ ...settings, onFinish: () => this.#live.yield() });
		this.#owner = createOwner(checked, () => this.#snapshot.changed());
		this.#source = { ...this.#owner, readTask: (id) => getTask(this.#engine, id) };
		this.#endings = new Endings(settings.clock);
		this.#live = new LiveJobs(this.#owner, this.#endings, onSettled);
		this.#snapshot = new Snapshot(() => this.#read(), settings.onError);
		this.#engine.snapshot.subscribe(() => this.#snapshot.changed());
		this.subscribe = this.#snapshot.subscribe;
		this.getSnapshot = this.#snapshot.getSnapshot;
	}

	/** The name of this processor in its store. */
	get name(): string {
		return this.#owner.name;
	}

	/**
	 * Opens the store. All other methods do so by themselves, except for calls with a `tx`.
	 *
	 * @throws {StoreError} (as a rejection) if the store cannot be opened
	 */
	open(): Promise<void> {
		return this.#engine.open();
	}

	/**
	 * Adds a job. Resolves when the job is stored durably; with `tx`, when it is part of that transaction.
	 *
	 * @param job the definition, one of those of this processor
	 * @param args the input and options; the input is optional if it may be `undefined`
	 * @returns the id of the job, whether it was added, and if not, the state of the existing job with this id, which
	 * is not changed
	 * @throws {TypeError | RangeError} (as a rejection) for an unknown job, an input that cannot be encoded or is too
	 * large for the store, and options of the wrong type or out of range
	 * @throws {ValidationError} (as a rejection) if the input does not pass the job's schema
	 * @throws {StoreError} (as a rejection) if the job could not be stored
	 */
	async add<J extends Jobs>(job: J, ...args: AddJobArguments<J, Tx>): Promise<AddedJob<J>> {
		const [input, options = {}] = args;
		const { tx, ...rest } = check("options", options, "object");
		const [added] = await addJobs(this.#engine, this.#known, [{ ...rest, job, input }], tx);
		return added!;
	}

	/**
	 * Adds jobs in this order, all of them or none.
	 *
	 * @param entries the arguments of {@link Processor.add} as objects
	 * @param options the transaction
	 * @returns the result of {@link Processor.add} for each entry
	 * @throws {unknown} (as a rejection) the errors of {@link Processor.add}
	 * @throws {TypeError} (as a rejection) if `entries` is not iterable
	 * @throws {RangeError} (as a rejection) for more jobs or bytes than the store accepts at once
	 */
	async addMany(
		entries: Iterable<NewJob<Jobs>>,
		options: TxOptions<Tx> = {},
	): Promise<readonly AddedJob<Jobs>[]> {
		const { tx } = check("options", options, "object");
		if (typeof Object(entries)[Symbol.iterator] !== "function") refuse("entries", entries, "iterable");
		return await addJobs(this.#engine, this.#known, entries as Iterable<NewJob<AnyJob>>, tx);
	}

	/**
	 * Processes jobs until the signal aborts. Then the signals of the running steps abort, too, and the call resolves
	 * when these have ended, at most `grace` ms later. Several calls share one worker.
	 *
	 * @throws {StoreError} (as a rejection) for a permanent failure, or for another error of the store after five tries
	 * @throws {TypeError} (as a rejection) if `signal` is not an AbortSignal
	 */
	run(options: WorkOptions = {}): Promise<void> {
		return this.#engine.work(false, options);
	}

	/**
	 * Processes jobs until no job is due. It does not wait for jobs that wait for a time or a signal.
	 *
	 * Do not await it in a step of the same processor: the step would wait for itself, until the `signal` of the call
	 * aborts.
	 *
	 * @throws {unknown} (as a rejection) the reason of `signal` itself, if it aborts first
	 * @throws {unknown} (as a rejection) the errors of {@link Processor.run}
	 */
	drain(options: WorkOptions = {}): Promise<void> {
		return this.#engine.work(true, options);
	}

	/**
	 * Ends every `run` and `drain`, like their signals, and resolves when they have ended. Does nothing if none is active.
	 * With `finish`, running steps may end before. A call without it ends the patience of an earlier one.
	 *
	 * @throws {TypeError | RangeError} (as a rejection) for options of the wrong type or out of range
	 */
	stop(options: BasketStopOptions = {}): Promise<void> {
		return this.#engine.stop(options);
	}

	/** Pauses this processor object: no further job or step begins. Running steps continue; their signals do not abort. */
	pause(): void;
	/**
	 * Pauses the jobs of a definition, or all jobs, in the store: see {@link Basket.pause}. In other processes, a running
	 * job continues until it must wait.
	 *
	 * @returns whether it was not paused before
	 */
	pause(options: StoredJobPause): Promise<boolean>;
	pause(options?: StoredJobPause): void | Promise<boolean> {
		if (options === undefined) this.#engine.worker.pause();
		this.#live.yield(options?.job);
		return options === undefined ? undefined : pauseJobs(this.#engine, options, true);
	}

	/** Undoes {@link Processor.pause}. */
	resume(): void;
	/** Undoes a stored pause. Returns whether it was paused before. */
	resume(options: StoredJobPause): Promise<boolean>;
	resume(options?: StoredJobPause): void | Promise<boolean> {
		return options === undefined ? this.#engine.worker.resume() : pauseJobs(this.#engine, options, false);
	}

	/** The stored pauses; their kinds are the names of jobs. */
	pauses(): Promise<Pauses> {
		return this.#engine.pauses();
	}

	/**
	 * The number of jobs in each state, with children, in the store, for all processes. Ended jobs count as `done`.
	 *
	 * @throws {StoreError} (as a rejection) if the store cannot be opened or does not answer
	 */
	counts(): Promise<Counts> {
		return this.#engine.counts();
	}

	/**
	 * Waits until a job has ended in any process. The end is noticed at once if this process runs the job, and
	 * otherwise within five seconds. At a temporary failure of the store, `onError` is called, and the wait continues.
	 *
	 * @returns the outcome
	 * @throws {JobNotFoundError} (as a rejection) if no job has the id, or the job was deleted meanwhile
	 * @throws {StoreError} (as a rejection) for a permanent failure
	 * @throws {unknown} (as a rejection) the reason of `signal` itself, if it aborts first
	 * @throws {TypeError | RangeError} (as a rejection) if `id` is not a text of 1 to 255 characters, or `signal` is
	 * not an AbortSignal
	 */
	wait<J extends AnyJob>(id: JobId<J>, options?: WaitOptions): Promise<JobOutcome<J>>;
	/** The same for an id without types. */
	wait(id: string, options?: WaitOptions): Promise<JobOutcome>;
	wait(id: string, options: WaitOptions = {}): Promise<JobOutcome> {
		return waitForJob(this.#owner, this.#endings, () => this.result(id), id, options);
	}

	/**
	 * The outcome of a job; `undefined` if it has not ended.
	 *
	 * @throws {JobNotFoundError} (as a rejection) if no job has the id
	 * @throws {unknown} (as a rejection) the errors of {@link Processor.get}
	 */
	result<J extends AnyJob>(id: JobId<J>): Promise<JobOutcome<J> | undefined>;
	/** The same for an id without types. */
	result(id: string): Promise<JobOutcome | undefined>;
	async result(id: string): Promise<JobOutcome | undefined> {
		return await storedOutcome(this.#source, id, await getTask(this.#engine, id));
	}

	/**
	 * Gets one job as it is stored.
	 *
	 * @returns `undefined` if no job has this id
	 * @throws {TypeError | RangeError} (as a rejection) if `id` is not a text of 1 to 255 characters
	 * @throws {StoreError} (as a rejection) if the store cannot be opened or does not answer
	 */
	async get(id: string): Promise<JobRecord | undefined> {
		const record = await getTask(this.#engine, id);
		return record && await showJob(this.#source, this.#known.jobs, record);
	}

	/**
	 * Lists the jobs in the order in which they were added, or with `parent` the children of one. Reads page by page.
	 *
	 * @throws {unknown} (as a rejection of a step) the errors of {@link Processor.get}; also for a wrong query
	 */
	async *list(query: JobQuery = {}): AsyncGenerator<JobRecord, void, undefined> {
		const { job, ...rest } = check("query", query, "object");
		yield* showJobs(this.#source, this.#known.jobs, listTasks(this.#engine, { ...rest, kind: job }));
	}

	/**
	 * Reverts a job: the signal of a running step aborts, and completed steps are reverted. If the step runs in
	 * another process, its signal aborts when the store notifies that process, or within a third of the lease if the
	 * store cannot. A held job is reverted when it is released.
	 *
	 * @returns `false` if the job has ended or does not exist. `true` is not a guarantee: the job may end before it
	 * notices the cancellation
	 * @throws {unknown} (as a rejection) the errors of {@link Processor.get}
	 */
	async cancel(id: string): Promise<boolean> {
		return await this.#post(id, { type: "cancel" });
	}

	/**
	 * Sends a value to the step with this name, which {@link Job.waitFor} has defined. The first value is kept until the job
	 * reaches the step. A durable function takes any name, because its body has the names; that of a list is its JSON.
	 *
	 * @returns `false` if no job has the id, or the job has ended
	 * @throws {TypeError} (as a rejection) if the job has no such step, or the value cannot be encoded
	 * @throws {ValidationError} (as a rejection) if the value does not pass the schema of the step
	 * @throws {unknown} (as a rejection) the errors of {@link Processor.get}
	 */
	async signal<Id extends string, N extends SignalName<JobOf<Id, Jobs>>>(
		id: Id,
		name: N,
		...[value]: undefined extends SignalValue<JobOf<Id, Jobs>, N> ? [value?: SignalValue<JobOf<Id, Jobs>, N>]
			: [value: SignalValue<JobOf<Id, Jobs>, N>]
	): Promise<boolean> {
		const record = await getTask(this.#engine, id);
		await checkSignalValue(record && this.#known.jobs.get(record.kind), name, value);
		return await this.#post(id, { type: "signal", name, value });
	}

	/**
	 * Makes a job due at once that waits for its delay or for an attempt of a step. One that sleeps or waits for a signal keeps
	 * waiting; a dead one is tried again. With `from`, a job that has ended goes on where it failed, or begins anew.
	 *
	 * @param which the id of a job, or a filter: then all jobs that it selects are changed, in batches
	 * @param options your own transaction, or where a job goes on that has ended, for an id
	 * @returns whether the job was changed: not if it runs, is held, has ended or does not exist; with `from`, not if it
	 * has not ended, or has completed and no failure; with a filter, how many were changed
	 * @throws {TypeError | RangeError} (as a rejection) for an id that no job can have, and a filter without a property
	 * @throws {StoreError} (as a rejection) if the store cannot be opened or does not answer
	 */
	retry<W extends string | JobFilter>(which: W, options?: RetryJobOptions<Tx>): Promise<Changed<W>> {
		return retryJobs(this.#engine, this.#source, this.#known.jobs, which, options);
	}

	/**
	 * Hides a job from all processors until {@link Processor.release}. A running job continues until its current step
	 * is done; with a `tx`, until it must wait. The arguments are those of {@link Processor.retry}.
	 *
	 * @returns whether the job was changed (not if it is held already, has ended or does not exist), or how many were
	 * @throws {unknown} (as a rejection) the errors of {@link Processor.retry}
	 */
	async hold<W extends string | JobFilter>(which: W, options?: TxOptions<Tx>): Promise<Changed<W>> {
		const held = await changeJobs(this.#engine, which, "hold", options);
		// A message would make a waiting job due, and is not part of a transaction.
		const running = held && options?.tx === undefined ? await runningAmong(this.#engine, which) : [];
		for (const id of running) await this.#post(id, { type: "yield" });
		return held;
	}

	/**
	 * Undoes {@link Processor.hold}, and retries a job that is held because of a problem. The arguments are those of
	 * {@link Processor.retry}.
	 *
	 * @returns whether the job was changed, or how many were
	 * @throws {unknown} (as a rejection) the errors of {@link Processor.retry}
	 */
	release<W extends string | JobFilter>(which: W, options?: TxOptions<Tx>): Promise<Changed<W>> {
		return changeJobs(this.#engine, which, "release", options);
	}

	/**
	 * Removes a job in any state, with its outcome. Nothing is reverted; use {@link Processor.cancel} for that. The
	 * arguments are those of {@link Processor.retry}.
	 *
	 * @returns whether the job existed, or how many did
	 * @throws {unknown} (as a rejection) the errors of {@link Processor.retry}
	 */
	delete<W extends string | JobFilter>(which: W, options?: TxOptions<Tx>): Promise<Changed<W>> {
		return changeJobs(this.#engine, which, "delete", options);
	}

	/**
	 * Removes all jobs that a filter selects, in batches; without one all jobs of the processor. Nothing is reverted.
	 *
	 * @returns the number of removed jobs
	 * @throws {unknown} (as a rejection) the errors of {@link Processor.retry}
	 */
	clear(filter: JobFilter = {}): Promise<number> {
		return clearJobs(this.#engine, filter);
	}

	/** The same as {@link Processor.stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	async #post(id: string, message: JobMessage): Promise<boolean> {
		if (!await postTo(this.#owner, this.#engine, id, message)) return false;
		await this.#live.look(id);
		return true;
	}

	#read(): ProcessorSnapshot {
		return { state: this.#engine.snapshot.getSnapshot().state, jobs: this.#live.show(), ...this.#live.totals };
	}
}

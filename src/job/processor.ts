/**
 * Jobs that survive: their steps are run one after the other, each result is stored, and what fails is undone.
 *
 * Use a {@link Processor} for work of several steps that must end whole or be undone; use a `Basket` where one step is
 * enough.
 *
 * @module
 */

import {
	addTasks,
	BasketEngine,
	Batch,
	checkBasketOptions,
	cut,
	type Ending,
	getTask,
	isThenable,
	isTransient,
	jsonCodec,
	type Kind,
	listTasks,
	synchronous,
} from "../basket/engine.ts";
import type { AddOptions, TaskRecord, WorkOptions } from "../basket/basket.ts";
import type { Counts, Data } from "../basket/store.ts";
import type { AnyJob } from "./job.ts";
import type { JobMessage } from "./job-run.ts";
import type { JobOwner } from "./owner.ts";
import type { JobCheckpoint, PreparedJob } from "./state.ts";
import { decodeCheckpoint } from "./decode.ts";
import { LiveJobs } from "./live.ts";
import { type AddJobArguments, jobTask, type NewJob, prepare, type ProcessorOptions } from "./options.ts";
import {
	type AddedJob,
	type JobId,
	JobNotFoundError,
	type JobOf,
	type JobOutcome,
	outcomeOf,
	type SignalName,
	type SignalValue,
} from "./outcome.ts";
import { saveWanted, type WaitingSave } from "./saving.ts";
import { firstCheckpoint } from "./state.ts";
import { type JobQuery, type JobRecord, type ProcessorSnapshot, showJob } from "./view.ts";
import { Endings } from "./waiting.ts";
import { check, checkFunction, checkSignal, refuse } from "../platform/check.ts";
import { checkClock } from "../platform/clock.ts";
import { observe, type OnError, report } from "../platform/observe.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { validate } from "../platform/standard-schema.ts";
import type { WaitOptions } from "../platform/waiters.ts";

/**
 * Runs jobs: step by step, over crashes and restarts, each result stored before the next step begins. When a step is out
 * of attempts, the steps before it are reverted in reverse order, with attempts of their own.
 *
 * - A job that was added ends in exactly one of three ways: `completed`, `reverted`, or `failed` if it could not be reverted.
 * - A step whose result is stored is never run again. One that was under way when its process died is: give its
 *   `idempotencyKey` to the service, or store the result in the same transaction as the effect with `commit`.
 * - Any number of processes may work on the jobs of one store; each job is run by one at a time.
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
export class Processor<Jobs extends AnyJob<Tx> = AnyJob, Tx = never>
	implements Subscribable<ProcessorSnapshot>, AsyncDisposable {
	readonly #owner: JobOwner<Tx>;
	readonly #jobs: ReadonlyMap<string, PreparedJob>;
	readonly #engine: BasketEngine<Tx>;
	readonly #live: LiveJobs<Tx>;
	readonly #endings: Endings;
	readonly #onError: OnError | undefined;
	readonly #snapshot: Snapshot<ProcessorSnapshot>;

	/** See {@link Subscribable.subscribe}. Also called when others may have changed something, so that `get` and `list` may differ. */
	readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}. */
	readonly getSnapshot: () => ProcessorSnapshot;

	/**
	 * Makes a processor. It touches its store when it is first used.
	 *
	 * @param options the store, the jobs, and how they are run
	 * @throws {TypeError | RangeError} for options of the wrong type or out of range, and for two jobs of one name
	 */
	constructor(options: ProcessorOptions<Jobs, Tx>) {
		const { jobs, name = "jobs", retain = 86_400_000, crashes = 10, codec = jsonCodec, store, onError, ...rest } =
			check("options", options, "object");
		const onSettled = checkFunction("onSettled", options.onSettled);
		const onAttemptFailed = checkFunction("onAttemptFailed", options.onAttemptFailed);
		this.#onError = onError;
		const clock = checkClock(options.clock);
		this.#jobs = prepare(check("jobs", jobs, "object"), options.backoff, clock);
		const tasks = Object.fromEntries([...this.#jobs.keys()].map((name) => [name, jobTask]));
		// Checks all of these, too.
		const own = { onSettled: undefined, onAttemptFailed: undefined };
		const settings = checkBasketOptions<Tx>({ ...rest, ...own, store, name, retain, crashes, codec, onError, tasks });
		const kinds = [...this.#jobs].map(([name, job]) => {
			const call: Kind["call"] = (_, claim) => this.#live.run(job, claim);
			const end = (ending: unknown) => ending as Ending;
			return [name, { ...settings.kinds.get(name)!, call, end }] as const;
		});
		this.#engine = new BasketEngine({ ...settings, kinds: new Map(kinds) });
		const patience = { clock, limit: (options.lease ?? 30_000) / 3 };
		const saves = new Batch<WaitingSave, boolean>((waiting) => saveWanted(store, name, waiting), patience);
		this.#owner = {
			store,
			name,
			codec,
			clock,
			crashes,
			retain,
			onError,
			save: async (save, begin) => (await saves.submit([{ save, begin }]))[0]!,
			onAttemptFailed: (failed) => void observe(onError, onAttemptFailed, failed),
			onChange: () => this.#snapshot.changed(),
		};
		this.#endings = new Endings(clock);
		this.#live = new LiveJobs(this.#owner, this.#endings, onSettled);
		this.#snapshot = new Snapshot(() => this.#read(), onError);
		this.#engine.snapshot.subscribe(() => this.#snapshot.changed());
		this.subscribe = this.#snapshot.subscribe;
		this.getSnapshot = this.#snapshot.getSnapshot;
	}

	/**
	 * Adds a job. Resolves when it is stored durably; with `tx`, when it is part of that transaction.
	 *
	 * @param job its definition, one of those of this processor
	 * @param args the input, and options; the input may be left out where it may be `undefined`
	 * @returns the job's id, whether it was added, and if not, the state of the job that has this id, which is left as it is
	 * @throws {TypeError | RangeError} (as a rejection) for an unknown job, an input that cannot be encoded or is too large for
	 * the store, and options of the wrong type or out of range
	 * @throws {ValidationError} (as a rejection) if the input does not pass the job's schema
	 * @throws {StoreError} (as a rejection) if it could not be stored
	 */
	async add<J extends Jobs>(job: J, ...args: AddJobArguments<J, Tx>): Promise<AddedJob<J>> {
		const [input, options = {}] = args;
		const { tx, delay } = check("options", options, "object");
		const encoded = this.#encode(job, input, delay, tx);
		const data = isThenable(encoded) ? await encoded : encoded;
		const [added] = await addTasks(this.#engine, [{ ...options, kind: job.name, payload: data }], tx);
		return added!;
	}

	/**
	 * Adds jobs, all of them or none, in this order.
	 *
	 * @param entries what {@link Processor.add} takes, as objects
	 * @param options a transaction
	 * @returns what {@link Processor.add} returns, for each
	 * @throws {unknown} (as a rejection) what {@link Processor.add} throws; a `RangeError` for more than the store takes at once
	 */
	async addMany(
		entries: Iterable<NewJob<Jobs>>,
		options: Pick<AddOptions<Tx>, "tx"> = {},
	): Promise<readonly AddedJob<Jobs>[]> {
		const { tx } = check("options", options, "object");
		if (typeof Object(entries)[Symbol.iterator] !== "function") refuse("entries", entries, "iterable");
		const tasks = [];
		for (const entry of entries as Iterable<NewJob<AnyJob>>) {
			const { job, input, ...rest } = check("entry", entry, "object");
			const encoded = this.#encode(job, input, rest.delay, tx);
			tasks.push({ ...rest, kind: job.name, payload: isThenable(encoded) ? await encoded : encoded });
		}
		return await addTasks(this.#engine, tasks, tx);
	}

	/**
	 * Works until the signal aborts. Then the signals of the running steps abort, too, and it resolves when they have ended,
	 * `grace` ms later at most. Several calls share one worker.
	 *
	 * @throws {StoreError} (as a rejection) for a failure that will not pass
	 * @throws {TypeError} (as a rejection) if `signal` is none
	 */
	run(options: WorkOptions = {}): Promise<void> {
		return this.#engine.work(false, options);
	}

	/**
	 * Works until nothing is due. Jobs that wait, for a time or a signal, are left for later.
	 *
	 * Not for a step of a job of the same processor: a step that awaits it waits for itself, until the `signal` of the call aborts.
	 *
	 * @throws {unknown} (as a rejection) the reason of `signal`, itself, if that aborts first
	 * @throws {StoreError} (as a rejection) for a failure that will not pass
	 */
	drain(options: WorkOptions = {}): Promise<void> {
		return this.#engine.work(true, options);
	}

	/** Ends every `run` and `drain`, as their signals would, and resolves when they have ended. Harmless if there is none. */
	stop(): Promise<void> {
		return this.#engine.worker.stop();
	}

	/** Begins no more jobs, and no more steps of those that run after their current one; the signals of these do not abort. */
	pause(): void {
		this.#engine.worker.pause();
		this.#live.yield();
	}

	/** Undoes {@link Processor.pause}. */
	resume(): void {
		this.#engine.worker.resume();
	}

	/** How many jobs are in each state, in the store: over all processes. Those that are over count as `done`. */
	counts(): Promise<Counts> {
		return this.#engine.counts();
	}

	/**
	 * Waits until a job is over, whichever process runs it: this one is told at once, that of another process is seen within
	 * five seconds. If the store fails and that may pass, it is looked at again, and `onError` is called.
	 *
	 * @returns how it has ended
	 * @throws {JobNotFoundError} (as a rejection) if there is no such job, or it was deleted meanwhile
	 * @throws {StoreError} (as a rejection) for a failure that will not pass
	 * @throws {unknown} (as a rejection) the reason of `signal`, itself, if that aborts first
	 */
	wait<J extends AnyJob>(id: JobId<J>, options?: WaitOptions): Promise<JobOutcome<J>>;
	/** The same for an id without its types. */
	wait(id: string, options?: WaitOptions): Promise<JobOutcome>;
	async wait(id: string, options: WaitOptions = {}): Promise<JobOutcome> {
		const { signal } = check("options", options, "object");
		if (signal !== undefined) checkSignal(signal);
		check("id", id, "string");
		return await this.#endings.wait(id, signal, async (ended) => {
			return ended === undefined ? await this.#look(id) : outcomeOf(await this.#asStored(ended));
		});
	}

	/** As {@link result}; a failure of the store that passes is none of the job's. */
	async #look(id: string): Promise<JobOutcome | undefined> {
		try {
			return await this.result(id);
		} catch (error) {
			if (!isTransient(error)) throw error;
			report(this.#onError, error);
		}
	}

	/**
	 * How a job has ended; `undefined` if it has not.
	 *
	 * @throws {JobNotFoundError} (as a rejection) if there is no such job
	 */
	result<J extends AnyJob>(id: JobId<J>): Promise<JobOutcome<J> | undefined>;
	/** The same for an id without its types. */
	result(id: string): Promise<JobOutcome | undefined>;
	async result(id: string): Promise<JobOutcome | undefined> {
		return await this.#outcome(id, await getTask(this.#engine, id));
	}

	/**
	 * One job: what it is doing, as it is stored.
	 *
	 * @returns `undefined` if there is none with this id
	 */
	async get(id: string): Promise<JobRecord | undefined> {
		const record = await getTask(this.#engine, id);
		return record && await showJob(this.#owner.codec, record);
	}

	/**
	 * The jobs, in the order in which they were added. Reads a page at a time.
	 *
	 * @throws {TypeError | RangeError} (as a rejection of the first step) for a query of the wrong type or out of range
	 */
	async *list(query: JobQuery = {}): AsyncGenerator<JobRecord, void, undefined> {
		const { job, ...rest } = check("query", query, "object");
		for await (const record of listTasks(this.#engine, { ...rest, kind: job })) {
			yield await showJob(this.#owner.codec, record);
		}
	}

	/**
	 * Reverts a job: the signal of a running step aborts, and what was done is reverted. If that runs in another process, it
	 * aborts as soon as the store tells that process, and within a third of the lease if the store cannot. A held job is reverted when it is released.
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
	async signal<Id extends string, N extends SignalName<JobOf<Id, Jobs>>>(
		id: Id,
		name: N,
		...[value]: undefined extends SignalValue<JobOf<Id, Jobs>, N> ? [value?: SignalValue<JobOf<Id, Jobs>, N>]
			: [value: SignalValue<JobOf<Id, Jobs>, N>]
	): Promise<boolean> {
		const record = await getTask(this.#engine, id);
		const job = record && this.#jobs.get(record.kind);
		const step = job?.steps.get(check("name", name, "string"))?.definition;
		if (job !== undefined && step?.type !== "waitFor") {
			throw new TypeError(
				`The job ${JSON.stringify(job.job.name)} does not wait for ${JSON.stringify(cut(name, 100))}`,
			);
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
		const isHeld = await this.#engine.change(id, "hold");
		// To one that waits it would be a reason to be due.
		if (isHeld && (await getTask(this.#engine, id))?.state === "running") await this.#post(id, { type: "yield" });
		return isHeld;
	}

	/**
	 * Undoes {@link Processor.hold}, and lets a job be tried again that was held because of a problem.
	 *
	 * @returns whether that applied
	 */
	release(id: string): Promise<boolean> {
		return this.#engine.change(id, "release");
	}

	/**
	 * Removes a job, in whatever state, with its outcome. Nothing is reverted: for that see {@link Processor.cancel}.
	 *
	 * @returns whether it was there
	 */
	delete(id: string): Promise<boolean> {
		return this.#engine.delete(id);
	}

	/** The same as {@link Processor.stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	async #post(id: string, message: JobMessage): Promise<boolean> {
		check("id", id, "string");
		const { store, name, codec } = this.#owner;
		const data = await codec.encode(message);
		await this.#engine.open();
		if (!await store.post(name, id, data)) return false;
		this.#engine.changed();
		await this.#live.look(id);
		return true;
	}

	/** What a reader of the store gets to see, who need not be in this process. */
	async #asStored(state: JobCheckpoint): Promise<JobCheckpoint> {
		const { codec } = this.#owner;
		return await codec.decode(await codec.encode(state)) as JobCheckpoint;
	}

	/** The first checkpoint of a job. In a promise only if the schema or the codec is asynchronous. */
	#encode(job: AnyJob, input: unknown, delay: number | undefined, tx: Tx | undefined): Data | PromiseLike<Data> {
		const name = check("job.name", check("job", job, "object").name, "string");
		const known = this.#jobs.get(name)?.job;
		if (known === undefined) throw new TypeError(`The processor has no job ${JSON.stringify(cut(name, 100))}`);
		if (known !== job) throw new TypeError(`The processor has another job of the name ${JSON.stringify(name)}`);
		const encode = () => {
			const encoded = this.#owner.codec.encode(firstCheckpoint(known, input, delay));
			return isThenable(encoded) ? synchronous(encoded, tx) : encoded;
		};
		const valid = known.schema && validate(known.schema, input);
		return isThenable(valid) ? synchronous(valid, tx).then(encode) : encode();
	}

	async #outcome(id: string, record: TaskRecord | undefined): Promise<JobOutcome | undefined> {
		if (record === undefined) throw new JobNotFoundError(id);
		const { state, payload, error } = record;
		if (state === "done") return outcomeOf(await decodeCheckpoint(this.#owner.codec, payload as Data));
		// The store itself could not read it.
		return state === "dead" ? outcomeOf({ plan: [], results: {}, history: [], status: "failed", error }) : undefined;
	}

	#read(): ProcessorSnapshot {
		return { state: this.#engine.snapshot.getSnapshot().state, jobs: this.#live.show(), ...this.#live.totals };
	}
}

/**
 * Tasks that survive: each is stored before it runs, and tried again until it succeeds.
 *
 * Use {@link Basket} for work that must be done whatever happens to this process; use a `Group` or `run` if it is enough
 * that it is done while the process lives, and a `Pool` to bound how many run at once.
 *
 * @module
 */

import type { BasketOptions, BasketSettings, Kind, PayloadOf, TaskMap } from "./options.ts";
import type { Added, Counts, NewTask, StoredTask, TaskState } from "./store.ts";
import { Batch } from "./batch.ts";
import { cut, decodeFailure, sizeOf, type TaskFailure } from "./codec.ts";
import { decodeProgress, type TaskProgress } from "./context.ts";
import { checkBasketOptions, checkName } from "./options.ts";
import { taskStates } from "./store.ts";
import { Opening } from "./opening.ts";
import { encodePayload, isThenable, synchronous } from "./payload.ts";
import { Worker } from "./worker.ts";
import { check, checkSignal, checkWord } from "../platform/check.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { validate } from "../platform/standard-schema.ts";

/** What {@link Basket.add} can be told. */
export interface AddOptions<Tx = never> {
	/**
	 * Names the task. As long as a task with this id is stored, in whatever state, adding it again does nothing, and
	 * {@link Added.state} says which state that is: `"dead"` waits for {@link Basket.retry} or {@link Basket.delete}. A done
	 * task is stored for the time of `retain`. 1 to 255 characters, not beginning with `_`. Default: one that the store makes.
	 */
	id?: string | undefined;
	/** How long the task must wait, in milliseconds: 0 or more, finite. @default 0 */
	delay?: number | undefined;
	/** Tasks with a higher one are begun first: a whole number from -100 to 100. @default 0 */
	priority?: number | undefined;
	/**
	 * Tasks of one lane run one at a time, in the order in which they were added; one that fails holds up its lane until it
	 * is done, dead or deleted. 1 to 255 characters. Default: none.
	 */
	lane?: string | undefined;
	/** Your own transaction: the task is there if it commits. Codec and schema must be synchronous then. */
	tx?: Tx | undefined;
}

/** A task for {@link Basket.addMany}. */
export type NewEntry<Tasks> = {
	[K in keyof Tasks & string]:
		& { readonly kind: K }
		& Omit<AddOptions, "tx">
		& (undefined extends PayloadOf<Tasks[K]> ? { payload?: PayloadOf<Tasks[K]> } : { payload: PayloadOf<Tasks[K]> });
}[keyof Tasks & string];

/** The arguments of {@link Basket.add} behind the kind: the payload may be left out where it may be `undefined`. */
export type AddArguments<P, Tx> = undefined extends P ? [payload?: P, options?: AddOptions<Tx>]
	: [payload: P, options?: AddOptions<Tx>];

/** What {@link Basket.run} and {@link Basket.drain} can be told. */
export interface WorkOptions {
	/** Ends it. */
	signal?: AbortSignal | undefined;
}

/** Which tasks {@link Basket.list} gives. */
export interface TaskQuery {
	/** Only those in this state. */
	state?: TaskState | undefined;
	/** Only those of this kind. */
	kind?: string | undefined;
	/** Only those behind the task with this {@link TaskRecord.key}. */
	after?: string | undefined;
	/** At most this many: a whole number from 1. @default Infinity */
	limit?: number | undefined;
}

/** A task, as {@link Basket.list} and {@link Basket.get} show it. */
export interface TaskRecord extends Omit<StoredTask, "payload" | "error" | "progress"> {
	/** What it will be given; as it is stored, if that cannot be read, or if this basket does not know the kind. */
	readonly payload: unknown;
	/** What its last attempt failed with. */
	readonly error: TaskFailure | undefined;
	/** What it has reported. */
	readonly progress: TaskProgress | undefined;
}

/** What a {@link Basket} shows of what it does in this process. */
export interface BasketSnapshot {
	/**
	 * `paused` by `pause()` or a closed gate; `stopping` while running tasks are given time to end; `stopped` while neither
	 * `run` nor `drain` is under way.
	 */
	readonly state: "stopped" | "starting" | "running" | "paused" | "stopping";
	/** How many tasks run now. */
	readonly running: number;
	/** How many tasks were done by this object. */
	readonly succeeded: number;
	/** How many attempts have failed that are tried again. */
	readonly failed: number;
	/** How many tasks were given up. */
	readonly dead: number;
}

/** How many tasks are read from the store at once. */
const pageSize = 100;

/**
 * A persistent collection of tasks. A task that was added is run until it succeeds, over crashes of the process, the tab or
 * the machine; then it is removed.
 *
 * - **At least once.** A process may die after the work and before that is stored; then the task runs again. `complete`
 *   stores both together.
 * - **Any number of processes** may work on one basket. Each claims tasks for the time of a lease, which it renews. When the
 *   lease may be over, whatever the store has answered, the task's signal aborts; a claim that was lost can write nothing.
 * - **Order.** Highest priority first, then earliest due, then first come; strictly in order, one at a time, in a lane.
 *
 * @typeParam Tasks the kinds of task, by name
 * @typeParam Tx the transactions of the store
 * @typeParam Outputs what the schemas give, by kind: found out by the compiler
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, memoryStore } from "upkeep";
 *
 * const sent: string[] = [];
 * const basket = new Basket({
 * 	store: memoryStore(), // sqliteStore(db), indexedDBStore("app"), denoKvStore(kv) survive
 * 	backoff: { start: 10 },
 * 	tasks: {
 * 		sendMail: ({ to }: { to: string }, { attempt }) => {
 * 			if (attempt === 1) throw new Error("the mail server is away");
 * 			sent.push(to);
 * 		},
 * 	},
 * });
 * await basket.add("sendMail", { to: "ada@example.com" }, { id: "welcome-ada" });
 * assert.deepEqual(await basket.add("sendMail", { to: "ada@example.com" }, { id: "welcome-ada" }), {
 * 	id: "welcome-ada",
 * 	added: false,
 * 	state: "waiting",
 * });
 *
 * const controller = new AbortController();
 * basket.subscribe(() => basket.getSnapshot().succeeded === 1 && controller.abort());
 * await basket.run({ signal: controller.signal });
 * assert.deepEqual(sent, ["ada@example.com"]);
 * assert.equal((await basket.counts()).waiting, 0);
 * ```
 */
export class Basket<Tasks, Tx = never, Outputs = unknown> implements Subscribable<BasketSnapshot>, AsyncDisposable {
	readonly #settings: BasketSettings<Tx>;
	readonly #worker: Worker<Tx>;
	readonly #adding: Batch<NewTask, Added>;
	readonly #opening: Opening;
	readonly #snapshot: Snapshot<BasketSnapshot>;
	#shown: BasketSnapshot | undefined;

	/** See {@link Subscribable.subscribe}. Also called when others may have changed something, so that `counts` and `list` may differ. */
	readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}. */
	readonly getSnapshot: () => BasketSnapshot;

	/**
	 * Makes a basket. It touches its store when it is first used.
	 *
	 * @param options the store, the tasks, and how they are run
	 * @throws {TypeError | RangeError} for options of the wrong type or out of range
	 */
	constructor(options: BasketOptions<Tasks, Tx, Outputs>) {
		const settings = this.#settings = checkBasketOptions<Tx>(options as BasketOptions<TaskMap<Tx>, Tx>);
		this.#snapshot = new Snapshot(() => this.#read(), settings.onError);
		this.#opening = new Opening(settings);
		this.#worker = new Worker(settings, () => this.open(), () => this.#snapshot.changed());
		const { store, name, clock, lease } = settings;
		const { maxAdd, maxAddBytes } = store.capabilities;
		this.#adding = new Batch((tasks) => store.add(name, tasks), [
			{ most: maxAdd, of: (tasks) => tasks.length },
			{ most: maxAddBytes, of: bytesOf },
		], { clock, limit: lease / 3 });
		this.subscribe = this.#snapshot.subscribe;
		this.getSnapshot = this.#snapshot.getSnapshot;
	}

	/** The name of this basket in its store. */
	get name(): string {
		return this.#settings.name;
	}

	/**
	 * Makes the store ready. Everything else does that by itself, except for what happens inside a `tx`.
	 *
	 * @throws {StoreError} (as a rejection) if the store cannot be opened
	 */
	open(): Promise<void> {
		return this.#opening.wait();
	}

	/**
	 * Adds a task. Resolves when it is stored durably; with `tx`, when it is part of that transaction.
	 *
	 * Calls that are made at the same time are stored together.
	 *
	 * @param kind one of the names in `tasks`
	 * @param args the payload, and options
	 * @returns the task's id, whether it was added, and if not, the state of the task that has this id
	 * @throws {TypeError | RangeError} (as a rejection) for an unknown kind, a payload that cannot be encoded or is too large
	 * for the store, and options of the wrong type or out of range
	 * @throws {ValidationError} (as a rejection) if the payload does not pass the kind's schema
	 * @throws {StoreError} (as a rejection) if it could not be stored; with the codes `full` and `busy` it certainly was not
	 */
	async add<K extends keyof Tasks & string>(kind: K, ...args: AddArguments<PayloadOf<Tasks[K]>, Tx>): Promise<Added> {
		const [payload, options = {}] = args;
		const { tx, ...rest } = check("options", options, "object");
		const [added] = await this.#add([{ ...rest, kind, payload }], tx);
		return added!;
	}

	/**
	 * Adds tasks, all of them or none, in this order.
	 *
	 * @param entries what {@link Basket.add} takes, as objects
	 * @param options a transaction
	 * @returns what {@link Basket.add} returns, for each
	 * @throws {unknown} (as a rejection) what {@link Basket.add} throws; a `RangeError` for more tasks or bytes than the store
	 * takes at once
	 */
	async addMany(
		entries: Iterable<NewEntry<Tasks>>,
		options: Pick<AddOptions<Tx>, "tx"> = {},
	): Promise<readonly Added[]> {
		const { tx } = check("options", options, "object");
		const isIterable = typeof Object(entries)[Symbol.iterator] === "function";
		if (!isIterable) throw new TypeError(`"entries" must be iterable: current value is of type ${typeof entries}`);
		return await this.#add([...entries], tx);
	}

	/**
	 * Works until the signal aborts: claims tasks that are due, runs them, and waits for more. Then the signals of the running
	 * ones abort, too, and it resolves when they have ended, `grace` ms later at most; from then on the basket begins no call of
	 * the store any more. If the store still answers at the end of the grace, it is given one more second to note which tasks
	 * are given back.
	 *
	 * While the store fails, it is tried again with a backoff. A call that it has not answered within a third of the lease counts
	 * as failed. Several calls of `run` and `drain` share one worker; tasks run in the async context of the first.
	 *
	 * @throws {StoreError} (as a rejection) for a failure that will not pass: a newer schema, a closed database; another error
	 * of the store after five tries
	 * @throws {TypeError} (as a rejection) if `signal` is none
	 */
	async run(options: WorkOptions = {}): Promise<void> {
		await this.#work(false, options);
	}

	/**
	 * Works until nothing is due and everything that was begun is stored. Tasks with a delay, or that wait for another attempt,
	 * are left for later; while the basket is paused, or its gate closed, it waits.
	 *
	 * Not for a task of the same basket, which would wait for itself: a call from its function is refused; one that comes later,
	 * after an `await`, cannot be told from others, and waits until its `signal` aborts.
	 *
	 * @throws {unknown} (as a rejection) the reason of `signal`, itself, if that aborts first
	 * @throws {StoreError} (as a rejection) for a failure that will not pass; another error of the store after five tries
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` if the function of one of its own tasks calls it
	 * @throws {TypeError} (as a rejection) if `signal` is none
	 */
	async drain(options: WorkOptions = {}): Promise<void> {
		await this.#work(true, options);
	}

	/** Ends every `run` and `drain`, as their signals would, and resolves when they have ended. Harmless if there is none. */
	async stop(): Promise<void> {
		await this.#worker.stop();
	}

	/** Begins no more tasks; what runs goes on. What was claimed ahead is given back. */
	pause(): void {
		this.#worker.pause();
	}

	/** Undoes {@link Basket.pause}. */
	resume(): void {
		this.#worker.resume();
	}

	/** How many tasks of this basket are in each state, in the store: over all processes. */
	async counts(): Promise<Counts> {
		await this.open();
		return await this.#settings.store.counts(this.name);
	}

	/**
	 * One task.
	 *
	 * @returns `undefined` if there is none with this id
	 */
	async get(id: string): Promise<TaskRecord | undefined> {
		checkName("id", id);
		await this.open();
		const task = await this.#settings.store.get(this.name, id);
		return task && await this.#show(task);
	}

	/**
	 * The tasks, in the order in which they were added. Reads a page at a time, so that any number may be listed, and deleted or
	 * retried on the way.
	 *
	 * @throws {TypeError | RangeError} (as a rejection of the first step) for a query of the wrong type or out of range
	 */
	async *list(query: TaskQuery = {}): AsyncGenerator<TaskRecord, void, undefined> {
		const { limit = Infinity, ...rest } = check("query", query, "object");
		const isCount = limit === Infinity || (Number.isInteger(limit) && limit > 0);
		check("limit", limit, "number", isCount, "a whole number from 1, or Infinity");
		let { after } = rest;
		const { state, kind } = rest;
		if (state !== undefined) checkWord("state", state, taskStates);
		if (kind !== undefined) checkName("kind", kind);
		if (after !== undefined) check("after", after, "string");
		await this.open();
		const { store, name } = this.#settings;
		let left = limit;
		while (left > 0) {
			const count = Math.min(left, pageSize);
			const tasks = await store.list(name, { state, kind, after, limit: count });
			for (const task of tasks) yield await this.#show(task);
			if (tasks.length < count) return;
			after = tasks.at(-1)!.key;
			left -= count;
		}
	}

	/**
	 * Begins a dead task anew, behind all others; makes a waiting one due now.
	 *
	 * @returns whether that applied
	 */
	async retry(id: string): Promise<boolean> {
		return await this.#change(id, "retry");
	}

	/**
	 * Keeps a waiting task from being begun until {@link Basket.release}; one that runs, from being tried again. Its lane waits.
	 *
	 * @returns whether that applied: not to a task that is dead, done or not there
	 */
	async hold(id: string): Promise<boolean> {
		return await this.#change(id, "hold");
	}

	/**
	 * Undoes {@link Basket.hold}.
	 *
	 * @returns whether that applied
	 */
	async release(id: string): Promise<boolean> {
		return await this.#change(id, "release");
	}

	/**
	 * Removes a task, in whatever state. If it runs, its signal aborts with a `ClaimLostError`: in another process as soon as the
	 * store tells that process, and with the next renewal of its lease, a third of that later at most, if the store cannot.
	 *
	 * @returns whether it was there
	 */
	async delete(id: string): Promise<boolean> {
		checkName("id", id);
		await this.open();
		const claimed = this.#worker.claims.get(id);
		const [deleted] = await this.#settings.store.delete(this.name, [id]);
		claimed?.lose(); // by now there may be another one, which was added since
		this.#worker.wake(); // for the next one in its lane
		this.#snapshot.changed();
		return deleted!;
	}

	/** The same as {@link Basket.stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	async #work(isDraining: boolean, options: WorkOptions): Promise<void> {
		const { signal } = check("options", options, "object");
		if (signal !== undefined) checkSignal(signal);
		await this.#worker.join(isDraining, signal);
	}

	async #change(id: string, change: "retry" | "hold" | "release"): Promise<boolean> {
		checkName("id", id);
		await this.open();
		const [applied] = await this.#settings.store.change(this.name, [id], change);
		this.#worker.wake();
		this.#snapshot.changed();
		return applied!;
	}

	/** Synchronous until the store is called, if there is a transaction. */
	async #add(entries: readonly Entry[], tx: Tx | undefined): Promise<readonly Added[]> {
		const { store, name } = this.#settings;
		const { maxAdd = Infinity, maxAddBytes = Infinity } = store.capabilities;
		if (entries.length > maxAdd) {
			throw new RangeError(`At most ${maxAdd} tasks can be added to this store at once: these are ${entries.length}`);
		}
		if (entries.length === 0) return [];
		const tasks: NewTask[] = [];
		let delay = Infinity;
		for (const entry of entries) {
			const task = this.#newTask(entry, tx);
			tasks.push(isThenable(task) ? await synchronous(task, tx) : task);
			delay = Math.min(delay, tasks.at(-1)!.delay);
		}
		if (maxAddBytes < Infinity && bytesOf(tasks) > maxAddBytes) {
			const rule = `At most ${maxAddBytes} bytes of payloads can be added to this store at once`;
			throw new RangeError(`${rule}: these are ${bytesOf(tasks)}`);
		}
		if (tx !== undefined) return await store.add(name, tasks, tx);
		await this.open();
		const added = await this.#adding.submit(tasks);
		this.#worker.wakeIn(delay);
		this.#snapshot.changed();
		return added;
	}

	#newTask(entry: Entry, tx: Tx | undefined): NewTask | Promise<NewTask> {
		const { id, delay = 0, priority = 0, lane } = check("entry", entry, "object");
		const kind = this.#kind(entry.kind);
		if (id !== undefined) {
			check("id", checkName("id", id), "string", !id.startsWith("_"), `without "_" at the beginning`);
		}
		check("delay", delay, "number", Number.isFinite(delay) && delay >= 0, "0 or more, and finite");
		const isPriority = Number.isInteger(priority) && Math.abs(priority) <= 100;
		check("priority", priority, "number", isPriority, "a whole number from -100 to 100");
		if (lane !== undefined) checkName("lane", lane);
		const task = { id, kind: entry.kind, delay, priority, lane };
		const { maxPayload } = this.#settings.store.capabilities;
		const valid = kind.schema && validate(kind.schema, entry.payload);
		const payload = isThenable(valid)
			? synchronous(valid, tx).then(() => encodePayload(kind, entry.payload, maxPayload))
			: encodePayload(kind, entry.payload, maxPayload);
		return isThenable(payload)
			? Promise.resolve(payload).then((payload) => ({ ...task, payload }))
			: { ...task, payload };
	}

	#kind(name: string): Kind {
		const kind = this.#settings.kinds.get(check("kind", name, "string"));
		if (kind !== undefined) return kind;
		const known = [...this.#settings.kinds.keys()].map((name) => JSON.stringify(name)).join(", ");
		throw new TypeError(`The basket has no tasks of the kind ${JSON.stringify(cut(name, 100))}, only of ${known}`);
	}

	async #show(task: StoredTask): Promise<TaskRecord> {
		const { payload, error, progress, ...rest } = task;
		const { delay: _, ...failure } = decodeFailure(error) ?? {};
		return {
			...rest,
			payload: await this.#decode(task).catch(() => payload),
			error: error === undefined ? undefined : failure as TaskFailure,
			progress: decodeProgress(progress),
		};
	}

	async #decode({ kind, payload }: StoredTask): Promise<unknown> {
		const codec = this.#settings.kinds.get(kind)?.codec;
		return codec === undefined ? payload : await codec.decode(payload);
	}

	/** The same object as long as nothing in it has changed: listeners are also called for the sake of `counts` and `list`. */
	#read(): BasketSnapshot {
		const { state, running, totals } = this.#worker;
		const shown: BasketSnapshot = { state, running, ...totals };
		const keys = Object.keys(shown) as (keyof BasketSnapshot)[];
		if (keys.some((key) => shown[key] !== this.#shown?.[key])) this.#shown = shown;
		return this.#shown!;
	}
}

interface Entry extends Omit<AddOptions, "tx"> {
	readonly kind: string;
	readonly payload?: unknown;
}

function bytesOf(tasks: readonly NewTask[]): number {
	return tasks.reduce((sum, { payload }) => sum + sizeOf(payload), 0);
}

/**
 * Tasks that survive: each is stored before it runs, and tried again until it succeeds.
 *
 * Use {@link Basket} for work that must be done whatever happens to this process; use a `Group` or `run` if it is enough
 * that it is done while the process lives, and a `Pool` to bound how many run at once.
 *
 * @module
 */

import type { BasketOptions, PayloadOf, TaskMap } from "./options.ts";
import type { Added, Counts } from "./store.ts";
import { type AddOptions, addTasks } from "./adding.ts";
import { BasketEngine, type BasketSnapshot, type WorkOptions } from "./basket-engine.ts";
import { checkBasketOptions } from "./options.ts";
import { getTask, listTasks, type TaskQuery, type TaskRecord } from "./reading.ts";
import { check, refuse } from "../platform/check.ts";
import type { Subscribable } from "../platform/snapshot.ts";

export type { AddOptions, BasketSnapshot, TaskQuery, TaskRecord, WorkOptions };

/** A task for {@link Basket.addMany}. */
export type NewBasketTask<Tasks> = {
	[K in keyof Tasks & string]:
		& { readonly kind: K }
		& Omit<AddOptions, "tx">
		& (undefined extends PayloadOf<Tasks[K]> ? { payload?: PayloadOf<Tasks[K]> } : { payload: PayloadOf<Tasks[K]> });
}[keyof Tasks & string];

/** The arguments of {@link Basket.add} behind the kind: the payload may be left out where it may be `undefined`. */
export type AddArguments<P, Tx> = undefined extends P ? [payload?: P, options?: AddOptions<Tx>]
	: [payload: P, options?: AddOptions<Tx>];

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
	readonly #engine: BasketEngine<Tx>;

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
		const engine = new BasketEngine(checkBasketOptions<Tx>(options as BasketOptions<TaskMap<Tx>, Tx>));
		this.#engine = engine;
		this.subscribe = engine.snapshot.subscribe;
		this.getSnapshot = engine.snapshot.getSnapshot;
	}

	/** The name of this basket in its store. */
	get name(): string {
		return this.#engine.settings.name;
	}

	/**
	 * Makes the store ready. Everything else does that by itself, except for what happens inside a `tx`.
	 *
	 * @throws {StoreError} (as a rejection) if the store cannot be opened
	 */
	open(): Promise<void> {
		return this.#engine.open();
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
		const [added] = await addTasks(this.#engine, [{ ...rest, kind, payload }], tx);
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
		entries: Iterable<NewBasketTask<Tasks>>,
		options: Pick<AddOptions<Tx>, "tx"> = {},
	): Promise<readonly Added[]> {
		const { tx } = check("options", options, "object");
		if (typeof Object(entries)[Symbol.iterator] !== "function") refuse("entries", entries, "iterable");
		return await addTasks(this.#engine, [...entries], tx);
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
	run(options: WorkOptions = {}): Promise<void> {
		return this.#engine.work(false, options);
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
	drain(options: WorkOptions = {}): Promise<void> {
		return this.#engine.work(true, options);
	}

	/** Ends every `run` and `drain`, as their signals would, and resolves when they have ended. Harmless if there is none. */
	stop(): Promise<void> {
		return this.#engine.worker.stop();
	}

	/** Begins no more tasks; what runs goes on. What was claimed ahead is given back. */
	pause(): void {
		this.#engine.worker.pause();
	}

	/** Undoes {@link Basket.pause}. */
	resume(): void {
		this.#engine.worker.resume();
	}

	/** How many tasks of this basket are in each state, in the store: over all processes. */
	counts(): Promise<Counts> {
		return this.#engine.counts();
	}

	/**
	 * One task.
	 *
	 * @returns `undefined` if there is none with this id
	 */
	get(id: string): Promise<TaskRecord | undefined> {
		return getTask(this.#engine, id);
	}

	/**
	 * The tasks, in the order in which they were added. Reads a page at a time, so that any number may be listed, and deleted or
	 * retried on the way.
	 *
	 * @throws {TypeError | RangeError} (as a rejection of the first step) for a query of the wrong type or out of range
	 */
	list(query: TaskQuery = {}): AsyncGenerator<TaskRecord, void, undefined> {
		return listTasks(this.#engine, query);
	}

	/**
	 * Begins a dead task anew, behind all others; makes a waiting one due now.
	 *
	 * @returns whether that applied
	 */
	retry(id: string): Promise<boolean> {
		return this.#engine.change(id, "retry");
	}

	/**
	 * Keeps a waiting task from being begun until {@link Basket.release}; one that runs, from being tried again. Its lane waits.
	 *
	 * @returns whether that applied: not to a task that is dead, done or not there
	 */
	hold(id: string): Promise<boolean> {
		return this.#engine.change(id, "hold");
	}

	/**
	 * Undoes {@link Basket.hold}.
	 *
	 * @returns whether that applied
	 */
	release(id: string): Promise<boolean> {
		return this.#engine.change(id, "release");
	}

	/**
	 * Removes a task, in whatever state. If it runs, its signal aborts with a `ClaimLostError`: in another process as soon as the
	 * store tells that process, and with the next renewal of its lease, a third of that later at most, if the store cannot.
	 *
	 * @returns whether it was there
	 */
	delete(id: string): Promise<boolean> {
		return this.#engine.delete(id);
	}

	/** The same as {@link Basket.stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}
}

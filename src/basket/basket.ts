/**
 * Persistent tasks: each task is stored before it runs, and retried until it succeeds.
 *
 * Use {@link Basket} for work that must be done even if this process dies. Use a `Group` or `run` for work that may
 * end with the process, and a `Pool` to limit how many tasks run at once.
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

/** The arguments of {@link Basket.add} after the kind. The payload is optional if it may be `undefined`. */
export type AddArguments<P, Tx> = undefined extends P ? [payload?: P, options?: AddOptions<Tx>]
	: [payload: P, options?: AddOptions<Tx>];

/**
 * A persistent collection of tasks. An added task runs until it succeeds, across crashes of the process, the tab or
 * the machine; then it is removed.
 *
 * - **At least once.** A process may die after the work and before the completion is stored; then the task runs
 *   again. `complete` stores both together.
 * - **Any number of processes** can work on one basket. Each process claims tasks for the time of a lease, which it
 *   renews. When the lease may have expired, the signal of the task aborts, whatever the store answers. A lost claim
 *   can write nothing.
 * - **Order.** The highest priority first, then the earliest due time, then the order of adding. Tasks of a lane run
 *   strictly in order, one at a time.
 *
 * @typeParam Tasks the kinds of tasks by name
 * @typeParam Tx the transactions of the store
 * @typeParam Outputs the outputs of the schemas by kind, inferred by the compiler
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

	/**
	 * See {@link Subscribable.subscribe}. Listeners are also called when other processes may have changed tasks, so
	 * that `counts` and `list` may differ.
	 */
	readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}. */
	readonly getSnapshot: () => BasketSnapshot;

	/**
	 * Creates a basket. It accesses its store when it is first used.
	 *
	 * @param options the store, the tasks, and how to run them
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
	 * Opens the store. All other calls do this automatically, except calls with a `tx`.
	 *
	 * @throws {StoreError} (as a rejection) if the store cannot be opened
	 */
	open(): Promise<void> {
		return this.#engine.open();
	}

	/**
	 * Adds a task. Resolves when the task is stored durably; with `tx`, when it is part of that transaction.
	 *
	 * Concurrent calls are stored together.
	 *
	 * @param kind one of the names in `tasks`
	 * @param args the payload and options
	 * @returns the id of the task, whether it was added, and if not, the state of the existing task with this id
	 * @throws {TypeError | RangeError} (as a rejection) for an unknown kind, a payload that cannot be encoded or is
	 * too large for the store, and options of the wrong type or out of range
	 * @throws {ValidationError} (as a rejection) if the payload does not pass the kind's schema
	 * @throws {StoreError} (as a rejection) if the task could not be stored; with the codes `full` and `busy` it was
	 * certainly not stored
	 */
	async add<K extends keyof Tasks & string>(kind: K, ...args: AddArguments<PayloadOf<Tasks[K]>, Tx>): Promise<Added> {
		const [payload, options = {}] = args;
		const { tx, ...rest } = check("options", options, "object");
		const [added] = await addTasks(this.#engine, [{ ...rest, kind, payload }], tx);
		return added!;
	}

	/**
	 * Adds tasks in this order, all of them or none.
	 *
	 * @param entries the arguments of {@link Basket.add} as objects
	 * @param options the transaction
	 * @returns the result of {@link Basket.add} for each entry
	 * @throws {unknown} (as a rejection) the errors of {@link Basket.add}
	 * @throws {TypeError} (as a rejection) if `entries` is not iterable
	 * @throws {RangeError} (as a rejection) for more tasks or bytes than the store accepts at once
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
	 * Processes tasks until the signal aborts: claims due tasks, runs them, and waits for more. After the abort, the
	 * signals of the running tasks abort, too. The call resolves when these tasks have ended, at most `grace` ms
	 * later. From then on the basket makes no call to the store. If the store still answers at the end of the grace
	 * period, it gets one more second to release the remaining tasks.
	 *
	 * While the store fails, the basket retries with a backoff. A call that the store does not answer within a third
	 * of the lease counts as failed. Several calls of `run` and `drain` share one worker; tasks run in the async
	 * context of the first call.
	 *
	 * @throws {StoreError} (as a rejection) for a permanent failure: a newer schema, a closed database; an error that
	 * is not a `StoreError` is thrown after five tries
	 * @throws {TypeError} (as a rejection) if `signal` is not an AbortSignal
	 */
	run(options: WorkOptions = {}): Promise<void> {
		return this.#engine.work(false, options);
	}

	/**
	 * Processes tasks until no task is due and the outcomes of all started tasks are stored. It does not wait for
	 * tasks with a delay or in a backoff. While the basket is paused or its gate is closed, it waits.
	 *
	 * Do not call it in a task of the same basket, which would wait for itself. A call in the synchronous part of the
	 * task's function is refused. A call after an `await` cannot be detected, and waits until its `signal` aborts.
	 *
	 * @throws {unknown} (as a rejection) the reason of `signal` itself, if it aborts first
	 * @throws {StoreError} (as a rejection) for a permanent failure; an error that is not a `StoreError` is thrown
	 * after five tries
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` if a function of one of its own tasks calls it
	 * @throws {TypeError} (as a rejection) if `signal` is not an AbortSignal
	 */
	drain(options: WorkOptions = {}): Promise<void> {
		return this.#engine.work(true, options);
	}

	/** Ends every `run` and `drain`, like their signals, and resolves when they have ended. Does nothing if none is active. */
	stop(): Promise<void> {
		return this.#engine.worker.stop();
	}

	/**
	 * Pauses the basket: no further task begins, and running tasks continue. Tasks that were claimed in advance are
	 * released.
	 */
	pause(): void {
		this.#engine.worker.pause();
	}

	/** Undoes {@link Basket.pause}. */
	resume(): void {
		this.#engine.worker.resume();
	}

	/**
	 * The number of tasks of this basket in each state, in the store, for all processes.
	 *
	 * @throws {StoreError} (as a rejection) if the store cannot be opened or does not answer
	 */
	counts(): Promise<Counts> {
		return this.#engine.counts();
	}

	/**
	 * Gets one task.
	 *
	 * @returns `undefined` if no task has this id
	 * @throws {TypeError | RangeError} (as a rejection) if `id` is not a text of 1 to 255 characters
	 * @throws {StoreError} (as a rejection) if the store cannot be opened or does not answer
	 */
	get(id: string): Promise<TaskRecord | undefined> {
		return getTask(this.#engine, id);
	}

	/**
	 * Lists the tasks in the order in which they were added. It reads page by page, so any number of tasks can be
	 * listed, and deleted or retried meanwhile.
	 *
	 * @throws {TypeError | RangeError} (as a rejection of the first step) for a query of the wrong type or out of
	 * range
	 * @throws {StoreError} (as a rejection of a step) if the store cannot be opened or does not answer
	 */
	list(query: TaskQuery = {}): AsyncGenerator<TaskRecord, void, undefined> {
		return listTasks(this.#engine, query);
	}

	/**
	 * Restarts a dead task, behind all others; makes a waiting task due at once.
	 *
	 * @returns whether the task was changed
	 * @throws {TypeError | RangeError} (as a rejection) if `id` is not a text of 1 to 255 characters
	 * @throws {StoreError} (as a rejection) if the store cannot be opened or does not answer
	 */
	retry(id: string): Promise<boolean> {
		return this.#engine.change(id, "retry");
	}

	/**
	 * Prevents a waiting task from running until {@link Basket.release}, and a running task from being retried. Its
	 * lane waits.
	 *
	 * @returns whether the task was changed: not to a task that is dead, done or not there
	 * @throws {TypeError | RangeError} (as a rejection) if `id` is not a text of 1 to 255 characters
	 * @throws {StoreError} (as a rejection) if the store cannot be opened or does not answer
	 */
	hold(id: string): Promise<boolean> {
		return this.#engine.change(id, "hold");
	}

	/**
	 * Undoes {@link Basket.hold}.
	 *
	 * @returns whether the task was changed
	 * @throws {TypeError | RangeError} (as a rejection) if `id` is not a text of 1 to 255 characters
	 * @throws {StoreError} (as a rejection) if the store cannot be opened or does not answer
	 */
	release(id: string): Promise<boolean> {
		return this.#engine.change(id, "release");
	}

	/**
	 * Removes a task in any state. If the task runs, its signal aborts with a `ClaimLostError`. In another process,
	 * this happens when the store notifies that process, or, if the store cannot, at the next renewal of its lease:
	 * after a third of the lease at most.
	 *
	 * @returns whether the task existed
	 * @throws {TypeError | RangeError} (as a rejection) if `id` is not a text of 1 to 255 characters
	 * @throws {StoreError} (as a rejection) if the store cannot be opened or does not answer
	 */
	delete(id: string): Promise<boolean> {
		return this.#engine.delete(id);
	}

	/** The same as {@link Basket.stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}
}

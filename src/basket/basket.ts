/**
 * Persistent tasks: each task is stored before it runs, and retried until it succeeds.
 *
 * Use {@link Basket} for work that must be done even if this process dies. Use a `Group` or `run` for work that may
 * end with the process, and a `Pool` to limit how many tasks run at once.
 *
 * @module
 */

import type { AddArguments, Changed, NewBasketTask, TxOptions } from "./arguments.ts";
import type { BasketOptions, PayloadOf, TaskMap } from "./options.ts";
import type { Added, Change, Counts, Pauses } from "./store.ts";
import { type AddOptions, addTasks, type CollectOptions } from "./adding.ts";
import { BasketEngine, type BasketSnapshot, type BasketStopOptions, type WorkOptions } from "./basket-engine.ts";
import { changeMany, type TaskFilter } from "./many.ts";
import { checkBasketOptions } from "./options.ts";
import { checkStored, type StoredPause } from "./pausing.ts";
import { getTask, listTasks, type TaskQuery, type TaskRecord } from "./reading.ts";
import { addSchedule, listSchedules, scheduleId, type ScheduleOptions, type ScheduleRecord } from "./scheduling.ts";
import { type TaskResult, waitForTask } from "./task-result.ts";
import { check, refuse } from "../platform/check.ts";
import type { Subscribable } from "../platform/snapshot.ts";
import type { WaitOptions } from "../platform/waiters.ts";

export type {
	AddArguments,
	AddOptions,
	BasketSnapshot,
	BasketStopOptions,
	Changed,
	CollectOptions,
	NewBasketTask,
	ScheduleOptions,
	ScheduleRecord,
	StoredPause,
	TaskFilter,
	TaskQuery,
	TaskRecord,
	TaskResult,
	TxOptions,
	WorkOptions,
};
export { TaskNotFoundError } from "./task-result.ts";

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

	/** See {@link Subscribable.subscribe}. Listeners are also called when other processes may have changed tasks. */
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
	async addMany(entries: Iterable<NewBasketTask<Tasks>>, options: TxOptions<Tx> = {}): Promise<readonly Added[]> {
		const { tx } = check("options", options, "object");
		if (typeof Object(entries)[Symbol.iterator] !== "function") refuse("entries", entries, "iterable");
		return await addTasks(this.#engine, [...entries], tx);
	}

	/**
	 * Schedules tasks of a kind: one task, whose id is `schedule:` and the name, runs at each instant, and never twice at
	 * the same time. A failed tick is retried like any task. If it is out of attempts, `onSettled` tells that it is dead,
	 * and the next tick follows. After the last instant, the task is removed. `hold` is a pause; `retry` makes it run now,
	 * if the next instant is more than five seconds away, and does not use up that instant.
	 *
	 * A schedule with this name is replaced. If only its payload or options change, its next instant stays; if nothing
	 * changes, nothing is stored. Instants are those of the store's clock; with a server, the first one may be wrong if the
	 * clock of this machine differs by more than some seconds.
	 *
	 * @param name 1 to 246 characters
	 * @returns whether anything was stored, and the state of the schedule before
	 * @throws {TypeError | RangeError} (as a rejection) for what `add` refuses, a name or options of the wrong type or out
	 * of range, a schedule without a next instant, and if the task with this id is no schedule or has another kind
	 * @throws {ValidationError | StoreError} (as a rejection) as `add` does
	 */
	schedule<K extends keyof Tasks & string>(
		name: string,
		kind: K,
		payload: PayloadOf<Tasks[K]>,
		options: ScheduleOptions<Tx>,
	): Promise<Added> {
		return addSchedule(this.#engine, name, kind, payload, options);
	}

	/** Ends a schedule, like `delete` of its task. Returns whether there was one. */
	async unschedule(name: string, options?: TxOptions<Tx>): Promise<boolean> {
		return await this.#engine.change(scheduleId(name), "delete", options);
	}

	/** Lists the schedules of all kinds, in the order in which they were added. */
	schedules(): AsyncGenerator<ScheduleRecord, void, undefined> {
		return listSchedules(this.#engine);
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

	/**
	 * Ends every `run` and `drain`, like their signals, and resolves when they have ended. Does nothing if none is active.
	 * With `finish`, running tasks may end before. A call without it ends the patience of an earlier one.
	 *
	 * @throws {TypeError | RangeError} (as a rejection) for options of the wrong type or out of range
	 */
	stop(options: BasketStopOptions = {}): Promise<void> {
		return this.#engine.stop(options);
	}

	/** Pauses this basket object: no further task begins; running tasks continue, and those claimed ahead are released. */
	pause(): void;
	/**
	 * Pauses tasks in the store, for all processes: see {@link StoredPause}.
	 *
	 * @returns whether it was not paused before
	 * @throws {TypeError | RangeError} (as a rejection) for options of the wrong type
	 * @throws {StoreError} (as a rejection) if the store cannot be opened or does not answer
	 */
	pause(options: StoredPause): Promise<boolean>;
	pause(options?: StoredPause): void | Promise<boolean> {
		if (options === undefined) return this.#engine.worker.pause();
		return this.#pauseStored(options, true);
	}

	/** Undoes {@link Basket.pause}. */
	resume(): void;
	/**
	 * Undoes a stored pause.
	 *
	 * @returns whether it was paused before
	 * @throws {unknown} (as a rejection) the errors of {@link Basket.pause}
	 */
	resume(options: StoredPause): Promise<boolean>;
	resume(options?: StoredPause): void | Promise<boolean> {
		if (options === undefined) return this.#engine.worker.resume();
		return this.#pauseStored(options, false);
	}

	/** The stored pauses. Rejects with a {@link StoreError} if the store does not answer. */
	pauses(): Promise<Pauses> {
		return this.#engine.pauses();
	}

	async #pauseStored(options: StoredPause, isPaused: boolean): Promise<boolean> {
		return await this.#engine.pause(checkStored(options).kind, isPaused);
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
	 * Waits until a task is done or dead, in any process. The end is noticed at once if this process runs the task, and
	 * otherwise within five seconds. At a temporary failure of the store, `onError` is called, and the wait continues.
	 *
	 * A task that is replaced while it runs is waited for until its newest payload is done. If other processes run
	 * tasks, `retain` should keep them for at least a minute: a task that is gone is not found.
	 *
	 * @returns the state, the result and the error
	 * @throws {TaskNotFoundError} (as a rejection) if there is no task with this id, or not anymore, and it has not ended
	 * in this process
	 * @throws {StoreError} (as a rejection) for a permanent failure
	 * @throws {unknown} (as a rejection) the reason of `signal` itself, if it aborts first
	 * @throws {TypeError | RangeError} (as a rejection) if `id` is not a text of 1 to 255 characters, or `signal` is
	 * not an AbortSignal
	 */
	wait(id: string, options: WaitOptions = {}): Promise<TaskResult> {
		return waitForTask(this.#engine, id, options);
	}

	/**
	 * Restarts a dead task, behind all others; makes a waiting task due at once.
	 *
	 * @param which the id of a task, or a filter: then all tasks that it selects are changed, in batches
	 * @param options your own transaction, for an id
	 * @returns whether the task was changed; with a filter, how many were changed
	 * @throws {TypeError | RangeError} (as a rejection) for an id that no task can have, and a filter without a property
	 * @throws {StoreError} (as a rejection) if the store cannot be opened or does not answer
	 */
	retry<W extends string | TaskFilter>(which: W, options?: TxOptions<Tx>): Promise<Changed<W>> {
		return this.#change(which, "retry", options);
	}

	/**
	 * Prevents a waiting task from running until {@link Basket.release}, and a running task from being retried. Its
	 * lane waits. The arguments are those of {@link Basket.retry}.
	 *
	 * @returns whether the task was changed (not if it is dead, done or not there), or how many were
	 * @throws {unknown} (as a rejection) the errors of {@link Basket.retry}
	 */
	hold<W extends string | TaskFilter>(which: W, options?: TxOptions<Tx>): Promise<Changed<W>> {
		return this.#change(which, "hold", options);
	}

	/**
	 * Undoes {@link Basket.hold}. The arguments are those of {@link Basket.retry}.
	 *
	 * @returns whether the task was changed, or how many were
	 * @throws {unknown} (as a rejection) the errors of {@link Basket.retry}
	 */
	release<W extends string | TaskFilter>(which: W, options?: TxOptions<Tx>): Promise<Changed<W>> {
		return this.#change(which, "release", options);
	}

	/**
	 * Removes a task in any state. If the task runs, its signal aborts with a `ClaimLostError`. In another process,
	 * this happens when the store notifies that process, or, if the store cannot, at the next renewal of its lease:
	 * after a third of the lease at most. The arguments are those of {@link Basket.retry}.
	 *
	 * @returns whether the task existed, or how many did
	 * @throws {unknown} (as a rejection) the errors of {@link Basket.retry}
	 */
	delete<W extends string | TaskFilter>(which: W, options?: TxOptions<Tx>): Promise<Changed<W>> {
		return this.#change(which, "delete", options);
	}

	/**
	 * Deletes all tasks that a filter selects, in batches; without one all tasks of the basket.
	 *
	 * @returns the number of deleted tasks
	 * @throws {unknown} (as a rejection) the errors of {@link Basket.retry}
	 */
	clear(filter: TaskFilter = {}): Promise<number> {
		return changeMany(this.#engine, filter, "delete", undefined, true);
	}

	#change<W>(which: W, change: Change | "delete", options?: TxOptions<Tx>): Promise<Changed<W>> {
		const isFilter = Object(which) === which;
		const changing = isFilter
			? changeMany(this.#engine, which as TaskFilter, change, options?.tx)
			: this.#engine.change(which as string, change, options);
		return changing as Promise<Changed<W>>;
	}

	/** The same as {@link Basket.stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}
}

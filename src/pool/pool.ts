/**
 * Tasks on a limited number of workers.
 *
 * Use {@link Pool} if there may be more tasks than should run at the same time, or if tasks need an expensive
 * resource: a connection, a thread. Use a `Group` if all tasks may run at once.
 *
 * @module
 */

import type {
	PoolFunction,
	PoolOptions,
	PoolSnapshot,
	PoolStopOptions,
	PoolTask,
	PoolTaskRecord,
	PoolWorkerRecord,
} from "./options.ts";
import type { JobDetails } from "./job.ts";
import { Scheduler } from "./scheduler.ts";
import { checkTaskOptions, type JobOptions, jobOptions, type PoolTaskOptions } from "./task-options.ts";
import { checkRunnerOptions, type RunnerOptions, type RunnerSettings } from "../run/options.ts";
import { abortError } from "../platform/abort-error.ts";
import { check, checkDelay, checkedSignal } from "../platform/check.ts";
import { NameInUseError } from "../platform/name-in-use-error.ts";
import { link, unlink } from "../platform/signals.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";
import type { WaitOptions } from "../platform/waiters.ts";

/**
 * Runs tasks on workers, at most `max` at the same time. Tasks with a higher priority run first; tasks with the same
 * priority run in the order in which they were added.
 *
 * A failing task affects neither its worker nor the pool. Tasks are retried as by `run`, with their own options or
 * those of the pool: attempts, backoff, timeout. A task holds no worker while it waits for its next attempt.
 *
 * A task that awaits `run` of its own pool keeps its worker meanwhile. If all workers do this, the pool deadlocks.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Pool } from "upkeep";
 *
 * const pool = new Pool({ max: 2 });
 * const squares = await Promise.all([1, 2, 3].map((number) => pool.run(async () => number ** 2)));
 * assert.deepEqual(squares, [1, 4, 9]);
 *
 * const report = pool.spawn("report", async ({ attempt, report }) => {
 * 	report(0.5, "half of it");
 * 	if (attempt === 1) throw new Error("lost the other half");
 * 	return "done";
 * }, { attempts: 3, backoff: { start: 10, factor: 2 }, timeout: 5_000 });
 * await report.assigned();
 * assert.equal(pool.tasks().get("report")?.status, "running");
 * assert.equal(await report.result(), "done");
 * await pool.stop();
 * ```
 */
export class Pool<W = undefined> implements Subscribable<PoolSnapshot>, AsyncDisposable {
	readonly #scheduler: Scheduler<W>;
	/** The defaults for tasks. */
	readonly #settings: RunnerSettings;
	readonly #defaults: JobOptions | undefined;
	readonly #snapshot: Snapshot<PoolSnapshot>;

	/** See {@link Subscribable.subscribe}. */
	declare readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}. */
	declare readonly getSnapshot: () => PoolSnapshot;

	/**
	 * Creates a pool with `min` workers.
	 *
	 * @param options the workers, and defaults for the tasks
	 * @throws {TypeError | RangeError} for options of the wrong type or out of range
	 */
	constructor(options: PoolOptions<W>) {
		const { onError } = check("options", options, "object");
		this.#settings = checkRunnerOptions(options as RunnerOptions);
		const defaults = jobOptions(0, undefined, this.#settings);
		if (defaults.settings !== undefined) this.#defaults = defaults;
		this.#snapshot = new Snapshot(() => this.#read(), onError);
		({ subscribe: this.subscribe, getSnapshot: this.getSnapshot } = this.#snapshot);
		this.#scheduler = new Scheduler(options, () => this.#snapshot.changed());
	}

	/** The maximum number of workers. When it is lowered, running tasks continue. */
	get max(): number {
		return this.#scheduler.crew.max;
	}

	set max(max: number) {
		this.#scheduler.crew.max = max;
		this.#scheduler.schedule();
	}

	/**
	 * Runs a task as soon as a worker is available, but never synchronously.
	 *
	 * @param task the function to call
	 * @param options priority, attempts, delays and time limits
	 * @returns the value of the task
	 * @throws {unknown} the error of the last attempt, without its hint, or the reason of the cancellation
	 * @throws {DOMException} named `TimeoutError` if the last attempt took longer than `timeout`, or all attempts
	 * together longer than `deadline`; its `cause` is the previous error
	 * @throws {DOMException} named `InvalidStateError` after {@link stop}
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range; all of these are rejections
	 */
	run<T>(task: PoolFunction<T, W>, options?: PoolTaskOptions<W>): Promise<T> {
		try {
			const checked = options === undefined ? this.#defaults : checkTaskOptions(options, this.#settings);
			this.#checkTask(task);
			return this.#scheduler.add(this.#scheduler.newJob(task, checked));
		} catch (error) {
			return Promise.reject(error);
		}
	}

	/**
	 * Runs a task that has a name.
	 *
	 * @param name the name in {@link tasks}
	 * @param task the function to call
	 * @param options priority, attempts, delays and time limits
	 * @throws {NameInUseError} if a task with this name waits or runs
	 * @throws {DOMException} named `InvalidStateError` after {@link stop}
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
	 */
	spawn<T>(name: string, task: PoolFunction<T, W>, options: PoolTaskOptions<W> = {}): PoolTask<T> {
		check("name", name, "string");
		const checked = checkTaskOptions(options, this.#settings);
		this.#checkTask(task);
		if (this.#scheduler.named.has(name)) {
			throw new NameInUseError("task", name, "use another name, or wait until it is over");
		}
		let settlers!: JobDetails<W>["assigned"];
		const assigned = new Promise<void>((resolve, reject) => settlers = { resolve, reject });
		const job = this.#scheduler.newJob(task, checked, name, settlers);
		const result = this.#scheduler.add<T>(job);
		assigned.catch(() => {});
		result.catch(() => {});
		return {
			name,
			assigned: () => assigned,
			result: () => result,
			cancel: (reason = abortError(`The task ${JSON.stringify(name)} was cancelled`)) => job.details!.abort(reason),
		};
	}

	/** The workers by id. */
	workers(): Map<number, PoolWorkerRecord> {
		return new Map([...this.#scheduler.crew.workers].map(([id, { job }]) => [
			id,
			{ status: job === undefined ? "waiting" : "running", task: job?.details?.name },
		]));
	}

	/** The named tasks that wait or run, by name. */
	tasks(): Map<string, PoolTaskRecord> {
		return new Map([...this.#scheduler.named].map(([name, { worker, attempt, details }]) => {
			const { run, progress, description } = details!;
			const isRunning = attempt !== undefined;
			const restarts = run === undefined ? 0 : run.attempt - Number(isRunning);
			const status = isRunning ? "running" : restarts > 0 ? "restarted" : "not-assigned";
			return [name, { status, worker: worker?.id, restarts, progress, description }];
		}));
	}

	/** Pauses the pool: waiting tasks do not start; running tasks continue. */
	pause(): void {
		this.#scheduler.isPaused = true;
		this.#snapshot.changed();
	}

	/** Undoes {@link pause}. */
	resume(): void {
		this.#scheduler.isPaused = false;
		this.#scheduler.schedule();
		this.#snapshot.changed();
	}

	/** Resolves with `true` when no task waits or runs, or with `false` if the signal aborts first. */
	async wait(options: WaitOptions = {}): Promise<boolean> {
		const signal = checkedSignal(options);
		const isIdle = this.#scheduler.isIdle || await this.#scheduler.whenIdle.wait(signal);
		if (isIdle) await resultsFirst();
		return isIdle;
	}

	/**
	 * Ends the pool permanently: waiting tasks are rejected, running tasks are aborted, and each worker is destroyed
	 * when its task has settled or was abandoned (`abandonAfter`). A second call waits, too; its reason is ignored.
	 *
	 * With `finish`, running tasks may end before they are aborted; tasks that fail meanwhile are not retried. A call
	 * without it ends the patience of an earlier one.
	 *
	 * @param options the reason, the time for running tasks, and a limit for the wait
	 * @returns a promise that resolves when every worker is gone
	 * @throws {TypeError | RangeError} (as a rejection) for options of the wrong type or out of range
	 * @throws {unknown} (as a rejection) the signal's reason, if it aborts first; the pool continues to stop. With
	 * `finish`, the signal ends the patience instead
	 */
	async stop(options: PoolStopOptions = {}): Promise<void> {
		const signal = checkedSignal(options);
		const { reason = abortError("The pool was stopped"), finish = 0 } = options;
		const isPatient = checkDelay("finish", finish) > 0;
		const scheduler = this.#scheduler;
		if (!scheduler.hasStopped) scheduler.close(reason);
		if (isPatient && !scheduler.isIdle && !signal?.aborted) await this.#finish(finish, signal);
		scheduler.end(reason);
		if (!scheduler.isGone && !await scheduler.whenGone.wait(isPatient ? undefined : signal)) throw signal!.reason;
		await resultsFirst();
	}

	/** Waits until no task runs, the time has passed, or the signal aborts. */
	async #finish(duration: number, signal: AbortSignal | undefined): Promise<void> {
		const { clock } = this.#settings;
		const controller = new AbortController();
		const patience = { abort: () => controller.abort() };
		const timer = new CallbackTimer(patience.abort);
		link(signal, patience);
		if (duration < Infinity) clock.set(timer, duration);
		await this.#scheduler.whenIdle.wait(controller.signal);
		clock.clear(timer);
		unlink(signal, patience);
	}

	/** The same as {@link stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	#checkTask(task: unknown): void {
		check("task", task, "function");
		if (this.#scheduler.hasStopped) {
			throw new DOMException("The pool was stopped for good: create another one", "InvalidStateError");
		}
	}

	#read(): PoolSnapshot {
		const { waiting, running, isPaused } = this.#scheduler;
		return { workers: this.workers(), tasks: this.tasks(), waiting, running, isPaused };
	}
}

/** Callers of finished tasks get their results before callers that wait for the pool: some results take three microtasks. */
async function resultsFirst(): Promise<void> {
	await undefined;
	await undefined;
	await undefined;
}

/**
 * Tasks on a limited number of workers.
 *
 * Use {@link Pool} when there may be more tasks than should run at the same time, or when tasks need something that is
 * expensive to make: a connection, a thread. Use a `Group` when all tasks may run at once.
 *
 * @module
 */

import type { PoolOptions, PoolSnapshot, PoolTask, PoolTaskStatus, PoolWorkerStatus } from "./pool-options.ts";
import { Crew } from "./pool-crew.ts";
import { Job, type JobDetails, PoolAttempt, type PoolFunction, type PoolTaskOptions } from "./pool-job.ts";
import { PoolQueue } from "./pool-queue.ts";
import type { PoolWorker } from "./pool-worker.ts";
import { steering, type Task, unwrap } from "./task.ts";
import { abortError } from "./platform/abort-error.ts";
import { check, checkFunction, checkSignal } from "./platform/check.ts";
import { type OnError, report } from "./platform/observe.ts";
import { link, unlink } from "./platform/signals.ts";
import { Snapshot, type Subscribable } from "./platform/snapshot.ts";
import { Waiters, type WaitOptions } from "./platform/waiters.ts";

/**
 * A task of the pool has this name already.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Pool, TaskExistsError } from "upkeep";
 *
 * const pool = new Pool({ max: 1 });
 * const task = pool.go("report", () => "done");
 * assert.throws(() => pool.go("report", () => "again"), TaskExistsError);
 * assert.equal(await task.result, "done");
 * ```
 */
export class TaskExistsError extends Error {
	/** What this error is called. */
	override readonly name = "TaskExistsError";
	/** The name of the task. */
	readonly task: string;

	/**
	 * Made by {@link Pool.go}.
	 *
	 * @param task the name that is in use
	 */
	constructor(task: string) {
		super(`A task of the pool has the name ${JSON.stringify(task)}`);
		this.task = task;
	}
}

/**
 * Runs tasks on workers, at most `max` at the same time: those with the highest priority first, and first come, first
 * served among those with the same.
 *
 * A task that fails harms neither its worker nor the pool. A task that awaits `run` of its own pool keeps its worker while
 * it waits: when all workers do that, none of them ever goes on.
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
 * const report = pool.go("report", async ({ attempt, report }) => {
 * 	report(0.5, "half of it");
 * 	if (attempt === 1) throw new Error("lost the other half");
 * 	return "done";
 * }, { restart: () => true });
 * await report.assigned;
 * assert.equal(pool.tasks().get("report")?.status, "running");
 * assert.equal(await report.result, "done");
 * await pool.stop();
 * ```
 */
export class Pool<W = undefined> implements Subscribable<PoolSnapshot>, AsyncDisposable {
	readonly #crew: Crew<W>;
	readonly #queue = new PoolQueue<Job<W>>();
	readonly #named = new Map<string, JobDetails<W>>();
	readonly #whenIdle = new Waiters();
	readonly #whenGone = new Waiters();
	readonly #snapshot: Snapshot<PoolSnapshot>;
	readonly #onChange: () => void;
	readonly #onError: OnError | undefined;
	/** How many tasks run. */
	#running = 0;
	#isPaused = false;
	#isScheduled = false;
	#hasStopped = false;

	/** See {@link Subscribable.subscribe}. */
	readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}. */
	readonly getSnapshot: () => PoolSnapshot;

	/**
	 * Makes a pool with `min` workers.
	 *
	 * @param options how many workers, and what they are
	 * @throws {TypeError | RangeError} for options of the wrong type or out of range
	 */
	constructor(options: PoolOptions<W>) {
		const { onError } = check("options", options, "object");
		this.#onError = onError;
		this.#snapshot = new Snapshot(() => this.#read(), onError);
		({ subscribe: this.subscribe, getSnapshot: this.getSnapshot } = this.#snapshot);
		this.#onChange = () => this.#snapshot.changed();
		this.#crew = new Crew(options, {
			onSuccess: (worker, value) => this.#onSuccess(worker, value),
			onFailure: (worker, error) => this.#onFailure(worker, error),
			onReady: () => this.#schedule(),
			onMakeError: (error) => this.#onMakeError(error),
			onLost: (worker, reason) => this.#onLost(worker, reason),
			onChange: this.#onChange,
			onGone: () => this.#whenGone.release(),
		});
	}

	/** How many workers there are at most. When it is lowered, tasks that run go on. */
	get max(): number {
		return this.#crew.max;
	}

	set max(max: number) {
		this.#crew.max = max;
		this.#schedule();
	}

	/**
	 * Runs a task as soon as there is a worker for it, and never before this call has returned.
	 *
	 * @param task what to do
	 * @param options when, and until when
	 * @returns what the task returns
	 * @throws {unknown} what the task failed with, or the reason of its cancellation
	 * @throws {DOMException} named `InvalidStateError` after {@link stop}
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range; all of these are rejections
	 */
	run<T>(task: PoolFunction<T, W>, options?: PoolTaskOptions<W>): Promise<T> {
		return new Promise((resolve, reject) => {
			this.#check(task, options);
			if (options === undefined) this.#add(new Job(task, resolve, reject, undefined));
			else this.#addWithDetails(task, resolve, reject, options, {});
		});
	}

	/**
	 * Runs a task that has a name.
	 *
	 * @param name how to find it in {@link tasks}
	 * @param task what to do
	 * @param options when, until when, and how often
	 * @throws {TaskExistsError} if a task with this name waits or runs
	 * @throws {DOMException} named `InvalidStateError` after {@link stop}
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
	 */
	go<T>(name: string, task: PoolFunction<T, W>, options: PoolTaskOptions<W> = {}): PoolTask<T> {
		check("name", name, "string");
		this.#check(task, options);
		if (this.#named.has(name)) throw new TaskExistsError(name);
		let onAssigned!: () => void;
		let onUnassigned!: (error: unknown) => void;
		let cancel!: (reason: unknown) => void;
		const assigned = new Promise<void>((resolve, reject) => [onAssigned, onUnassigned] = [resolve, reject]);
		const result = new Promise<T>((resolve, reject) => {
			const details = { name, onAssigned, onUnassigned };
			cancel = this.#addWithDetails(task, resolve, reject, options, details).abort;
		});
		assigned.catch(() => {});
		result.catch(() => {});
		return {
			name,
			assigned,
			result,
			cancel: (reason = abortError(`The task ${JSON.stringify(name)} was cancelled`)) => cancel(reason),
		};
	}

	/** The workers, by their ids. */
	workers(): Map<number, PoolWorkerStatus> {
		return new Map([...this.#crew.workers].map(([id, { job }]) => [
			id,
			{ status: job === undefined ? "waiting" : "running", task: job?.details?.name },
		]));
	}

	/** The named tasks that wait or run, by their names. */
	tasks(): Map<string, PoolTaskStatus> {
		return new Map([...this.#named].map(([name, { worker, restarts, progress, description }]) => {
			const status = worker !== undefined ? "running" : restarts > 0 ? "restarted" : "not-assigned";
			return [name, { status, worker, restarts, progress, description }];
		}));
	}

	/** Holds back the tasks that wait. Those that run go on. */
	pause(): void {
		this.#isPaused = true;
		this.#onChange();
	}

	/** Undoes {@link pause}. */
	resume(): void {
		this.#isPaused = false;
		this.#schedule();
		this.#onChange();
	}

	/** Resolves to `true` once no task waits or runs, or to `false` if the signal aborts first. */
	idle(options: WaitOptions = {}): Promise<boolean> {
		return this.#isIdle ? Promise.resolve(true) : this.#whenIdle.wait(options.signal);
	}

	/**
	 * Ends the pool for good: what waits is rejected, what runs is aborted, and each worker is destroyed when its task has
	 * settled. A second call waits for the same.
	 *
	 * @returns a promise that resolves when every worker is gone
	 * @throws {unknown} (as a rejection) the signal's reason, if that aborts first; the pool goes on stopping
	 */
	async stop(options: WaitOptions = {}): Promise<void> {
		const { signal } = options;
		if (signal !== undefined) checkSignal(signal);
		if (!this.#hasStopped) this.#end(abortError("The pool was stopped"));
		if (!this.#crew.isGone && !await this.#whenGone.wait(signal)) throw signal!.reason;
	}

	/** The same as {@link stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	get #isIdle(): boolean {
		return this.#running === 0 && this.#queue.size === 0;
	}

	#check(task: unknown, options: PoolTaskOptions<W> = {}): void {
		check("task", task, "function");
		const { priority = 0, signal, restart } = check("options", options, "object");
		check("priority", priority, "number", Number.isFinite(priority), "a finite number");
		if (signal !== undefined) checkSignal(signal);
		checkFunction("restart", restart);
		if (this.#hasStopped) throw new DOMException("This pool was stopped", "InvalidStateError");
	}

	#addWithDetails(
		task: PoolFunction<unknown, W>,
		resolve: (value: never) => void,
		reject: (error: unknown) => void,
		{ priority, signal, restart }: PoolTaskOptions<W>,
		named: Partial<Pick<JobDetails<W>, "name" | "onAssigned" | "onUnassigned">>,
	): JobDetails<W> {
		const { name, onAssigned, onUnassigned } = named;
		const details: JobDetails<W> = {
			...{ name, onAssigned, onUnassigned, priority, signal, restart },
			abort: (reason) => this.#cancel(job, reason),
			attempt: undefined,
			worker: undefined,
			restarts: 0,
			progress: undefined,
			description: undefined,
			previousError: undefined,
		};
		const job = new Job<W>(task, resolve, reject, details);
		if (name !== undefined) this.#named.set(name, details);
		this.#add(job);
		if (signal?.aborted) details.abort(signal.reason);
		else if (signal !== undefined) link(signal, details);
		return details;
	}

	#add(job: Job<W>): void {
		this.#queue.add(job, job.details?.priority ?? 0);
		this.#schedule();
		this.#onChange();
	}

	#cancel(job: Job<W>, reason: unknown): void {
		if (job.lane !== undefined) {
			this.#queue.remove(job);
			this.#settle(job, false, reason);
			this.#afterwards();
		} else job.details?.attempt?.abort(reason);
	}

	#settle(job: Job<W>, isSuccess: boolean, outcome: unknown): void {
		const { details } = job;
		if (details !== undefined) {
			if (details.name !== undefined) this.#named.delete(details.name);
			if (details.signal !== undefined) unlink(details.signal, details);
			// Too late if it was assigned: a promise settles once.
			details.onUnassigned?.(outcome);
			details.attempt = undefined;
		}
		if (isSuccess) job.resolve(outcome as never);
		else job.reject(outcome);
	}

	/** In a microtask of its own: a task is never called by `go` or `run`. */
	#schedule(): void {
		if (this.#isScheduled) return;
		this.#isScheduled = true;
		queueMicrotask(() => {
			this.#isScheduled = false;
			this.#dispatch();
		});
	}

	#dispatch(): void {
		while (!this.#isPaused && this.#queue.size > 0) {
			const worker = this.#crew.take();
			if (worker === undefined) break;
			this.#start(worker);
		}
		this.#crew.grow(this.#isPaused ? 0 : this.#queue.size);
	}

	#start(worker: PoolWorker<W>): void {
		const job = this.#queue.first!;
		const { details } = job;
		this.#queue.remove(job);
		this.#running++;
		const attempt = new PoolAttempt(details, worker.resource as W, this.#onChange);
		worker.job = job;
		worker.attempt = attempt;
		if (details !== undefined) {
			details.attempt = attempt;
			details.worker = worker.id;
			details.progress = details.description = undefined;
			details.onAssigned?.();
		}
		this.#onChange();
		attempt.perform(job.task as Task<unknown>).then(worker.onSuccess, worker.onFailure);
	}

	#onSuccess(worker: PoolWorker<W>, value: unknown): void {
		if (worker.isGone) return;
		const job = worker.job!;
		this.#leave(worker);
		this.#settle(job, true, value);
		this.#release(worker);
	}

	#onFailure(worker: PoolWorker<W>, thrown: unknown): void {
		if (worker.isGone) return;
		const { job, attempt } = worker;
		this.#leave(worker);
		this.#fail(job!, attempt!, thrown);
		this.#release(worker);
	}

	/** The worker's task is over. */
	#leave(worker: PoolWorker<W>): void {
		this.#running--;
		if (worker.job!.details !== undefined) worker.job!.details.worker = undefined;
		worker.attempt!.end();
		worker.job = worker.attempt = undefined;
	}

	/** Back into the queue, or the end of it. */
	#fail(job: Job<W>, attempt: PoolAttempt<W>, thrown: unknown): void {
		const { interruption } = attempt;
		let error = interruption === undefined ? unwrap(thrown) : interruption.reason;
		try {
			const mayRestart = interruption === undefined && !this.#hasStopped && !steering(thrown).stop;
			if (mayRestart && job.details?.restart?.(error, attempt) === true) return this.#restart(job, job.details, error);
		} catch (refusal) {
			error = refusal;
		}
		this.#settle(job, false, error);
	}

	#restart(job: Job<W>, details: JobDetails<W>, error: unknown): void {
		details.restarts++;
		details.previousError = error;
		details.attempt = undefined;
		this.#add(job);
		// The function that was asked may have aborted.
		if (details.signal?.aborted) details.abort(details.signal.reason);
	}

	/** The worker is free. */
	#release(worker: PoolWorker<W>): void {
		if (this.#crew.mayGoOn(worker)) {
			if (this.#queue.size > 0 && !this.#isPaused) this.#start(worker);
			else this.#crew.giveBack(worker);
		}
		this.#afterwards();
	}

	/** The task that would have been next fails, so that not all of them wait for ever. */
	#onMakeError(error: unknown): void {
		const job = this.#queue.first;
		if (job === undefined) return report(this.#onError, error);
		this.#queue.remove(job);
		this.#fail(job, new PoolAttempt<W>(job.details, undefined as W, this.#onChange), error);
		this.#afterwards();
	}

	/** Its task is not waited for: there is nothing left that could work on it. */
	#onLost(worker: PoolWorker<W>, reason: unknown): void {
		const { job, attempt } = worker;
		if (job === undefined || attempt === undefined) return report(this.#onError, reason);
		const wasCancelled = attempt.interruption !== undefined;
		this.#leave(worker);
		attempt.abort(reason);
		const next = wasCancelled ? attempt : new PoolAttempt<W>(job.details, attempt.worker, this.#onChange);
		this.#fail(job, next, reason);
		this.#afterwards();
	}

	#afterwards(): void {
		this.#onChange();
		if (this.#isIdle) this.#whenIdle.release();
	}

	#end(reason: unknown): void {
		this.#hasStopped = true;
		for (let job = this.#queue.first; job !== undefined; job = this.#queue.first) {
			this.#queue.remove(job);
			this.#settle(job, false, reason);
		}
		this.#crew.end(reason);
		for (const { attempt } of [...this.#crew.workers.values()]) attempt?.abort(reason);
		this.#afterwards();
	}

	#read(): PoolSnapshot {
		return {
			workers: this.workers(),
			tasks: this.tasks(),
			waiting: this.#queue.size,
			running: this.#running,
			isPaused: this.#isPaused,
		};
	}
}

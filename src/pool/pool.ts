/**
 * Tasks on a limited number of workers.
 *
 * Use {@link Pool} when there may be more tasks than should run at the same time, or when tasks need something that is
 * expensive to make: a connection, a thread. Use a `Group` when all tasks may run at once.
 *
 * @module
 */

import type { PoolOptions, PoolSnapshot, PoolTask, PoolTaskStatus, PoolWorkerStatus } from "./options.ts";
import { Crew } from "./crew.ts";
import { Job, type JobDetails, JobResult, PoolAttempt, type PoolFunction, type PoolTaskOptions } from "./job.ts";
import { PoolQueue } from "./queue.ts";
import type { PoolWorker } from "./worker.ts";
import { steering, type Task, unwrap } from "../run/task.ts";
import { abortError } from "../platform/abort-error.ts";
import { inContextAlways } from "../platform/async-context.ts";
import { check, checkedSignal, checkFunction, checkSignal } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";
import { link, unlink } from "../platform/signals.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";
import { Waiters, type WaitOptions } from "../platform/waiters.ts";

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
	/** Those that have failed and are not back in the queue: they wait for the answer of `restart`, or for a delay. */
	readonly #parked = new Set<Job<W>>();
	readonly #named = new Map<string, Job<W>>();
	readonly #whenIdle = new Waiters();
	readonly #whenGone = new Waiters();
	readonly #snapshot: Snapshot<PoolSnapshot>;
	readonly #onChange: () => void;
	readonly #onError: OnError | undefined;
	readonly #clock: Clock;
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
		this.#clock = checkClock(options.clock);
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
		try {
			if (options !== undefined) return this.#add(this.#newJob(task, this.#check(task, options)));
			this.#checkTask(task);
			return this.#add(new Job(task, undefined));
		} catch (error) {
			return Promise.reject(error);
		}
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
		const checked = this.#check(task, options);
		if (this.#named.has(name)) throw new TaskExistsError(name);
		let onAssigned!: () => void;
		let onUnassigned!: (error: unknown) => void;
		const assigned = new Promise<void>((resolve, reject) => [onAssigned, onUnassigned] = [resolve, reject]);
		const job = this.#newJob(task, checked, { name, onAssigned, onUnassigned });
		const result = this.#add<T>(job);
		assigned.catch(() => {});
		result.catch(() => {});
		return {
			name,
			assigned,
			result,
			cancel: (reason = abortError(`The task ${JSON.stringify(name)} was cancelled`)) => job.details!.abort(reason),
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
		return new Map([...this.#named].map(([name, { worker, attempt, details }]) => {
			const { restarts, progress, description } = details!;
			const status = attempt !== undefined ? "running" : restarts > 0 ? "restarted" : "not-assigned";
			return [name, { status, worker: worker?.id, restarts, progress, description }];
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
	async idle(options: WaitOptions = {}): Promise<boolean> {
		const signal = checkedSignal(options);
		const isIdle = this.#isIdle || await this.#whenIdle.wait(signal);
		if (isIdle) await resultsFirst();
		return isIdle;
	}

	/**
	 * Ends the pool for good: what waits is rejected, what runs is aborted, and each worker is destroyed when its task has
	 * settled. A second call waits for the same.
	 *
	 * @returns a promise that resolves when every worker is gone
	 * @throws {unknown} (as a rejection) the signal's reason, if that aborts first; the pool goes on stopping
	 */
	async stop(options: WaitOptions = {}): Promise<void> {
		const signal = checkedSignal(options);
		if (!this.#hasStopped) this.#end(abortError("The pool was stopped"));
		if (!this.#crew.isGone && !await this.#whenGone.wait(signal)) throw signal!.reason;
		await resultsFirst();
	}

	/** The same as {@link stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	get #isIdle(): boolean {
		return this.#running === 0 && this.#waitingCount === 0;
	}

	get #waitingCount(): number {
		return this.#queue.size + this.#parked.size;
	}

	#checkTask(task: unknown): void {
		check("task", task, "function");
		if (this.#hasStopped) throw new DOMException("This pool was stopped", "InvalidStateError");
	}

	/** Reads each option once: a getter may give something else the next time. */
	#check(task: unknown, options: PoolTaskOptions<W>): PoolTaskOptions<W> {
		const { priority = 0, signal, restart } = check("options", options, "object");
		check("priority", priority, "number", Number.isFinite(priority), "a finite number");
		if (signal !== undefined) checkSignal(signal);
		checkFunction("restart", restart);
		this.#checkTask(task);
		return { priority, signal, restart };
	}

	#newJob(
		task: PoolFunction<unknown, W>,
		{ priority, signal, restart }: PoolTaskOptions<W>,
		named: Partial<Pick<JobDetails<W>, "name" | "onAssigned" | "onUnassigned">> = {},
	): Job<W> {
		const { name, onAssigned, onUnassigned } = named;
		const job: Job<W> = new Job<W>(task, {
			...{ name, onAssigned, onUnassigned, priority, signal, restart },
			abort: (reason) => this.#cancel(job, reason),
			ask: restart && inContextAlways(() => this.#ask(job)),
			delay: restart && new CallbackTimer(() => this.#onDelayed(job)),
			thrown: undefined,
			restarts: 0,
			progress: undefined,
			description: undefined,
			previousError: undefined,
		});
		if (name !== undefined) this.#named.set(name, job);
		if (signal?.aborted === false) link(signal, job.details!);
		return job;
	}

	#add<T>(job: Job<W>): Promise<T> {
		const { details } = job;
		this.#enqueue(job);
		const result = this.#resultOf(job) as Promise<T>;
		if (details?.signal?.aborted) details.abort(details.signal.reason);
		return result;
	}

	/** The result of a job that has just been added, which gets its turn in the async context of this call. */
	#resultOf(job: Job<W>): Promise<unknown> {
		// Where nothing waits, a turn of its own is cheaper than a way to call it later. And a subscriber may have ended it.
		const hasTurn = this.#crew.free >= this.#queue.size || job.lane === undefined;
		if (hasTurn) return Promise.resolve(new JobResult(job, this.#turn));
		this.#schedule();
		return new Promise<Job<W>>((resolve) => job.begin = resolve).then(this.#beginFirst);
	}

	/** In the async context of its caller: it begins at once if it can. */
	readonly #turn = (job: Job<W>): void => {
		if (job.lane !== undefined) {
			const worker = this.#queue.first === job && !this.#isPaused ? this.#crew.take() : undefined;
			if (worker === undefined) this.#prepare(job);
			else this.#assign(worker);
		}
		// Also if it was cancelled meanwhile: those behind it were not called as long as it had its turn before it.
		this.#dispatch();
	};

	readonly #beginFirst = (job: Job<W>): JobResult<W> => {
		this.#begin(job);
		return new JobResult(job);
	};

	/** What `inContext` does, without a function for each task. To be called in the async context of the task's caller. */
	#prepare(job: Job<W>): void {
		new Promise<Job<W>>((resolve) => job.begin = resolve).then(this.#begin);
	}

	#enqueue(job: Job<W>): void {
		this.#queue.add(job, job.details?.priority ?? 0);
		this.#onChange();
	}

	#cancel(job: Job<W>, reason: unknown): void {
		const { attempt } = job;
		if (job.lane !== undefined) this.#queue.remove(job);
		else if (!this.#parked.has(job)) return attempt?.abort(reason);
		this.#settle(job, false, reason);
		attempt?.abort(reason);
		this.#afterwards();
	}

	/** For good. */
	#settle(job: Job<W>, isSuccess: boolean, outcome: unknown): void {
		const { details } = job;
		this.#parked.delete(job);
		if (details !== undefined) {
			if (details.name !== undefined) this.#named.delete(details.name);
			if (details.signal !== undefined) unlink(details.signal, details);
			if (details.delay !== undefined) this.#clock.clear(details.delay);
			// Too late if it was assigned: a promise settles once.
			details.onUnassigned?.(outcome);
		}
		job.settle(isSuccess, outcome);
	}

	/** In a microtask of its own: a task is never called by `go` or `run`. */
	#schedule(): void {
		if (this.#isScheduled) return;
		this.#isScheduled = true;
		queueMicrotask(this.#dispatch);
	}

	readonly #dispatch = (): void => {
		this.#isScheduled = false;
		// Looks again each time: a subscriber that hears of one task may cancel the next one, or stop the pool.
		while (!this.#isPaused && this.#queue.first?.begin !== undefined) {
			const worker = this.#crew.take();
			if (worker === undefined) break;
			this.#assign(worker);
		}
		this.#crew.grow(this.#isPaused ? 0 : this.#queue.size);
	};

	/** Gives a worker the task that is next, which begins by itself: in the async context of whoever asked for it. */
	#assign(worker: PoolWorker<W>): void {
		const job = this.#queue.first!;
		this.#queue.remove(job);
		this.#running++;
		worker.job = job;
		job.worker = worker;
		job.attempt = new PoolAttempt(job, worker.resource as W, this.#onChange);
		this.#onChange();
		const { begin = this.#begin } = job;
		job.begin = undefined;
		begin(job);
	}

	readonly #begin = (job: Job<W>): void => {
		const { worker, attempt } = job;
		// It was cancelled, or has lost its worker, in the microtask between.
		if (worker === undefined || worker.isGone || attempt === undefined) return;
		if (attempt.interruption !== undefined) return worker.onFailure(attempt.interruption.reason);
		job.details?.onAssigned?.();
		attempt.perform(job.task as Task<unknown>).then(worker.onSuccess, worker.onFailure);
	};

	#onSuccess(worker: PoolWorker<W>, value: unknown): void {
		const { job } = worker;
		if (job === undefined) return; // the worker has died
		this.#leave(worker, job);
		this.#settle(job, true, value);
		this.#release(worker);
	}

	#onFailure(worker: PoolWorker<W>, thrown: unknown): void {
		const { job } = worker;
		if (job === undefined) return; // the worker has died
		this.#leave(worker, job);
		if (this.#mayRestart(job)) {
			this.#park(job, thrown);
			this.#ask(job);
		} else this.#fail(job, thrown);
		this.#release(worker);
	}

	/** The worker's task is over. */
	#leave(worker: PoolWorker<W>, job: Job<W>): void {
		this.#running--;
		job.attempt!.end();
		job.worker = worker.job = undefined;
	}

	#mayRestart({ attempt, details }: Job<W>): boolean {
		return attempt!.interruption === undefined && !this.#hasStopped && details?.restart !== undefined;
	}

	#fail(job: Job<W>, thrown: unknown): void {
		const { interruption } = job.attempt!;
		this.#settle(job, false, interruption === undefined ? unwrap(thrown) : interruption.reason);
	}

	#park(job: Job<W>, thrown: unknown): void {
		job.details!.thrown = thrown;
		this.#parked.add(job);
	}

	/** In the async context of the task's caller. A job is parked as long as it is not cancelled, at whatever moment. */
	#ask(job: Job<W>): void {
		if (!this.#parked.has(job)) return;
		const { restart, thrown } = job.details!;
		const refuse = (error: unknown) => {
			if (!this.#parked.has(job)) return;
			this.#settle(job, false, error);
			this.#afterwards();
		};
		const decide = (answer: unknown) => answer === true ? this.#restart(job) : refuse(unwrap(thrown));
		if (steering(thrown).stop) return refuse(unwrap(thrown));
		try {
			const answer = restart!(unwrap(thrown), job.attempt!);
			if (typeof answer !== "object") decide(answer);
			else Promise.resolve(answer).then(decide, refuse);
		} catch (error) {
			refuse(error);
		}
	}

	/** After a delay, even if that is 0: a task that always fails must leave room for timers, aborts and input. */
	#restart(job: Job<W>): void {
		if (!this.#parked.has(job)) return;
		const details = job.details!;
		details.restarts++;
		details.previousError = unwrap(details.thrown);
		details.progress = details.description = undefined;
		job.attempt = undefined;
		// One that has never begun still has its first turn.
		if (job.begin === undefined) this.#prepare(job);
		this.#clock.set(details.delay!, steering(details.thrown).delay ?? 0);
		this.#onChange();
	}

	#onDelayed(job: Job<W>): void {
		this.#parked.delete(job);
		this.#enqueue(job);
		this.#schedule();
	}

	/** The worker is free. */
	#release(worker: PoolWorker<W>): void {
		if (this.#crew.mayGoOn(worker)) {
			// One that cannot be called yet has a turn of its own, for which the worker is there.
			if (this.#queue.first?.begin !== undefined && !this.#isPaused) this.#assign(worker);
			else this.#crew.giveBack(worker);
		}
		this.#afterwards();
	}

	/** The task that would have been next fails, so that not all of them wait for ever. */
	#onMakeError(error: unknown): void {
		const job = this.#queue.first;
		if (job === undefined) return report(this.#onError, error);
		this.#queue.remove(job);
		job.attempt = new PoolAttempt<W>(job, undefined as W, this.#onChange);
		this.#failElsewhere(job, error);
	}

	/** Its task is not waited for: there is nothing left that could work on it. */
	#onLost(worker: PoolWorker<W>, reason: unknown): void {
		if (worker.job === undefined) return report(this.#onError, reason);
		// A microtask later: a task that has returned has succeeded, although nobody has heard of it yet.
		queueMicrotask(() => {
			const { job } = worker;
			if (job === undefined) return;
			const { attempt } = job;
			const mayRestart = this.#mayRestart(job);
			this.#leave(worker, job);
			attempt!.abort(reason);
			if (mayRestart) job.attempt = new PoolAttempt<W>(job, attempt!.worker, this.#onChange);
			this.#failElsewhere(job, reason);
		});
	}

	/** As after a failure of the task itself, but not in the async context of its caller. */
	#failElsewhere(job: Job<W>, thrown: unknown): void {
		if (this.#mayRestart(job)) {
			this.#park(job, thrown);
			job.details!.ask!();
		} else this.#fail(job, thrown);
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
		const parked = [...this.#parked].map((job) => {
			const { attempt } = job;
			this.#settle(job, false, reason);
			return attempt;
		});
		this.#crew.end(reason);
		for (const attempt of parked) attempt?.abort(reason);
		for (const { job } of [...this.#crew.workers.values()]) job?.attempt?.abort(reason);
		this.#afterwards();
	}

	#read(): PoolSnapshot {
		return {
			workers: this.workers(),
			tasks: this.tasks(),
			waiting: this.#waitingCount,
			running: this.#running,
			isPaused: this.#isPaused,
		};
	}
}

/** The callers of tasks that are over hear of it before those who wait for the pool: some results take two microtasks. */
async function resultsFirst(): Promise<void> {
	await undefined;
	await undefined;
}

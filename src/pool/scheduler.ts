/**
 * The inside of a pool: decides which task runs when and on which worker, and handles its outcome.
 *
 * @module
 */

import type { PoolFunction, PoolOptions } from "./options.ts";
import { JobRun, PoolAttempt, type RunOwner } from "./attempt.ts";
import { Crew, type CrewOwner } from "./crew.ts";
import { Job, type JobDetails, JobResult } from "./job.ts";
import { PoolQueue } from "./queue.ts";
import type { JobOptions } from "./task-options.ts";
import type { PoolWorker } from "./worker.ts";
import { checkRunnerOptions, watched } from "../run/options.ts";
import { steering, type Task, unwrap } from "../run/task.ts";
import type { Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";
import { link, unlink } from "../platform/signals.ts";
import { Waiters } from "../platform/waiters.ts";

/** The states of a task are described above {@link Job}. */
export class Scheduler<W> implements CrewOwner<W>, RunOwner<Job<W>> {
	declare readonly crew: Crew<W>;
	/** The named tasks that wait or run. */
	readonly named: Map<string, Job<W>> = new Map();
	readonly whenIdle: Waiters = new Waiters();
	readonly whenGone: Waiters = new Waiters();
	/** The snapshot has changed. */
	declare readonly onChange: () => void;
	/** The number of running tasks. */
	running = 0;
	/** Whether no task may begin. After resetting it, call {@link schedule}. */
	isPaused = false;
	hasStopped = false;
	readonly #queue = new PoolQueue<Job<W>>();
	/** Failed tasks that are not back in the queue: they wait for a decision or a delay. */
	readonly #parked = new Set<Job<W>>();
	readonly #onError: OnError | undefined;
	readonly #clock: Clock | undefined;
	#isScheduled = false;

	constructor(options: PoolOptions<W>, onChange: () => void) {
		this.onChange = onChange;
		this.#onError = options.onError;
		this.#clock = options.clock;
		this.crew = new Crew(options, this);
	}

	/** The number of waiting tasks. */
	get waiting(): number {
		return this.#queue.size + this.#parked.size;
	}

	get isIdle(): boolean {
		return this.running === 0 && this.waiting === 0;
	}

	/** Whether the pool has stopped and nothing is left. The last failures may be decided after the last worker is gone. */
	get isGone(): boolean {
		return this.isIdle && this.crew.isGone;
	}

	/** Creates a task without adding it. */
	newJob(
		task: PoolFunction<unknown, W>,
		options: JobOptions | undefined,
		name?: string,
		assigned?: JobDetails<W>["assigned"],
	): Job<W> {
		if (options === undefined) return new Job(task);
		const { priority, signal, settings } = options;
		const job = new Job<W>(
			settings ? watched(task as Task<unknown>, settings, { by: "pool", id: name }) as typeof task : task,
		);
		const details: JobDetails<W> = job.details = {
			...{ name, priority, signal, assigned },
			abort: (reason: unknown) => this.#cancel(job, reason),
			onChange: this.onChange,
			run: settings && new JobRun<W, Job<W>>(job, settings, this),
			progress: undefined,
			description: undefined,
		};
		if (name !== undefined) this.named.set(name, job);
		if (signal?.aborted === false) link(signal, details);
		return job;
	}

	add<T>(job: Job<W>): Promise<T> {
		const { details } = job;
		this.#enqueue(job);
		const result = this.#resultOf(job) as Promise<T>;
		if (details?.signal?.aborted) details.abort(details.signal.reason);
		return result;
	}

	/** Schedules tasks in a microtask, because `spawn` and `run` never call a task synchronously. */
	schedule(): void {
		if (this.#isScheduled) return;
		this.#isScheduled = true;
		queueMicrotask(this.#dispatch);
	}

	/** Begins nothing more: waiting tasks are rejected, running tasks continue. */
	close(reason: unknown): void {
		this.hasStopped = true;
		for (let job = this.#queue.first; job !== undefined; job = this.#queue.first) {
			this.#queue.remove(job);
			this.#settle(job, false, reason);
		}
		const parked = [...this.#parked];
		for (const job of parked) this.#settle(job, false, reason);
		for (const { details } of parked) details!.run!.close(reason);
		this.#afterwards();
	}

	/** Ends the workers, when it is closed. */
	end(reason: unknown): void {
		if (this.crew.hasEnded) return;
		this.crew.end(reason);
		for (const { job } of [...this.crew.workers.values()]) job?.abort(reason);
		this.#afterwards();
	}

	/** The result of a job that was just added. The job gets its turn in the async context of this call. */
	#resultOf(job: Job<W>): Promise<unknown> {
		// If nothing waits, a turn is cheaper than a stored callback. A subscriber may also have ended the job.
		const hasTurn = this.crew.free >= this.#queue.size || job.before === undefined;
		if (hasTurn) return Promise.resolve(new JobResult(job, this.#turn));
		this.schedule();
		return new Promise<Job<W>>((resolve) => job.begin = resolve).then(this.#beginFirst);
	}

	/** Runs in the async context of the job's caller. The job begins at once if it can. */
	readonly #turn = (job: Job<W>): void => {
		if (job.before !== undefined) {
			const worker = this.#queue.first === job && !this.isPaused ? this.crew.take() : undefined;
			if (worker === undefined) this.#prepare(job);
			else this.#assign(worker);
		}
		// Also if the job was canceled meanwhile: jobs behind it have waited for its turn.
		this.#dispatch();
	};

	/** A worker that was created may die before its task has settled. Then the result is not that of the task. */
	readonly #beginFirst = (job: Job<W>): unknown =>
		this.crew.createWorker ? new JobResult(job, this.#begin) : this.#begin(job) ?? new JobResult(job);

	/** Like `inContext`, but without a function per task. Called in the async context of the task's caller. */
	#prepare(job: Job<W>): void {
		new Promise<Job<W>>((resolve) => job.begin = resolve).then(this.#begin);
	}

	#enqueue(job: Job<W>): void {
		this.#queue.add(job, job.details?.priority ?? 0);
		this.onChange();
	}

	#cancel(job: Job<W>, reason: unknown): void {
		if (job.before !== undefined) this.#queue.remove(job);
		else if (!this.#parked.has(job)) return job.abort(reason);
		this.#settle(job, false, reason);
		job.details!.run?.close(reason);
		this.#afterwards();
	}

	/** Ends a job permanently. */
	#settle(job: Job<W>, isSuccess: boolean, outcome: unknown): void {
		const { details } = job;
		this.#parked.delete(job);
		if (details !== undefined) {
			const { name, signal, run, assigned } = details;
			if (name !== undefined) this.named.delete(name);
			unlink(signal, details);
			run?.settings.clock.clear(run);
			// Has no effect if it was assigned, because a promise settles once.
			assigned?.reject(outcome);
		}
		job.settle(isSuccess, outcome);
	}

	readonly #dispatch = (): void => {
		this.#isScheduled = false;
		// Checked each time: a subscriber may cancel the next task or stop the pool.
		while (!this.isPaused && this.#queue.first?.begin !== undefined) {
			const worker = this.crew.take();
			if (worker === undefined) break;
			this.#assign(worker);
		}
		this.crew.grow(this.isPaused ? 0 : this.#queue.size);
	};

	/** Assigns the next task to a worker. The task begins in the async context of its caller. */
	#assign(worker: PoolWorker<W>): void {
		const job = this.#queue.first!;
		this.#queue.remove(job);
		this.running++;
		worker.job = job;
		job.worker = worker;
		job.attempt = job.details?.run?.begin() ?? new PoolAttempt(job);
		this.onChange();
		const { begin = this.#begin } = job;
		job.begin = undefined;
		begin(job);
	}

	readonly #begin = (job: Job<W>): unknown => {
		const { worker, attempt, details } = job;
		// It was canceled, or lost its worker, in the microtask between.
		if (worker === undefined || worker.isGone || attempt === undefined) return;
		if (attempt.interruption !== undefined) return void worker.onFailure(attempt.interruption.reason);
		details?.assigned?.resolve();
		const result = details?.run?.perform(attempt) ?? attempt.perform(job.task as Task<unknown>);
		return result.then(worker.onSuccess, worker.onFailure);
	};

	onSuccess(worker: PoolWorker<W>, value: unknown): unknown {
		const { job } = worker;
		if (job === undefined) return; // the worker has died
		this.#leave(worker, job);
		job.details?.run?.end();
		this.#settle(job, true, value);
		this.#release(worker);
		return value;
	}

	onFailure(worker: PoolWorker<W>, thrown: unknown): unknown {
		const { job } = worker;
		if (job === undefined) return; // the worker has died
		this.#leave(worker, job);
		// Read now, because code that is notified of the failure may change it.
		const isAbandoned = job.details?.run?.isAbandoned;
		if (this.#park(job, thrown)) this.decide(job);
		else this.#fail(job, thrown);
		if (isAbandoned) this.crew.giveUp(worker);
		this.#release(worker);
		return new JobResult(job);
	}

	/** The task of a worker is over. */
	#leave(worker: PoolWorker<W>, job: Job<W>): void {
		this.running--;
		job.worker = worker.job = undefined;
	}

	/** Fails a task without a run of the engine, permanently. */
	#fail(job: Job<W>, thrown: unknown): void {
		const interruption = job.attempt?.interruption;
		this.#settle(job, false, interruption === undefined ? unwrap(thrown) : interruption.reason);
	}

	/**
	 * Parks a failed job until the engine has decided. Returns whether the engine decides; it does unless the job was
	 * canceled.
	 */
	#park(job: Job<W>, thrown: unknown): boolean {
		if (job.details?.run === undefined && steering(thrown).later) this.#equip(job);
		const run = job.details?.run;
		if (run === undefined) return false;
		run.thrown = thrown;
		this.#parked.add(job);
		return true;
	}

	/** Gives a job that is put off a run of the engine, of which this was the first attempt. */
	#equip(job: Job<W>): void {
		const run = new JobRun<W, Job<W>>(job, checkRunnerOptions({ clock: this.#clock }), this);
		run.attempt = 1;
		const none = { name: undefined, priority: 0, signal: undefined, assigned: undefined };
		const abort = (reason: unknown) => this.#cancel(job, reason);
		job.details ??= { ...none, abort, onChange: this.onChange, run, progress: undefined, description: undefined };
		job.details.run = run; // the same object, which its signal knows
	}

	decide(job: Job<W>): void {
		if (!this.#parked.has(job)) return;
		const run = job.details!.run!;
		run.fail(job.attempt!, run.thrown).then(
			({ again, delay, error }) => again && !this.hasStopped ? this.#restart(job, delay) : this.#refuse(job, error),
			(error) => this.#refuse(job, error),
		);
	}

	#refuse(job: Job<W>, error: unknown): void {
		if (!this.#parked.has(job)) return;
		this.#settle(job, false, error);
		this.#afterwards();
	}

	/** Restarts a job after a delay, even if it is 0: a task that always fails must not block timers, aborts and input. */
	#restart(job: Job<W>, delay: number): void {
		if (!this.#parked.has(job)) return;
		const details = job.details!;
		const run = details.run!;
		run.thrown = details.progress = details.description = undefined;
		job.attempt = undefined;
		// A job that has never begun still has its first turn.
		if (job.begin === undefined) this.#prepare(job);
		run.settings.clock.set(run, delay);
		this.onChange();
	}

	onDue(job: Job<W>): void {
		const run = job.details!.run!;
		if (job.before !== undefined) {
			this.#queue.remove(job);
			this.#settle(job, false, run.timeoutError("deadline", run.previousError));
			return this.#afterwards();
		}
		this.#parked.delete(job);
		run.queue();
		this.#enqueue(job);
		this.schedule();
	}

	/** A worker is free. */
	#release(worker: PoolWorker<W>): void {
		if (this.crew.mayGoOn(worker)) {
			// A task that cannot be called yet will have its own turn and find the worker.
			if (this.#queue.first?.begin !== undefined && !this.isPaused) this.#assign(worker);
			else this.crew.giveBack(worker);
		}
		this.#afterwards();
	}

	onReady(): void {
		this.schedule();
	}

	/** Fails the next task, so that tasks do not wait forever. */
	onMakeError(error: unknown): void {
		const job = this.#queue.first;
		if (job === undefined) return report(this.#onError, error);
		this.#queue.remove(job);
		job.attempt = job.details?.run?.begin();
		if (this.#park(job, error)) job.details!.run!.ask();
		else this.#fail(job, error);
		this.#afterwards();
	}

	/** Does not wait for the task of the lost worker: nothing is left that could work on it. */
	onLost(worker: PoolWorker<W>, reason: unknown): void {
		if (worker.job === undefined) return report(this.#onError, reason);
		// A microtask later, because a task that has already returned has succeeded.
		queueMicrotask(() => {
			const { job } = worker;
			if (job === undefined) return;
			const { attempt, details } = job;
			this.#leave(worker, job);
			const isParked = this.#park(job, reason);
			// An abort listener may cancel the task or stop the pool.
			attempt!.abort(unwrap(reason));
			if (isParked) details!.run!.ask();
			else this.#fail(job, reason);
			this.#afterwards();
		});
	}

	onGone(): void {
		if (this.isGone) this.whenGone.release();
	}

	#afterwards(): void {
		this.onChange();
		if (!this.isIdle) return;
		this.whenIdle.release();
		this.onGone();
	}
}

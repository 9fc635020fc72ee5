/**
 * The attempts of a task of a pool: their context, and the engine for tasks with retries or time limits.
 *
 * @module
 */

import type { PoolContext, PoolFunction } from "./options.ts";
import { Attempt } from "../run/attempt.ts";
import { Execution } from "../run/execution.ts";
import type { RunnerSettings } from "../run/options.ts";
import type { Task, TaskContext } from "../run/task.ts";
import { inContextAlways } from "../platform/async-context.ts";

/** The interface of an attempt to its job. */
export interface AttemptedJob<W> {
	readonly task: PoolFunction<unknown, W>;
	readonly worker: { readonly resource: W | undefined } | undefined;
	/** The current attempt. */
	readonly attempt: Attempt | undefined;
	/** Where the progress is stored, if anywhere. */
	readonly details: ReportedProgress | undefined;
}

interface ReportedProgress {
	progress: number | undefined;
	description: string | undefined;
	readonly onChange: () => void;
}

/** The context of one attempt of a job. */
export class PoolAttempt<W> extends Attempt implements PoolContext<W> {
	declare readonly worker: W;
	readonly #job: AttemptedJob<W>;

	/** @param run if absent, there is only one attempt, and only a cancel can interrupt it */
	constructor(job: AttemptedJob<W>, run?: Execution<unknown>) {
		super(run === undefined ? 1 : run.attempt, run?.previousError, run);
		// Without a worker, because none could be created, this is only the context of `shouldRetry`.
		this.worker = job.worker?.resource as W;
		this.#job = job;
	}

	get report(): (progress: number, description?: string) => void {
		return (progress, description) => {
			const { attempt, details } = this.#job;
			// Ignores late reports, which do not belong to the next attempt.
			if (attempt !== this || details === undefined) return;
			details.progress = progress;
			details.description = description;
			details.onChange();
		};
	}
}

/** The interface of a job's run to its pool. */
export interface RunOwner<J> {
	/** The delay or the deadline of a job that does not run has passed. */
	onDue(job: J): void;
	/** Decides what follows a failure. Called in the async context of the job's caller. */
	decide(job: J): void;
}

/**
 * All attempts of one job. The pool begins an attempt when a worker is available. The timer measures the timeout of
 * an attempt, the delay before the next one, and the deadline of a job that waits in the queue again.
 */
export class JobRun<W, J extends AttemptedJob<W>> extends Execution<unknown> {
	/** The error of the last attempt, including hints, until it is decided what follows. */
	thrown: unknown;
	/** Lets the owner decide, after a failure that was detected outside the async context of the job's caller. */
	declare readonly ask: () => void;
	readonly #job: J;
	readonly #owner: RunOwner<J>;
	/** The attempt whose task has not settled. */
	#busy: Attempt | undefined;

	constructor(job: J, settings: RunnerSettings, owner: RunOwner<J>) {
		super((context) => this.#call(job.task as Task<unknown>, context), settings);
		this.#job = job;
		this.#owner = owner;
		this.ask = inContextAlways(() => owner.decide(job));
	}

	/** Whether the task of a failed attempt was abandoned and still runs. */
	get isAbandoned(): boolean {
		return this.#busy !== undefined;
	}

	override makeAttempt(): Attempt {
		this.#busy = undefined;
		// Clears the deadline of the queue. The attempt sets the timer itself.
		if (this.position >= 0) this.settings.clock.clear(this);
		return new PoolAttempt(this.#job, this);
	}

	/** Calls the task. If it may be abandoned, records whether it has settled. */
	#call(task: Task<unknown>, context: TaskContext): unknown {
		if (this.settings.abandonAfter === Infinity) return task(context);
		const attempt = this.#busy = this.#job.attempt;
		// Returns the same promise: a wrapping promise would settle later, and a task that returned in time could be
		// abandoned.
		const result = Promise.resolve(task(context));
		const onSettled = () => {
			if (this.#busy === attempt) this.#busy = undefined;
		};
		result.then(onSettled, onSettled);
		return result;
	}

	/** The job waits for a worker again, at most until its deadline. */
	queue(): void {
		const { clock } = this.settings;
		if (this.deadlineAt! < Infinity) clock.set(this, Math.max(0, this.deadlineAt! - clock.monotonic()));
	}

	/** The job ends before it was decided what follows its last attempt. */
	close(reason: unknown): void {
		this.abort(reason);
		this.end();
	}

	override fire(): void {
		if (this.#job.attempt === undefined) this.#owner.onDue(this.#job);
		else super.fire();
	}
}

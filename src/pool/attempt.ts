/**
 * The attempts of a task of a pool: what it is told, and the engine of those that may have several, or a limited time.
 *
 * @module
 */

import type { PoolContext, PoolFunction } from "./options.ts";
import { Attempt } from "../run/attempt.ts";
import { Execution } from "../run/execution.ts";
import type { RunnerSettings } from "../run/options.ts";
import type { Task } from "../run/task.ts";
import { inContextAlways } from "../platform/async-context.ts";

/** What an attempt needs of its job. */
export interface AttemptedJob<W> {
	readonly task: PoolFunction<unknown, W>;
	readonly worker: { readonly resource: W | undefined } | undefined;
	/** The one that is not over. */
	readonly attempt: Attempt | undefined;
	/** Where its progress shows, if anywhere. */
	readonly details: { progress: number | undefined; description: string | undefined } | undefined;
}

/** The context of one attempt of a job. */
export class PoolAttempt<W> extends Attempt implements PoolContext<W> {
	readonly worker: W;
	readonly #job: AttemptedJob<W>;
	readonly #onReport: () => void;

	/** @param run absent, it is the only one, and nothing but a cancel interrupts it */
	constructor(job: AttemptedJob<W>, onReport: () => void, run?: Execution<unknown>, endsAt: number = Infinity) {
		super(run, run === undefined ? 1 : run.attempt, run?.previousError, endsAt);
		// There is none if none could be made: then this is the context of `shouldRetry` only.
		this.worker = job.worker?.resource as W;
		this.#job = job;
		this.#onReport = onReport;
	}

	get report(): (progress: number, description?: string) => void {
		return (progress, description) => {
			const { attempt, details } = this.#job;
			// A report that comes when this attempt is over says nothing about the next one.
			if (attempt !== this || details === undefined) return;
			details.progress = progress;
			details.description = description;
			this.#onReport();
		};
	}
}

/** What the run of a job needs of its pool. */
export interface RunOwner<J> {
	/** Something that shows has changed. */
	onChange(): void;
	/** The time of a job has come that does not run. */
	onDue(job: J): void;
	/** What follows a failure is to be decided, in the async context of the job's caller. */
	decide(job: J): void;
}

/**
 * All attempts of one job, begun by its pool whenever there is a worker. As a timer it is the timeout of the attempt, the
 * delay before the next one, and the deadline of a job that waits in the queue again.
 */
export class JobRun<W, J extends AttemptedJob<W>> extends Execution<unknown> {
	/** What the last attempt failed with, hints included, until it is decided what follows. */
	thrown: unknown;
	/** Has the owner decide, after a failure that is not found out in the async context of the job's caller. */
	readonly ask: () => void;
	readonly #job: J;
	readonly #owner: RunOwner<J>;
	/** The attempt whose task is noted as not settled. */
	#busy: Attempt | undefined;

	constructor(job: J, settings: RunnerSettings, owner: RunOwner<J>) {
		super(job.task as Task<unknown>, settings);
		this.#job = job;
		this.#owner = owner;
		this.ask = inContextAlways(() => owner.decide(job));
	}

	/** Whether the task of an attempt that has failed goes on: it was given up. */
	get isAbandoned(): boolean {
		return this.#busy !== undefined;
	}

	override makeAttempt(endsAt: number): Attempt {
		this.#busy = undefined;
		// The deadline of the queue; the attempt has a timer when it needs one.
		if (this.position >= 0) this.settings.clock.clear(this);
		return new PoolAttempt(this.#job, this.#owner.onChange, this, endsAt);
	}

	/** Calls the task. */
	perform(attempt: Attempt): Promise<unknown> {
		const task = this.#job.task as Task<unknown>;
		if (this.settings.abandonAfter === Infinity) return attempt.perform(task);
		return attempt.perform((context) => {
			// The same promise is returned: one around it would settle later, and what has returned in time be given up.
			const result = Promise.resolve(task(context));
			const onSettled = () => {
				if (this.#busy === attempt) this.#busy = undefined;
			};
			this.#busy = attempt;
			result.then(onSettled, onSettled);
			return result;
		});
	}

	/** The job waits for a worker again; not longer than until its deadline. */
	queue(): void {
		const { clock } = this.settings;
		if (this.deadlineAt! < Infinity) clock.set(this, Math.max(0, this.deadlineAt! - clock.monotonic()));
	}

	/** The job is over before it was decided what follows its last attempt. */
	close(reason: unknown): void {
		this.abort(reason);
		this.end();
	}

	override fire(): void {
		if (this.#job.attempt === undefined) this.#owner.onDue(this.#job);
		else super.fire();
	}
}

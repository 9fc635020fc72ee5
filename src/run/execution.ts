/**
 * All attempts of one task: counting, time limits, the decision after a failure, the delay, the abort. `run` and `Runner`
 * are its public forms. Group and everything else that retries tasks uses it too: as a loop, step by step, or, if a task
 * needs more than a call (a worker of a pool), with {@link Execution.begin}, {@link Execution.fail} and
 * {@link Execution.end}.
 *
 * States: idle → attempting → (deciding →) decided → idle, and so on. In a loop, idle is the delay between two
 * attempts. The state is `finished` after a success, a final failure or an abort. Decided lasts some microtasks; an
 * abort in that time ends the run only if the decision was to make another attempt.
 *
 * @module
 */

import type { RunnerSettings } from "./options.ts";
import { type Steering, steering, type Task, unwrap } from "./task.ts";
import { Attempt, type AttemptOwner, timeoutError } from "./attempt.ts";
import { type Delayed, nextDelay } from "./backoff.ts";
import { inContext } from "../platform/async-context.ts";
import { observe } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { Timer } from "../platform/timer-queue.ts";

/** The outcome of an attempt that failed. */
interface FailedStep {
	readonly error: unknown;
	readonly again: boolean;
	readonly delay: number;
	/** Whether the attempt does not count. */
	readonly later?: boolean | undefined;
}

/** The outcome of one attempt. */
export type RunStep<T> =
	| { readonly ok: true; readonly value: T; readonly again: false; readonly delay: 0 }
	| {
		readonly ok: false;
		readonly error: unknown;
		readonly again: boolean;
		readonly delay: number;
		/** Whether {@link later} has put the task off: then the attempt does not count. */
		readonly later?: boolean | undefined;
	};

/** The owner of a loop of attempts. Its methods must not throw. */
export interface LoopOwner<T> {
	/** An attempt begins. If this method aborts the run, the task is not called. */
	onAttempt?(): void;
	/** An attempt has failed; the next one follows after the delay. */
	onDelay?(error: unknown, delay: number): void;
	/** It is over. */
	onSuccess(value: T): void;
	/** It is over. */
	onFailure(error: unknown): void;
}

/** One run of a task. Its timer measures the delay between attempts and the time limits of an attempt. */
export class Execution<T> extends Timer implements AttemptOwner, Abortable, Delayed {
	declare readonly settings: RunnerSettings;
	/** The number of the last attempt that was begun. */
	attempt: number = 0;
	#task: Task<T> | undefined;
	#signal: AbortSignal | undefined;
	/** The set of all work on the signal, while this run is a member. */
	#work: Set<Abortable> | undefined;
	#cancelled: { readonly reason: unknown } | undefined;
	/** Initially `undefined`, which means never: a numeric field would make every object larger. */
	deadlineAt: number | undefined;
	/** The end of the attempt, on the monotonic clock, if its time is limited. */
	#endsAt: number | undefined;
	/** The beginning of such an attempt, until the task has been called: meanwhile the clock is not read again. */
	#beganAt: number | undefined;
	#current: Attempt | undefined;
	/** Fails an attempt whose task has not settled, if such tasks are abandoned. */
	#giveUp: ((reason: unknown) => void) | undefined;
	/** The error of the last attempt. */
	previousError: unknown;
	/** The last delay of the backoff, before its jitter. */
	lastDelay: number | undefined;
	/** What the task has requested for the step after the last attempt. */
	hint: Steering | undefined;
	/** Set during a loop only. */
	#owner: LoopOwner<T> | undefined;
	/** Called when the timer fires. Continues in the async context in which the timer was set. */
	#proceed: ((run: { again(): void }) => void) | undefined;

	constructor(task: Task<T>, settings: RunnerSettings, signal?: AbortSignal) {
		super(settings.unref);
		this.settings = settings;
		this.#task = task;
		this.#signal = signal;
	}

	/** Whether the signal has aborted or {@link abort} was called. */
	get isAborted(): boolean {
		return !!(this.#cancelled ?? this.#signal?.aborted);
	}

	get reason(): unknown {
		return (this.#cancelled ?? this.#signal)?.reason;
	}

	/** Makes all attempts and resolves with the value. Most runs succeed at once and need no loop. */
	run(): Promise<T> {
		if (this.isAborted) return Promise.reject(this.reason);
		const attempt = this.begin();
		return this.perform(attempt).then(
			(value) => {
				this.#finish();
				return value;
			},
			(thrown) => this.follow(attempt, thrown),
		);
	}

	/** Makes the attempts after one that has failed. */
	follow(attempt: Attempt, thrown: unknown): Promise<T> {
		return new Promise((onSuccess, onFailure) => {
			this.#owner = { onSuccess, onFailure };
			this.#follow(attempt, thrown);
		});
	}

	/** Makes all attempts and reports each of them to the owner. */
	loop(owner: LoopOwner<T>): void {
		this.#owner = owner;
		this.again();
	}

	/** Makes the next attempt of a loop, in the async context of the caller. */
	again(): void {
		this.#proceed = undefined;
		const refusal = this.refusal();
		if (refusal) return this.#finish()?.onFailure(refusal.error);
		const attempt = this.begin();
		this.perform(attempt).then(
			(value) => this.#finish()?.onSuccess(value),
			(thrown) => this.#follow(attempt, thrown),
		);
	}

	/** The outcome without a further attempt, if none may begin. */
	refusal(): FailedStep | undefined {
		if (this.isAborted) return failure(this.reason);
		if (this.deadlineAt! <= this.settings.clock.monotonic()) {
			return failure(this.timeoutError("deadline", this.previousError));
		}
		return undefined;
	}

	/** Ends the run. Called by its signal, or by an owner without a signal. */
	abort(reason: unknown): void {
		if (this.#cancelled !== undefined) return;
		this.#cancelled = { reason };
		if (this.#current !== undefined) this.#interrupt(this.#current, reason);
		else if (this.#proceed !== undefined) this.#finish()?.onFailure(reason);
	}

	/** The delay or the time limit of an attempt has passed. */
	fire(): void {
		this.#proceed?.(this);
	}

	/** Begins an attempt. The caller passes it to {@link perform}, and then calls {@link end} or {@link fail}. */
	begin(): Attempt {
		const { clock, timeout, deadline } = this.settings;
		if (Math.min(timeout, deadline) < Infinity) {
			const now = this.#beganAt = clock.monotonic();
			this.#endsAt = Math.min(now + timeout, this.deadlineAt ??= now + deadline);
		}
		this.attempt++;
		this.#current = this.makeAttempt();
		this.#owner?.onAttempt?.();
		return this.#current;
	}

	/** Overridden by subclasses whose tasks get a larger context. */
	makeAttempt(): Attempt {
		return new Attempt(this.attempt, this.previousError, this);
	}

	/** Calls the task, unless `onAttempt` has aborted. */
	perform(attempt: Attempt): Promise<T> {
		if (this.isAborted) return Promise.reject(this.reason);
		const result = attempt.perform(this.#task!);
		this.#beganAt = undefined;
		if (this.settings.abandonAfter === Infinity) return result;
		return new Promise((resolve, reject) => {
			result.then(resolve, reject);
			this.#giveUp = reject;
			// The task itself may have aborted before it returned this promise.
			if (attempt.interruption === undefined) this.watch(attempt);
			else this.#abandon(attempt.interruption.reason);
		});
	}

	watch(attempt: Attempt): void {
		const remaining = this.#remaining(attempt);
		if (remaining <= 0) return;
		this.#work ??= link(this.#signal, this);
		if (remaining < Infinity && this.position < 0) {
			this.#wait(remaining, () => this.#current === attempt && this.#expire(attempt));
		}
	}

	/** The remaining time of the attempt. Interrupts the attempt if no time is left. */
	#remaining(attempt: Attempt): number {
		if (this.isAborted) this.#interrupt(attempt, this.reason);
		if (attempt.interruption !== undefined) return 0;
		if (this.#endsAt === undefined) return Infinity;
		const remaining = this.#endsAt - (this.#beganAt ?? this.settings.clock.monotonic());
		if (remaining <= 0) this.#expire(attempt);
		return remaining;
	}

	#expire(attempt: Attempt): void {
		this.#interrupt(attempt, this.#lateError(attempt.previousError));
	}

	/** The error of the time limit that ends the attempt first. */
	#lateError(cause: unknown): DOMException {
		return this.timeoutError(this.#endsAt === this.deadlineAt ? "deadline" : "timeout", cause);
	}

	#interrupt(attempt: Attempt, reason: unknown): void {
		if (attempt.interruption !== undefined) return;
		attempt.abort(reason);
		if (this.#giveUp === undefined) this.settings.clock.clear(this);
		else this.#abandon(reason);
	}

	/** After an interruption: waits for the task for at most `abandonAfter`. */
	#abandon(reason: unknown): void {
		const { abandonAfter } = this.settings;
		this.#wait(abandonAfter, () => this.#giveUp?.(reason));
		if (abandonAfter === 0) this.fire();
	}

	#wait(delay: number, callback: (run: { again(): void }) => void): void {
		this.#proceed = inContext(callback);
		this.settings.clock.set(this, delay, this.#beganAt);
	}

	/** Decides what follows a failed attempt. Rejects only if `shouldRetry` does. */
	async fail(attempt: Attempt, thrown: unknown): Promise<FailedStep> {
		const { attempts, backoff, clock, shouldRetry, onAttemptFailed } = this.settings;
		const error = this.#errorOf(attempt, unwrap(thrown));
		const hint = steering(thrown);
		const later = attempt.interruption === undefined && hint.later;
		if (!later) this.previousError = error;
		let step: FailedStep = failure(error);
		try {
			const mayRetry = !this.isAborted && !hint.stop && (later || this.attempt < attempts) &&
				!(clock.monotonic() >= this.deadlineAt!);
			if (mayRetry && (later || shouldRetry === undefined || await shouldRetry(error, attempt))) {
				this.hint = hint;
				const delay = nextDelay(backoff, this, hint);
				step = clock.monotonic() + delay >= this.deadlineAt!
					? failure(this.timeoutError("deadline", error))
					: { error, again: true, delay, later };
			}
		} catch (refusal) {
			if (!this.isAborted) throw refusal;
		} finally {
			if (this.isAborted) step = failure(this.reason);
			this.end();
			if (step.later) this.attempt--;
			else observe(undefined, onAttemptFailed, { error, attempt: this.attempt, again: step.again, delay: step.delay });
		}
		return step;
	}

	/** An interruption takes precedence over the error that the task threw because of it. */
	#errorOf(attempt: Attempt, thrown: unknown): unknown {
		this.#remaining(attempt);
		if (this.isAborted) return this.reason;
		if (attempt.interruption === undefined || Object.is(attempt.interruption.reason, thrown)) return thrown;
		// A new error, because the thrown error may have the signal's reason as its cause, and causes must not be
		// circular.
		return this.#lateError(thrown);
	}

	/** The error of a time limit that has passed. */
	timeoutError(limit: "timeout" | "deadline", cause: unknown): DOMException {
		return timeoutError(`The ${limit} of ${this.settings[limit]} ms has passed`, cause);
	}

	#follow(attempt: Attempt, thrown: unknown): void {
		this.fail(attempt, thrown).then(({ error, again, delay }) => {
			if (!again || this.isAborted) return this.#finish()?.onFailure(again ? this.reason : error);
			this.#work ??= link(this.#signal, this);
			this.#wait(delay, goOn);
			this.#owner?.onDelay?.(error, delay);
		}, (error) => this.#finish()?.onFailure(error));
	}

	/** Ends the attempt. */
	end(): void {
		if (this.position >= 0) this.settings.clock.clear(this);
		this.#current?.end();
		this.#current =
			this.#beganAt =
			this.#giveUp =
			this.#proceed =
				undefined;
	}

	/** Ends the run and releases everything. */
	#finish(): LoopOwner<T> | undefined {
		const owner = this.#owner;
		this.end();
		if (this.#work !== undefined) unlink(this.#signal!, this, this.#work);
		this.#task =
			this.#owner =
			this.#work =
			this.previousError =
				undefined;
		return owner;
	}
}

/**
 * Makes one attempt and decides what follows. Rejects only if `shouldRetry` does.
 *
 * @param signal ends the run
 * @param onAttempt called when the attempt begins; if it aborts the run, the task is not called
 */
export async function step<T>(
	execution: Execution<T>,
	signal?: AbortSignal,
	onAttempt?: () => void,
): Promise<RunStep<T>> {
	if (signal?.aborted) execution.abort(signal.reason);
	else link(signal, execution);
	try {
		const refusal = execution.refusal();
		if (refusal !== undefined) return { ok: false, ...refusal };
		const attempt = execution.begin();
		onAttempt?.();
		return await execution.perform(attempt).then((value) => {
			execution.end();
			return { ok: true, value, again: false, delay: 0 };
		}, (thrown) => execution.fail(attempt, thrown).then((failed) => ({ ok: false, ...failed })));
	} finally {
		unlink(signal, execution);
	}
}

/** Lets a new execution continue where another one stopped, perhaps in another process and some time ago. */
export function resume(
	execution: Execution<unknown>,
	attempts: number,
	previousError: unknown,
	lastDelay: number | undefined,
	age: number,
): void {
	const { clock, deadline } = execution.settings;
	execution.attempt = attempts;
	execution.previousError = previousError;
	execution.lastDelay = lastDelay;
	if (deadline < Infinity) execution.deadlineAt = clock.monotonic() + deadline - age;
}

/** One function for all delays instead of a closure for each: 100,000 may wait. */
function goOn(run: { again(): void }): void {
	run.again();
}

function failure(error: unknown): FailedStep {
	return { error, again: false, delay: 0 };
}

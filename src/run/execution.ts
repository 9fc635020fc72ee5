/**
 * All attempts of one task: counting, the decision after a failure, the delay, the abort. `run` and `Runner` are its
 * public forms. Group and everything else that retries tasks uses it too: as a loop, step by step, or, if a task
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
import { steering, type Task, unwrap } from "./task.ts";
import { Attempt, type AttemptOwner, deadlineText, timeoutError } from "./attempt.ts";
import { type Delayed, nextDelay } from "./backoff.ts";
import { inContext } from "../platform/async-context.ts";
import { observe } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { Timer } from "../platform/timer-queue.ts";

/** The outcome of one attempt. */
export type RunStep<T> =
	| { readonly ok: true; readonly value: T; readonly again: false; readonly delay: 0 }
	| { readonly ok: false; readonly error: unknown; readonly again: boolean; readonly delay: number };

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

/** One run of a task. Its timer measures the delay between attempts and the timeout of an attempt. */
export class Execution<T> extends Timer implements AttemptOwner, Abortable, Delayed {
	readonly settings: RunnerSettings;
	/** The number of the last attempt that was begun. */
	attempt: number = 0;
	#task: Task<T> | undefined;
	#signal: AbortSignal | undefined;
	/** The set of all work on the signal, while this run is a member. */
	#work: Set<Abortable> | undefined;
	#cancelled: { readonly reason: unknown } | undefined;
	/** Initially `undefined`, which means never: a numeric field would make every object larger. */
	deadlineAt: number | undefined;
	#current: Attempt | undefined;
	/** The error of the last attempt. */
	previousError: unknown;
	/** The last delay of the backoff, before its jitter. */
	lastDelay: number | undefined;
	/** Whether the task itself requested the delay of the last step. */
	isFirm = false;
	/** Set during a loop only. */
	#owner: LoopOwner<T> | undefined;
	/** Set during a delay only: ends the delay in the async context of the caller. */
	#resume: ((loop: { again(): void }) => void) | undefined;

	constructor(task: Task<T>, settings: RunnerSettings, signal?: AbortSignal) {
		super(settings.unref);
		this.settings = settings;
		this.#task = task;
		this.#signal = signal;
	}

	/** Whether the signal has aborted or {@link abort} was called. */
	get isAborted(): boolean {
		return this.#cancelled !== undefined || (this.#signal !== undefined && this.#signal.aborted);
	}

	get reason(): unknown {
		return (this.#cancelled ?? this.#signal)?.reason;
	}

	/**
	 * Makes all attempts and resolves with the value. The first attempt is made here and not in the loop, because most
	 * runs succeed at once and need no loop.
	 */
	run(): Promise<T> {
		if (this.isAborted) return Promise.reject(this.reason);
		const attempt = this.begin();
		return attempt.perform(this.#task!).then(
			(value) => {
				this.end();
				this.#finish();
				return value;
			},
			(thrown) =>
				new Promise((onSuccess, onFailure) => {
					this.#owner = { onSuccess, onFailure };
					this.#follow(this.fail(attempt, thrown));
				}),
		);
	}

	/** Makes all attempts and reports each of them to the owner. */
	loop(owner: LoopOwner<T>): void {
		this.#owner = owner;
		this.again();
	}

	/** Makes the next attempt of a loop, in the async context of the caller. */
	again(): void {
		this.#resume = undefined;
		this.#follow(this.step());
	}

	/** Makes one attempt and decides what follows. Rejects only if `shouldRetry` does. */
	step(): Promise<RunStep<T>> {
		if (this.isAborted) return Promise.resolve(failure(this.reason));
		if (this.deadlineAt! <= this.settings.clock.monotonic()) {
			return Promise.resolve(failure(this.deadlineError(this.previousError)));
		}
		const attempt = this.begin();
		// `onAttempt` may have aborted: then the attempt fails without a call of the task.
		const result: Promise<T> = this.isAborted ? Promise.reject(this.reason) : attempt.perform(this.#task!);
		return result.then(
			(value) => {
				this.end();
				return { ok: true, value, again: false, delay: 0 };
			},
			(thrown) => this.fail(attempt, thrown),
		);
	}

	/** Ends the run. Called by its signal, or by an owner without a signal. */
	abort(reason: unknown): void {
		if (this.#cancelled !== undefined) return;
		this.#cancelled = { reason };
		this.#current?.abort(reason);
		if (this.#resume !== undefined) this.#finish()?.onFailure(reason);
	}

	/** The delay or the time limit of an attempt has passed. */
	fire(): void {
		if (this.#current !== undefined) this.#current.wake();
		else this.#resume?.(this);
	}

	watch(): void {
		if (this.#signal !== undefined) this.#work ??= link(this.#signal, this);
	}

	#unwatch(): void {
		if (this.#work !== undefined) unlink(this.#signal!, this, this.#work);
		this.#work = undefined;
	}

	/** Begins an attempt. The caller lets it perform the task, and then calls {@link end} or {@link fail}. */
	begin(): Attempt {
		const { isTimed, clock, timeout, deadline } = this.settings;
		let endsAt = Infinity;
		if (isTimed) {
			const now = clock.monotonic();
			endsAt = Math.min(now + timeout, this.deadlineAt ??= now + deadline);
		}
		this.attempt++;
		this.#current = this.makeAttempt(endsAt);
		this.#owner?.onAttempt?.();
		return this.#current;
	}

	/** Overridden by subclasses whose tasks get a larger context. */
	makeAttempt(endsAt: number): Attempt {
		return new Attempt(this, this.attempt, this.previousError, endsAt);
	}

	/** Decides what follows a failed attempt. Rejects only if `shouldRetry` does. */
	async fail(attempt: Attempt, thrown: unknown): Promise<RunStep<T>> {
		const { shouldRetry, onAttemptFailed } = this.settings;
		const error = this.previousError = this.#errorOf(attempt, unwrap(thrown));
		let step: RunStep<T> = failure(error);
		try {
			if (this.#mayRetry(thrown) && (shouldRetry === undefined || await shouldRetry(error, attempt))) {
				step = this.#plan(thrown, error);
			}
		} catch (refusal) {
			if (!this.isAborted) throw refusal;
		} finally {
			if (this.isAborted) step = failure(this.reason);
			this.end();
			observe(undefined, onAttemptFailed, { error, attempt: this.attempt, again: step.again, delay: step.delay });
		}
		return step;
	}

	/** An interruption takes precedence over the error that the task threw because of it. */
	#errorOf({ interruption }: Attempt, thrown: unknown): unknown {
		if (this.isAborted) return this.reason;
		if (interruption === undefined || Object.is(interruption.reason, thrown)) return thrown;
		// A new error, because the thrown error may have the signal's reason as its cause, and causes must not be
		// circular.
		return timeoutError((interruption.reason as Error).message, thrown);
	}

	#mayRetry(thrown: unknown): boolean {
		const { attempts, clock } = this.settings;
		return !this.isAborted && !steering(thrown).stop && this.attempt < attempts &&
			!(clock.monotonic() >= this.deadlineAt!);
	}

	#plan(thrown: unknown, error: unknown): RunStep<T> {
		const { backoff, clock } = this.settings;
		const hint = steering(thrown);
		this.isFirm = hint.delay !== undefined;
		const delay = nextDelay(backoff, this, hint);
		if (clock.monotonic() + delay >= this.deadlineAt!) return failure(this.deadlineError(error));
		return { ok: false, error, again: true, delay };
	}

	/** The error of a run that ends because of its deadline. */
	deadlineError(cause: unknown): DOMException {
		return timeoutError(deadlineText(this.settings), cause);
	}

	#follow(step: Promise<RunStep<T>>): void {
		step.then((step) => this.#next(step), (error) => this.#finish()?.onFailure(error));
	}

	#next(step: RunStep<T>): void {
		if (step.ok) this.#finish()?.onSuccess(step.value);
		else if (step.again && !this.isAborted) this.#wait(step.error, step.delay);
		else this.#finish()?.onFailure(step.again ? this.reason : step.error);
	}

	#wait(error: unknown, delay: number): void {
		this.watch();
		this.#resume = inContext(again);
		this.settings.clock.set(this, delay);
		this.#owner?.onDelay?.(error, delay);
	}

	/** Ends the attempt. */
	end(): void {
		this.#current?.end();
		this.#current = undefined;
	}

	/** Ends the run and releases everything. */
	#finish(): LoopOwner<T> | undefined {
		const owner = this.#owner;
		if (owner !== undefined) this.settings.clock.clear(this);
		this.#unwatch();
		this.#task =
			this.#owner =
			this.#resume =
			this.previousError =
				undefined;
		return owner;
	}
}

/** Makes one attempt with a signal of its own, and decides what follows. */
export async function stepWith<T>(execution: Execution<T>, signal: AbortSignal | undefined): Promise<RunStep<T>> {
	if (signal === undefined) return await execution.step();
	if (signal.aborted) execution.abort(signal.reason);
	else link(signal, execution);
	return await execution.step().finally(() => unlink(signal, execution));
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
function again(loop: { again(): void }): void {
	loop.again();
}

function failure<T>(error: unknown): RunStep<T> {
	return { ok: false, error, again: false, delay: 0 };
}

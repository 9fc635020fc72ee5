/**
 * One task and its attempts: {@link run} for somebody who wants the value, {@link Runner} for somebody who wants to
 * make each attempt, and wait between them, in a way of their own. Use a `Group` for many tasks in the background that
 * have names and states, and `poll` for one that goes on after it succeeded.
 *
 * @module
 */

import type { RunStep } from "./execution.ts";
import { Attempt } from "./attempt.ts";
import { Execution, stepWith } from "./execution.ts";
import { checkRunnerOptions, type RunnerOptions, type RunnerSettings } from "./options.ts";
import { type Task, unwrap } from "./task.ts";
import { check, checkedSignal } from "../platform/check.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";

export type { RunStep } from "./execution.ts";

/** What {@link run} can be told. */
export interface RunOptions extends RunnerOptions {
	/** Ends the run: at once during a delay, and when the task has settled during an attempt. */
	signal?: AbortSignal | undefined;
}

/** What {@link Runner.step} can be told. */
export interface RunStepOptions {
	/** Ends this attempt, and with it the run. */
	signal?: AbortSignal | undefined;
}

/** What a {@link Runner} shows of itself. */
export interface RunnerSnapshot {
	/** `finished` after a success, after a failure that is not tried again, and after an abort. */
	readonly state: "idle" | "running" | "finished";
	/** The number of the attempt that runs, or ran last; 0 before the first. */
	readonly attempt: number;
	/** What the last attempt failed with, if it did. */
	readonly error: unknown;
}

/**
 * Calls a task until it succeeds or may not be tried again.
 *
 * It settles only when the task has settled: two attempts never run at the same time, and nothing goes on afterwards
 * that was begun here; `abandonAfter` gives up on a task that ignores its signal. An attempt that returns has succeeded,
 * even if it was aborted or timed out meanwhile: to repeat what was done could do it twice.
 *
 * Every attempt and every hook is called in the async context (`AsyncLocalStorage`) of the call of `run`.
 *
 * @param task what to do; it gets a {@link TaskContext}
 * @param options how often, when, and how long
 * @returns the value of the task
 * @throws {unknown} what the last attempt failed with, without its hint
 * @throws {unknown} the reason of `signal`, itself, if that aborted
 * @throws {DOMException} named `TimeoutError` if the last attempt took longer than `timeout` or the run longer than
 * `deadline`; its `cause` is the error before it
 * @throws {TypeError | RangeError} for options of the wrong type or out of range; all of these are rejections
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { run } from "upkeep";
 *
 * const value = await run(
 * 	async ({ attempt, signal }) => {
 * 		signal.throwIfAborted();
 * 		if (attempt < 3) throw new Error("not yet");
 * 		return `done in attempt ${attempt}`;
 * 	},
 * 	{ attempts: 5, backoff: { start: 10, max: 30_000, jitter: "full" }, timeout: 5_000 },
 * );
 * assert.equal(value, "done in attempt 3");
 * ```
 */
export function run<T>(task: Task<T>, options?: RunOptions): Promise<T> {
	try {
		check("task", task, "function");
		// One attempt that nothing can interrupt: an Execution would only make it slower.
		if (options === undefined) {
			return new Attempt(undefined, 1, undefined, Infinity).perform(task).then(undefined, rethrow);
		}
		const signal = checkedSignal(options);
		return new Execution(task, checkRunnerOptions(options), signal).run();
	} catch (error) {
		return Promise.reject(error);
	}
}

function rethrow(thrown: unknown): never {
	throw unwrap(thrown);
}

/**
 * A task whose attempts are made one at a time by the caller, who also does the waiting.
 *
 * State: `idle` → (step) → `running` → `idle`, or `finished` where `again` is false.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Runner, sleep } from "upkeep";
 *
 * const task = ({ attempt }: { attempt: number }) => {
 * 	if (attempt < 3) throw new Error("not yet");
 * 	return "done";
 * };
 * const runner = new Runner(task, { attempts: 5, backoff: 10 });
 * for (;;) {
 * 	const step = await runner.step();
 * 	if (step.ok) assert.equal(step.value, "done");
 * 	if (!step.again) break;
 * 	await sleep(step.delay);
 * }
 * ```
 */
export class Runner<T = void> implements Subscribable<RunnerSnapshot> {
	readonly #execution: Steps<T>;
	#state: RunnerSnapshot["state"] = "idle";
	#error: unknown;
	readonly #snapshot = new Snapshot<RunnerSnapshot>(() => ({
		state: this.#state,
		attempt: this.#execution.attempt,
		error: this.#error,
	}));

	/** See {@link Subscribable.subscribe}. */
	readonly subscribe: (listener: () => void) => () => void = this.#snapshot.subscribe;
	/** See {@link Subscribable.getSnapshot}. */
	readonly getSnapshot: () => RunnerSnapshot = this.#snapshot.getSnapshot;

	/**
	 * Makes a runner that has not begun.
	 *
	 * @param task what to do
	 * @param options how often and how long; the delays are told by {@link step}, not waited for
	 * @throws {TypeError | RangeError} for options of the wrong type or out of range
	 */
	constructor(task: Task<T>, options: RunnerOptions = {}) {
		check("task", task, "function");
		const settings = checkRunnerOptions(check("options", options, "object"));
		this.#execution = new Steps(task, settings, () => this.#change("running", undefined));
	}

	/**
	 * Makes one attempt.
	 *
	 * @returns what it came to; a failure of the task is no rejection. With `again`, the next step is due after `delay`
	 * milliseconds. A signal that has aborted makes it `{ ok: false, error: signal.reason, again: false, delay: 0 }`.
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` while a step is under way and after `again` was
	 * false
	 * @throws {unknown} (as a rejection) what `shouldRetry` threw
	 */
	async step(options: RunStepOptions = {}): Promise<RunStep<T>> {
		const signal = checkedSignal(options);
		if (this.#state !== "idle") throw new DOMException(`This runner is ${this.#state}`, "InvalidStateError");
		this.#state = "running";
		let step: RunStep<T> | undefined;
		try {
			return step = await stepWith(this.#execution, signal);
		} finally {
			this.#change(step?.again ? "idle" : "finished", step === undefined || step.ok ? undefined : step.error);
		}
	}

	#change(state: RunnerSnapshot["state"], error: unknown): void {
		this.#state = state;
		this.#error = error;
		this.#snapshot.changed();
	}
}

/** Attempts of which each is told of when it begins. */
class Steps<T> extends Execution<T> {
	readonly #onAttempt: () => void;

	constructor(task: Task<T>, settings: RunnerSettings, onAttempt: () => void) {
		super(task, settings);
		this.#onAttempt = onAttempt;
	}

	override makeAttempt(endsAt: number): Attempt {
		const attempt = super.makeAttempt(endsAt);
		this.#onAttempt();
		return attempt;
	}
}

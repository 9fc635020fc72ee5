/**
 * One task and its attempts. Use {@link run} to get the value, or {@link Runner} to start each attempt and wait
 * between attempts yourself. Use a `Group` for many background tasks with names and states, and `poll` for a task
 * that is repeated after it succeeds.
 *
 * @module
 */

import type { RunStep } from "./execution.ts";
import { Attempt } from "./attempt.ts";
import { Execution, step } from "./execution.ts";
import { checkRunnerOptions, defaultSettings, type RunnerOptions, watched } from "./options.ts";
import { steering, type Task, unwrap } from "./task.ts";
import { check, checkedSignal } from "../platform/check.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";

export type { RunStep } from "./execution.ts";

/** Options for {@link run}. */
export interface RunOptions extends RunnerOptions {
	/** Ends the run: at once during a delay; during an attempt, when the task has settled. */
	signal?: AbortSignal | undefined;
}

/** Options for {@link Runner.step}. */
export interface RunStepOptions {
	/** Ends this attempt and the run. */
	signal?: AbortSignal | undefined;
}

/** The state of a {@link Runner} at one moment. */
export interface RunnerSnapshot {
	/** `finished` after a success, after a failure that is not retried, and after an abort. */
	readonly state: "idle" | "running" | "finished";
	/** The number of the current or last attempt; 0 before the first. */
	readonly attempt: number;
	/** The error of the last attempt, if it failed. */
	readonly error: unknown;
}

/**
 * Calls a task until it succeeds or must not be retried.
 *
 * The returned promise settles only when the task has settled. So two attempts never overlap, and no work continues
 * afterwards. `abandonAfter` gives up on a task that ignores its signal. An attempt that returns has succeeded, even
 * if it was aborted or timed out meanwhile, because a retry could repeat its effects.
 *
 * Every attempt and every hook runs in the async context (`AsyncLocalStorage`) of the call of `run`.
 *
 * @param task the function to call, with a {@link TaskContext}
 * @param options the number of attempts, delays and time limits
 * @returns the value of the task
 * @throws {unknown} the error of the last attempt, without its hint
 * @throws {unknown} the reason of `signal` itself, if it aborted
 * @throws {DOMException} named `TimeoutError` if the last attempt took longer than `timeout` or the run longer than
 * `deadline`; its `cause` is the previous error
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
		// Nothing can interrupt this single attempt: an Execution would only make it slower.
		if (options === undefined) {
			const attempt = new Attempt(1);
			return attempt.perform(task).then(undefined, (thrown) => {
				if (!steering(thrown).later) throw unwrap(thrown);
				const execution = new Execution(task, defaultSettings);
				execution.attempt = 1;
				return execution.follow(attempt, thrown);
			});
		}
		const signal = checkedSignal(options);
		const settings = checkRunnerOptions(options);
		return new Execution(watched(task, settings, { by: "run" }), settings, signal).run();
	} catch (error) {
		return Promise.reject(error);
	}
}

/**
 * A task whose caller starts each attempt and waits between attempts.
 *
 * State: `idle` → (step) → `running` → `idle`, or `finished` if `again` is false.
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
	readonly #execution: Execution<T>;
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
	 * Creates a runner. It starts no attempt.
	 *
	 * @param task the function to call
	 * @param options the number of attempts, delays and time limits; {@link step} returns the delays and does not wait
	 * for them
	 * @throws {TypeError | RangeError} for options of the wrong type or out of range
	 */
	constructor(task: Task<T>, options: RunnerOptions = {}) {
		check("task", task, "function");
		const settings = checkRunnerOptions(check("options", options, "object"));
		this.#execution = new Execution(watched(task, settings, { by: "run" }), settings);
	}

	/**
	 * Makes one attempt.
	 *
	 * @returns the outcome; a failure of the task is not a rejection. If `again` is true, the next step is due after
	 * `delay` milliseconds. If the signal has aborted, the outcome is
	 * `{ ok: false, error: signal.reason, again: false, delay: 0 }`.
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` while a step is under way and after `again`
	 * was false
	 * @throws {unknown} (as a rejection) the error that `shouldRetry` threw
	 */
	async step(options: RunStepOptions = {}): Promise<RunStep<T>> {
		const signal = checkedSignal(options);
		if (this.#state !== "idle") throw new DOMException(`This runner is ${this.#state}`, "InvalidStateError");
		this.#state = "running";
		let taken: RunStep<T> | undefined;
		try {
			return taken = await step(this.#execution, signal, () => this.#change("running", undefined));
		} finally {
			this.#change(taken?.again ? "idle" : "finished", taken === undefined || taken.ok ? undefined : taken.error);
		}
	}

	#change(state: RunnerSnapshot["state"], error: unknown): void {
		this.#state = state;
		this.#error = error;
		this.#snapshot.changed();
	}
}

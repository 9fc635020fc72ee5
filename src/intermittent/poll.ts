/**
 * A function that is called repeatedly while listeners are attached.
 *
 * Use `run` with `attempts` for a task that ends when it succeeds.
 *
 * @module
 */

import { type BackoffOptions, type BackoffSettings, checkBackoff, type Delayed, nextDelay } from "../run/backoff.ts";
import { Intermittent, type IntermittentOptions } from "./intermittent.ts";
import { steering, unwrap } from "../run/task.ts";
import { inContext } from "../platform/async-context.ts";
import { check, checkFunction } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { observe, type OnError } from "../platform/observe.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The counts of a poll since its operation started. */
export interface PollCounts {
	/** The number of calls of the action. */
	readonly attempts: number;
	/** The number of successful calls. */
	readonly successes: number;
	/** The number of failed calls. */
	readonly failures: number;
	/** The number of successful calls since the last failure. */
	readonly consecutiveSuccesses: number;
	/** The number of failed calls since the last success. */
	readonly consecutiveFailures: number;
}

/** Options for {@link poll}. */
export interface PollOptions extends IntermittentOptions {
	/** The time between the starts of two calls, in milliseconds; more than 0. @default 1000 */
	interval?: number | undefined;
	/** The delays after failures. A number is a fixed delay in milliseconds. @default the interval */
	backoff?: number | BackoffOptions | undefined;
	/** Called after each call of the action, with the error if it failed. If it returns `true`, the poll ends. */
	onAttempt?: ((state: PollCounts, error: unknown) => boolean | void) | undefined;
}

/** The checked options of a poll. */
interface PollSettings {
	readonly action: (signal: AbortSignal) => unknown;
	readonly interval: number;
	readonly delays: BackoffSettings;
	readonly onAttempt: PollOptions["onAttempt"];
	readonly onError: OnError | undefined;
	readonly clock: Clock;
}

/**
 * Calls `action` at once when the first listener attaches, and then every `interval`, until the last listener has
 * left.
 *
 * Calls never overlap. If a call takes longer than the interval, the calls that are due meanwhile are skipped, and
 * the rhythm stays. After a failure, the next call follows after a delay of the backoff; a success restores the
 * interval. The action can throw the hints of a task: `retryAfter`, `retryNow` and `resetBackoff` set the delay,
 * `stopNow` ends the poll. A poll that has ended makes no more calls, but stays `running` until the last listener has
 * left; the next listener starts it again. `attach` does not wait for the first call.
 *
 * @param action the function to call; its signal aborts when the last listener has left, and the operation stops when
 * the action has settled
 * @param options the interval, the backoff and hooks
 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { poll } from "upkeep";
 *
 * const controller = new AbortController();
 * const health = poll(async (signal) => void signal.throwIfAborted(), {
 * 	interval: 10,
 * 	backoff: { start: 100, factor: 2, max: 60_000 },
 * 	onAttempt: ({ successes }) => successes === 3 && controller.abort(),
 * });
 * await health.attach(controller.signal);
 * await health.wait();
 * assert.equal(health.state, "idle");
 * ```
 */
export function poll(action: (signal: AbortSignal) => unknown, options: PollOptions = {}): Intermittent {
	const { interval = 1000, backoff, onAttempt, onError } = check("options", options, "object");
	check("action", action, "function");
	check("interval", interval, "number", Number.isFinite(interval) && interval > 0, "more than 0, and finite");
	checkFunction("onAttempt", onAttempt);
	const clock = checkClock(options.clock);
	const delays = checkBackoff(backoff === undefined ? interval : backoff);
	return new Intermittent(
		(signal) => startCalling({ action, interval, delays, onAttempt, onError, clock }, signal),
		options,
	);
}

/** Makes the calls from one start to the next stop. Returns the function that stops. */
function startCalling(settings: PollSettings, signal: AbortSignal): () => Promise<void> | undefined {
	const { action, interval, delays, onAttempt, onError, clock } = settings;
	const delayed: Delayed = { lastDelay: undefined };
	let counts: PollCounts = { attempts: 0, successes: 0, failures: 0, consecutiveSuccesses: 0, consecutiveFailures: 0 };
	/** The time at which the last call was due. */
	let dueAt = clock.monotonic();
	let running: Promise<void> | undefined;
	let isStopped = false;
	/** Makes the next call, in the async context of the start. */
	let callNext: () => void;
	const timer = new CallbackTimer(() => callNext());

	const call = () => {
		if (isStopped) return;
		let onOver!: () => void;
		// Set before the action is called, because the action may detach the last listener, and the next start must
		// wait for this call.
		running = new Promise((resolve) => onOver = resolve);
		new Promise((resolve) => resolve(action(signal))).then(() => next(true), (thrown) => {
			const hint = steering(thrown);
			const delay = nextDelay(delays, delayed, hint);
			next(false, hint.stop ? Infinity : delay, unwrap(thrown));
		}).then(onOver);
	};

	/** @param delay if absent, the interval continues */
	const next = (isSuccess: boolean, delay?: number, error?: unknown) => {
		running = undefined;
		if (isStopped) return;
		if (isSuccess) delayed.lastDelay = undefined;
		counts = count(counts, isSuccess);
		const isEnough = observe(onError, onAttempt, counts, error) === true;
		// The hook may have stopped the poll.
		if (isEnough || delay === Infinity || isStopped) return;
		const now = clock.monotonic();
		// An interval counts from the time at which the last call was due, and not from its start, so that the rhythm does
		// not drift.
		dueAt = delay === undefined ? dueAt + (Math.floor((now - dueAt) / interval) + 1) * interval : now + delay;
		callNext = inContext(call);
		clock.set(timer, dueAt - now);
	};

	call();
	return () => {
		isStopped = true;
		clock.clear(timer);
		return running;
	};
}

function count(before: PollCounts, isSuccess: boolean): PollCounts {
	return {
		attempts: before.attempts + 1,
		successes: before.successes + Number(isSuccess),
		failures: before.failures + Number(!isSuccess),
		consecutiveSuccesses: isSuccess ? before.consecutiveSuccesses + 1 : 0,
		consecutiveFailures: isSuccess ? 0 : before.consecutiveFailures + 1,
	};
}

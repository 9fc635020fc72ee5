/**
 * A function that is called again and again while somebody listens.
 *
 * Use `run` with `attempts` for something that is over once it succeeds.
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
import { Timer } from "../platform/timer-queue.ts";

/** What a poll has counted since its operation started. */
export interface PollCounts {
	/** How often the action has been called. */
	readonly attempts: number;
	/** How often it has succeeded. */
	readonly successes: number;
	/** How often it has failed. */
	readonly failures: number;
	/** How often it has succeeded since it last failed. */
	readonly consecutiveSuccesses: number;
	/** How often it has failed since it last succeeded. */
	readonly consecutiveFailures: number;
}

/** What {@link poll} can be told. */
export interface PollOptions extends IntermittentOptions {
	/** The time from one call to the next, in milliseconds; more than 0. @default 1000 */
	interval?: number | undefined;
	/** The delays after failures; a number is a fixed one, in milliseconds. @default the interval */
	backoff?: number | BackoffOptions | undefined;
	/** Told after each call, with what it failed with if it did; returning `true` ends the poll. */
	onAttempt?: ((state: PollCounts, error: unknown) => boolean | void) | undefined;
}

/** What a poller was told, checked. */
interface PollSettings {
	readonly action: (signal: AbortSignal) => unknown;
	readonly interval: number;
	readonly delays: BackoffSettings;
	readonly onAttempt: PollOptions["onAttempt"];
	readonly onError: OnError | undefined;
	readonly clock: Clock;
}

/**
 * Calls `action` at once when the first listener attaches, and then every `interval`, until the last one has left.
 *
 * Calls never overlap: when one takes longer than the interval, those that are due meanwhile are left out, and the
 * rhythm stays. After a failure the next call comes after a delay of the backoff; a success restores the rhythm. The
 * action can throw the hints of a task: `retryAfter`, `retryNow` and `resetBackoff` set the delay, `stopNow` ends the
 * poll. A poll that has ended stays `running`, silent, until the last listener has left; the next one starts it anew.
 * `attach` does not wait for the first call.
 *
 * @param action what to do; its signal aborts when the last listener has left, and the operation stops when it has settled
 * @param options how often, and who is told
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
	return new Intermittent((signal) => {
		const poller = new Poller({ action, interval, delays, onAttempt, onError, clock }, signal);
		poller.call();
		return () => poller.stop();
	}, options);
}

/** The calls from one start to the next stop. */
class Poller extends Timer implements Delayed {
	readonly #settings: PollSettings;
	readonly #signal: AbortSignal;
	lastDelay: number | undefined;
	/** When the last call was due. */
	#dueAt: number;
	#call: Promise<void> | undefined;
	/** Makes the next call, in the async context of this one. */
	#callNext: (() => void) | undefined;
	#isStopped = false;
	#state: PollCounts = { attempts: 0, successes: 0, failures: 0, consecutiveSuccesses: 0, consecutiveFailures: 0 };

	constructor(settings: PollSettings, signal: AbortSignal) {
		super();
		this.#settings = settings;
		this.#signal = signal;
		this.#dueAt = settings.clock.monotonic();
	}

	fire(): void {
		this.#callNext!();
	}

	call(): void {
		if (this.#isStopped) return;
		let onOver!: () => void;
		// Before the action is called: that may detach the last listener, and whoever comes next waits for this call.
		this.#call = new Promise((resolve) => onOver = resolve);
		new Promise((resolve) => resolve(this.#settings.action(this.#signal))).then(
			() => this.#next(true, undefined, undefined),
			(thrown) => this.#fail(thrown),
		).then(onOver);
	}

	stop(): Promise<void> | undefined {
		this.#isStopped = true;
		this.#settings.clock.clear(this);
		return this.#call;
	}

	#fail(thrown: unknown): void {
		const hint = steering(thrown);
		const delay = nextDelay(this.#settings.delays, this, hint);
		this.#next(false, unwrap(thrown), hint.stop ? Infinity : delay);
	}

	/** @param delay the rhythm goes on if there is none */
	#next(isSuccess: boolean, error: unknown, delay: number | undefined): void {
		this.#call = undefined;
		if (this.#isStopped) return;
		if (isSuccess) this.lastDelay = undefined;
		this.#state = count(this.#state, isSuccess);
		const { interval, clock, onAttempt, onError } = this.#settings;
		const isEnough = observe(onError, onAttempt, this.#state, error) === true;
		// The observer may have stopped this.
		if (isEnough || delay === Infinity || this.#isStopped) return;
		const now = clock.monotonic();
		if (delay !== undefined) this.#dueAt = now + delay;
		// Counted from when the last call was due, and not from when it came, so that the rhythm does not drift.
		else this.#dueAt += (Math.floor((now - this.#dueAt) / interval) + 1) * interval;
		this.#callNext = inContext(() => this.call());
		clock.set(this, this.#dueAt - now);
	}
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

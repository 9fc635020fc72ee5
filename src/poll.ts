/**
 * A function that is called again and again while somebody listens.
 *
 * Use `run` with `attempts` for something that is over once it succeeds.
 *
 * @module
 */

import { Backoff, type BackoffOptions, type BackoffSettings, checkBackoff } from "./backoff.ts";
import { Intermittent, type IntermittentOptions } from "./intermittent.ts";
import { steering, unwrap } from "./task.ts";
import { checkNumber, checkType } from "./platform/check.ts";
import { checkClock, type Clock } from "./platform/clock.ts";
import { observe, type OnError } from "./platform/observe.ts";
import { Timer } from "./platform/timer-queue.ts";

/** How a poll is doing, since its operation started. */
export interface PollState {
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
	onAttempt?: ((state: PollState, error: unknown) => boolean | void) | undefined;
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
	const { interval = 1000, backoff, onAttempt, onError } = checkType("options", options, "object");
	checkType("action", action, "function");
	checkNumber("interval", interval, "more than 0, and finite", interval > 0 && interval < Infinity);
	if (onAttempt !== undefined) checkType("onAttempt", onAttempt, "function");
	const clock = checkClock(options.clock);
	const delays = checkBackoff(backoff === undefined ? interval : backoff);
	return new Intermittent((signal) => {
		const poller = new Poller({ action, interval, delays, onAttempt, onError, clock }, signal);
		poller.fire();
		return () => poller.stop();
	}, options);
}

/** The calls from one start to the next stop. */
class Poller extends Timer {
	readonly #settings: PollSettings;
	readonly #signal: AbortSignal;
	#backoff: Backoff;
	/** When the last call was due. */
	#dueAt: number;
	#call: Promise<void> | undefined;
	#hasEnded = false;
	#state: PollState = { attempts: 0, successes: 0, failures: 0, consecutiveSuccesses: 0, consecutiveFailures: 0 };

	constructor(settings: PollSettings, signal: AbortSignal) {
		super();
		this.#settings = settings;
		this.#signal = signal;
		this.#backoff = new Backoff(settings.delays);
		this.#dueAt = settings.clock.monotonic();
	}

	fire(): void {
		this.#call = new Promise((resolve) => resolve(this.#settings.action(this.#signal))).then(
			() => this.#succeed(),
			(thrown) => this.#fail(thrown),
		);
	}

	stop(): Promise<void> | undefined {
		this.#hasEnded = true;
		this.#settings.clock.clear(this);
		return this.#call;
	}

	#succeed(): void {
		const { attempts, successes, consecutiveSuccesses } = this.#state;
		this.#backoff = new Backoff(this.#settings.delays);
		this.#next(
			{
				...this.#state,
				attempts: attempts + 1,
				successes: successes + 1,
				consecutiveSuccesses: consecutiveSuccesses + 1,
				consecutiveFailures: 0,
			},
			undefined,
			undefined,
		);
	}

	#fail(thrown: unknown): void {
		const { attempts, failures, consecutiveFailures } = this.#state;
		const { stop, reset, delay } = steering(thrown);
		if (reset) this.#backoff = new Backoff(this.#settings.delays);
		const state = {
			...this.#state,
			attempts: attempts + 1,
			failures: failures + 1,
			consecutiveFailures: consecutiveFailures + 1,
			consecutiveSuccesses: 0,
		};
		this.#next(state, unwrap(thrown), delay ?? this.#backoff.next());
		if (stop) this.stop();
	}

	#next(state: PollState, error: unknown, delay: number | undefined): void {
		this.#call = undefined;
		if (this.#hasEnded) return;
		this.#state = state;
		const { interval, clock, onAttempt, onError } = this.#settings;
		if (observe(onError, onAttempt, state, error) === true) this.#hasEnded = true;
		if (this.#hasEnded) return;
		const now = clock.monotonic();
		if (delay !== undefined) this.#dueAt = now + delay;
		// Counted from when the last call was due, and not from when it came, so that the rhythm does not drift.
		else this.#dueAt += (Math.floor((now - this.#dueAt) / interval) + 1) * interval;
		clock.set(this, this.#dueAt - now);
	}
}

/**
 * A clock whose time is moved by the test.
 *
 * @module
 */

import { check, checkDelay } from "../platform/check.ts";
import type { Clock } from "../platform/clock.ts";
import { soon } from "../platform/soon.ts";
import { type Timer, TimerQueue } from "../platform/timer-queue.ts";

/** Options for a {@link VirtualClock}. */
export interface VirtualClockOptions {
	/** The wall clock at the beginning, in milliseconds since 1970. @default 0 */
	now?: number | undefined;
}

/**
 * A {@link Clock} for tests. Pass it as `clock`, then move the time. Waits of any length take no real time.
 *
 * While the time moves, each timer fires at its own time, and all promises that depend on it settle before the next
 * timer fires. The clock does not wait for the real world: a file, a socket, a real timer.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { run } from "upkeep";
 * import { VirtualClock } from "upkeep/testing";
 *
 * const clock = new VirtualClock();
 * const task = ({ attempt }: { attempt: number }) => {
 * 	if (attempt < 3) throw new Error("not yet");
 * 	return clock.now();
 * };
 * const done = run(task, { attempts: 3, backoff: { start: 60_000, factor: 60 }, clock });
 * await clock.advance(60_000 + 3_600_000);
 * assert.equal(await done, 3_660_000);
 * assert.equal(clock.pending, 0);
 * ```
 */
export class VirtualClock implements Clock {
	readonly #queue = new TimerQueue();
	#monotonic = 0;
	#offset: number;
	#isMoving = false;

	/**
	 * Creates a clock that stands still.
	 *
	 * @param options the initial time
	 * @throws {TypeError | RangeError} if `now` is not a finite number
	 */
	constructor(options: VirtualClockOptions = {}) {
		const { now = 0 } = check("options", options, "object");
		this.#offset = check("now", now, "number", Number.isFinite(now), "a finite number");
	}

	/** The number of timers that are set. */
	get pending(): number {
		return this.#queue.size;
	}

	/** The time until the next timer fires, in milliseconds; `undefined` if none is set. */
	get nextIn(): number | undefined {
		const { head } = this.#queue;
		return head && Math.max(head.at - this.#monotonic, 0);
	}

	/** The wall clock: milliseconds since 1970. */
	now(): number {
		return this.#monotonic + this.#offset;
	}

	/** The time that has passed since the beginning, in milliseconds. */
	monotonic(): number {
		return this.#monotonic;
	}

	/** Makes `timer` fire when `delay` milliseconds have passed. */
	set(timer: Timer, delay: number): void {
		this.#queue.set(timer, this.#monotonic + checkDelay("delay", delay));
	}

	/** Clears a timer. Does nothing if it is not set. */
	clear(timer: Timer): void {
		this.#queue.clear(timer);
	}

	/**
	 * Advances the time by `duration` milliseconds. With 0, the timers that are due now fire.
	 *
	 * @throws {TypeError | RangeError} (as a rejection) if `duration` is not a number, or negative or NaN
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` if the time is already being moved
	 */
	async advance(duration: number): Promise<void> {
		const end = this.#monotonic + checkDelay("duration", duration);
		await this.#move(() => this.#queue.head !== undefined && this.#queue.head.at <= end);
		if (end > this.#monotonic && end < Infinity) this.#monotonic = end;
	}

	/**
	 * Advances the time until the wall clock shows `now`.
	 *
	 * @param now milliseconds since 1970, not in the past
	 * @throws {TypeError | RangeError} (as a rejection) if `now` is not a number, or in the past
	 */
	async advanceTo(now: number): Promise<void> {
		check("now", now, "number", now >= this.now(), `at least ${this.now()}`);
		await this.advance(now - this.now());
	}

	/**
	 * Advances the time until no timer is set, except timers with an infinite delay.
	 *
	 * @param limit the maximum number of timers that may fire
	 * @throws {RangeError} (as a rejection) if more than `limit` timers fire, for example because of an endless loop
	 */
	async runUntilIdle(limit = 100_000): Promise<void> {
		let fired = 0;
		await this.#move(() => {
			if (this.#queue.head === undefined || this.#queue.head.at === Infinity) return false;
			if (++fired > limit) throw new RangeError(`More than ${limit} timers have fired`);
			return true;
		});
	}

	/**
	 * Sets the wall clock only, like a user or a time server. Waits are not affected.
	 *
	 * @param now milliseconds since 1970
	 */
	setNow(now: number): void {
		this.#offset = check("now", now, "number", Number.isFinite(now), "a finite number") - this.#monotonic;
	}

	async #move(hasNext: () => boolean): Promise<void> {
		if (this.#isMoving) throw new DOMException("The time is already being moved", "InvalidStateError");
		this.#isMoving = true;
		try {
			await settled();
			while (hasNext()) {
				const timer = this.#queue.take(Infinity, Infinity)!;
				this.#monotonic = timer.at;
				timer.fire();
				await settled();
			}
		} finally {
			this.#isMoving = false;
		}
	}
}

/** A new macrotask: by then, all promises that do not depend on the real world have settled. */
function settled(): Promise<void> {
	return new Promise(soon);
}

/**
 * A clock whose time moves only when a test says so.
 *
 * @module
 */

import { check, checkDelay } from "../platform/check.ts";
import type { Clock } from "../platform/clock.ts";
import { soon } from "../platform/soon.ts";
import { type Timer, TimerQueue } from "../platform/timer-queue.ts";

/** What a {@link VirtualClock} can be told. */
export interface VirtualClockOptions {
	/** The wall clock at the beginning, in milliseconds since 1970. @default 0 */
	now?: number | undefined;
}

/**
 * A {@link Clock} for tests: pass it as `clock`, then move the time. Waits of any length take no real time.
 *
 * While the time moves, each timer fires at its own moment, and all promises that follow from it settle before the next
 * one fires; only what waits for the real world (a file, a socket, a real timer) is not waited for.
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
	 * Makes a clock that stands still.
	 *
	 * @param options where to begin
	 * @throws {TypeError | RangeError} if `now` is no finite number
	 */
	constructor(options: VirtualClockOptions = {}) {
		const { now = 0 } = check("options", options, "object");
		this.#offset = check("now", now, "number", Number.isFinite(now), "a finite number");
	}

	/** How many timers are set. */
	get pending(): number {
		return this.#queue.size;
	}

	/** How long until the next timer fires, in milliseconds; `undefined` if none is set. */
	get nextIn(): number | undefined {
		const { head } = this.#queue;
		return head && Math.max(head.at - this.#monotonic, 0);
	}

	/** The wall clock: milliseconds since 1970. */
	now(): number {
		return this.#monotonic + this.#offset;
	}

	/** How much time has passed, in milliseconds. */
	monotonic(): number {
		return this.#monotonic;
	}

	/** Makes `timer` fire once `delay` milliseconds have passed. */
	set(timer: Timer, delay: number): void {
		this.#queue.set(timer, this.#monotonic + checkDelay("delay", delay));
	}

	/** Takes a timer back; harmless if it is not set. */
	clear(timer: Timer): void {
		this.#queue.clear(timer);
	}

	/**
	 * Lets `duration` milliseconds pass. With 0, what is due now fires.
	 *
	 * @throws {TypeError | RangeError} (as a rejection) if `duration` is no number, negative or NaN
	 * @throws {DOMException} (as a rejection) named `InvalidStateError` if the time is being moved already
	 */
	async advance(duration: number): Promise<void> {
		const end = this.#monotonic + checkDelay("duration", duration);
		await this.#move(() => this.#queue.head !== undefined && this.#queue.head.at <= end);
		if (end > this.#monotonic && end < Infinity) this.#monotonic = end;
	}

	/**
	 * Lets the time pass until the wall clock shows `now`.
	 *
	 * @param now milliseconds since 1970, not in the past
	 * @throws {TypeError | RangeError} (as a rejection) if `now` is no number, or in the past
	 */
	async advanceTo(now: number): Promise<void> {
		check("now", now, "number", now >= this.now(), `at least ${this.now()}`);
		await this.advance(now - this.now());
	}

	/**
	 * Lets the time pass until no timer is set, except those that never fire.
	 *
	 * @param limit how many timers may fire
	 * @throws {RangeError} (as a rejection) if more than `limit` timers fire: something goes on for ever
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
	 * Sets the wall clock and nothing else, as a user or a time server does. Waits are not affected.
	 *
	 * @param now milliseconds since 1970
	 */
	setNow(now: number): void {
		this.#offset = check("now", now, "number", Number.isFinite(now), "a finite number") - this.#monotonic;
	}

	async #move(hasNext: () => boolean): Promise<void> {
		if (this.#isMoving) throw new DOMException("The time is being moved already", "InvalidStateError");
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

/** A new macrotask: all promises that can settle without the real world have settled by then. */
function settled(): Promise<void> {
	return new Promise(soon);
}

/**
 * A queue of timers, earliest first and, at the same time, in the order in which they were set.
 *
 * @module
 */

import { Heap } from "./heap.ts";

/**
 * Something that a clock wakes later. A clock keeps the timer itself and no wrapper around it, so that 100,000 sleeping
 * tasks cost little; the fields are the clock's own, only {@link Timer.fire} is for whoever extends it.
 *
 * To wait, use `sleep`; this is for those who write a `Clock`, or wait in bulk.
 *
 * @example
 * ```ts
 * import { type Clock, sleep, systemClock, type Timer } from "upkeep";
 *
 * const tenfold: Clock = {
 * 	now: () => systemClock.now(),
 * 	monotonic: () => systemClock.monotonic(),
 * 	set: (timer: Timer, delay) => systemClock.set(timer, delay / 10),
 * 	clear: (timer: Timer) => systemClock.clear(timer),
 * };
 * await sleep(1_000, { clock: tenfold }); // is over after 100 ms
 * ```
 */
export abstract class Timer {
	/** When it is due, on the clock's monotonic scale. Written by the clock. */
	at: number = 0;
	/** The how-manieth timer it is, to tell apart those due at the same time. Written by the clock. */
	order: number = 0;
	/** Where it stands in the clock's queue; -1 when it is not set. Written by the clock. */
	position: number = -1;
	/** Whatever else the clock wants to keep with it. Not there until then. */
	declare own: unknown;
	/** Whether a server process may end before it is due. */
	readonly unref: boolean;

	/**
	 * Makes a timer that is not set.
	 *
	 * @param unref whether a server process may end before it is due
	 */
	constructor(unref = false) {
		this.unref = unref;
	}

	/** Called by the clock, once for each time that it was set, never inside `set`. Must not throw. */
	abstract fire(): void;
}

/** A timer for those that do not extend it. */
export class CallbackTimer extends Timer {
	readonly #callback: () => void;

	constructor(callback: () => void, unref?: boolean) {
		super(unref);
		this.#callback = callback;
	}

	fire(): void {
		this.#callback();
	}
}

/** The queue behind a clock. Setting and clearing cost O(log n). */
export class TimerQueue extends Heap<Timer> {
	/** The `order` of the timer that was set last. */
	order: number = 0;
	/** How many timers keep a server process alive. */
	refs: number = 0;

	/** Adds a timer, or moves it if it is set already. */
	set(timer: Timer, at: number): void {
		this.clear(timer);
		timer.at = at;
		timer.order = ++this.order;
		if (!timer.unref) this.refs++;
		this.put(timer);
	}

	/** Removes a timer; harmless if it is not set. */
	clear(timer: Timer): void {
		if (timer.position < 0) return;
		if (!timer.unref) this.refs--;
		this.remove(timer);
	}

	/** Removes and returns the head if it is due, and was set no later than the timer with this `order`. */
	take(now: number, order: number): Timer | undefined {
		const { head } = this;
		if (head === undefined || head.at > now || head.order > order) return undefined;
		this.clear(head);
		return head;
	}
}

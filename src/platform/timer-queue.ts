/**
 * A queue of timers: the earliest first; timers due at the same time in the order in which they were set.
 *
 * @module
 */

import { Heap } from "./heap.ts";

/**
 * An object that a clock wakes later. A clock stores the timer itself without a wrapper, so that 100,000 sleeping
 * tasks cost little. The fields belong to the clock; subclasses implement only {@link Timer.fire}.
 *
 * Use `sleep` to wait. This is what a `Clock` of your own gets.
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
 * await sleep(1_000, { clock: tenfold }); // ends after 100 ms
 * ```
 */
export abstract class Timer {
	/** The due time on the clock's monotonic scale. Written by the clock. */
	at: number = 0;
	/** The sequence number, which orders timers that are due at the same time. Written by the clock. */
	order: number = 0;
	/** The index in the clock's queue; -1 if the timer is not set. Written by the clock. */
	position: number = -1;
	/** Any other data of the clock. Absent until the clock writes it. */
	declare own: unknown;
	/** Whether a server process may exit before the timer is due. */
	declare readonly unref: boolean;

	/**
	 * Creates a timer that is not set.
	 *
	 * @param unref whether a server process may exit before the timer is due
	 */
	constructor(unref = false) {
		this.unref = unref;
	}

	/** Called by the clock once for each `set`, and never inside `set`. Must not throw. */
	abstract fire(): void;
}

/** A timer that calls a function. */
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
	/** The number of timers that keep a server process alive. */
	refs: number = 0;

	/** Adds a timer, or moves it if it is already set. */
	set(timer: Timer, at: number): void {
		this.clear(timer);
		timer.at = at;
		timer.order = ++this.order;
		if (!timer.unref) this.refs++;
		this.put(timer);
	}

	/** Removes a timer. Does nothing if it is not set. */
	clear(timer: Timer): void {
		if (timer.position < 0) return;
		if (!timer.unref) this.refs--;
		this.remove(timer);
	}

	/** Removes and returns the first timer if it is due and its `order` is not greater than this one. */
	take(now: number, order: number): Timer | undefined {
		const { head } = this;
		if (head === undefined || head.at > now || head.order > order) return undefined;
		this.clear(head);
		return head;
	}
}

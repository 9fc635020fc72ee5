/**
 * The time of this library: the {@link Clock} hook, the clock of the machine, and {@link sleep}.
 *
 * All waits of the machine's clock share one queue and a single timer of the platform. The timer is set again only
 * for a wait that is due earlier.
 *
 * @module
 */

import { onAwake } from "./awake.ts";
import { check, checkDelay, checkedSignal, checkMethods } from "./check.ts";
import { link, unlink } from "./signals.ts";
import { hop, isPage } from "./page.ts";
import { CallbackTimer, type Timer, TimerQueue } from "./timer-queue.ts";

/**
 * The hook from which the library gets the time. All options objects accept a `clock`. The default is
 * {@link systemClock}; tests pass a `VirtualClock` from `upkeep/testing`.
 */
export interface Clock {
	/** The wall clock: milliseconds since 1970. It may jump. */
	now(): number;
	/** Milliseconds since a fixed moment in the past. It never goes back. */
	monotonic(): number;
	/**
	 * Calls `timer.fire()` once, in a new macrotask, after at least `delay` milliseconds, in any async context. If the
	 * timer is already set, it is moved. Writes the due time, on the scale of {@link monotonic}, to `timer.at`.
	 * `timer.position` must be -1 after the timer has fired or was cleared, and another value until then.
	 *
	 * @param since a reading of {@link monotonic}, taken in the same macrotask, from which the delay counts. The default is
	 * a reading taken now. A clock may ignore it; then the time between the two is added to the delay.
	 */
	set(timer: Timer, delay: number, since?: number): void;
	/** Clears a timer. Does nothing if it is not set. */
	clear(timer: Timer): void;
}

/** Options for {@link sleep}. */
export interface SleepOptions {
	/** Ends the sleep: it rejects with the signal's reason. */
	signal?: AbortSignal | undefined;
	/** Whether a server process may exit before the sleep ends. Do not use it for a sleep that is awaited. @default false */
	unref?: boolean | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/** In every runtime, setTimeout treats a longer delay as 0. */
const longestDelay = 2_147_483_647;

/** Only servers have these methods. */
type PlatformTimer = { ref?(): void; unref?(): void } | undefined;

class SystemClock implements Clock {
	readonly #queue = new TimerQueue();
	/** The time at which the platform's timer wakes this clock; NaN if it is not set. */
	#armedFor = NaN;
	#armed: PlatformTimer;
	/** Ends listening for the end of a sleep. The clock listens while the platform's timer is set. */
	#stopListening: (() => void) | undefined;
	/** The time that the machine has slept and `performance.now()` has not counted. */
	#slept = 0;

	now(): number {
		return Date.now();
	}

	monotonic(): number {
		return performance.now() + this.#slept;
	}

	set(timer: Timer, delay: number, now: number = this.monotonic()): void {
		this.#queue.set(timer, now + delay);
		// The platform's timer was lost with the scope in which it was set, or is a second late: then a new one is cheap.
		if (now - this.#armedFor > 1_000) this.#armedFor = NaN;
		this.#arm();
	}

	clear(timer: Timer): void {
		this.#queue.clear(timer);
		this.#keepAlive();
	}

	/** Clears the only timer of this clock, and the platform's timer. */
	end(timer: Timer): void {
		this.clear(timer);
		clearTimeout(this.#armed as number | undefined);
	}

	/** Ensures that the platform wakes this clock in time for the first timer. Waking too early is harmless. */
	#arm(): void {
		const { head } = this.#queue;
		if (head !== undefined && !(head.at >= this.#armedFor)) {
			this.#armedFor = head.at;
			this.#stopListening ??= onAwake((slept) => {
				this.#slept += slept;
				hop(this.#fire);
			});
			if (isPage()) hop(this.#armNow);
			else this.#armNow();
		}
		this.#keepAlive();
	}

	readonly #armNow = (): void => {
		clearTimeout(this.#armed as number | undefined);
		const delay = Math.ceil(this.#armedFor - this.monotonic());
		this.#armed = setTimeout(this.#fire, Math.max(0, Math.min(delay, longestDelay))) as PlatformTimer;
	};

	/**
	 * An unneeded platform timer is kept for the next wait, because a new one would cost more. It must not keep the
	 * process alive.
	 */
	#keepAlive(): void {
		if (this.#queue.refs > 0) this.#armed?.ref?.();
		else this.#armed?.unref?.();
	}

	readonly #fire = (): void => {
		this.#armedFor = NaN;
		const now = this.monotonic();
		// Timers set from now on wait for the next macrotask. Otherwise delays of 0 could keep this loop busy forever.
		const { order } = this.#queue;
		let timer: Timer | undefined;
		try {
			while ((timer = this.#queue.take(now, order))) timer.fire();
		} finally {
			this.#arm();
			if (this.#queue.size === 0) this.#stopListening = this.#stopListening?.() as undefined;
		}
	};
}

/** The clock for Cloudflare's workerd, where a platform timer ends with the request that set it and cannot be shared. */
class RequestClock extends SystemClock {
	override set(timer: Timer, delay: number, since?: number): void {
		this.clear(timer);
		(timer.own = new SystemClock()).set(timer, delay, since);
	}

	override clear(timer: Timer): void {
		(timer.own as SystemClock | undefined)?.end(timer);
	}
}

/**
 * The clock of the machine: `Date.now()`, `performance.now()` and one shared `setTimeout`.
 *
 * In Cloudflare's workerd each wait has its own `setTimeout`, because a timer there ends with the request that set
 * it.
 */
export const systemClock: Clock = /* @__PURE__ */ makeClock();

/** Creates a system clock with its own timer. Tests use it to be independent of each other. */
export function makeClock(): Clock {
	return globalThis.navigator?.userAgent === "Cloudflare-Workers" ? new RequestClock() : new SystemClock();
}

/** Checks a `clock` option. The default is the system clock. */
export function checkClock(clock: Clock | undefined): Clock {
	return clock === undefined ? systemClock : checkMethods("clock", clock, "set", "clear", "now", "monotonic");
}

/**
 * Resolves after `delay`.
 *
 * Unlike `setTimeout`, it can be aborted, accepts delays of any length (`Infinity`: until the abort), and never ends
 * early. A delay of 0 lets the runtime handle timers and input first.
 *
 * @param delay in milliseconds, 0 or more
 * @returns a promise that rejects with the signal's reason if the signal aborts first
 * @throws {TypeError} (as a rejection) if `delay` is not a number or an option is of the wrong type
 * @throws {RangeError} (as a rejection) if `delay` is negative or NaN
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { sleep } from "upkeep";
 *
 * await sleep(20);
 *
 * const controller = new AbortController();
 * const slept = sleep(60_000, { signal: controller.signal });
 * controller.abort(new Error("time to get up"));
 * await assert.rejects(slept, { message: "time to get up" });
 * ```
 */
export async function sleep(delay: number, options: SleepOptions = {}): Promise<void> {
	checkDelay("delay", delay);
	const signal = checkedSignal(options);
	const { unref } = options;
	const clock = checkClock(options.clock);
	if (unref !== undefined) check("unref", unref, "boolean");
	if (signal?.aborted) throw signal.reason;
	await new Promise<void>((resolve, reject) => {
		const timer = new CallbackTimer(() => {
			unlink(signal, sleeper);
			resolve();
		}, unref);
		const sleeper = {
			abort(reason: unknown) {
				clock.clear(timer);
				reject(reason);
			},
		};
		clock.set(timer, delay);
		link(signal, sleeper);
	});
}

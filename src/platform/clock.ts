/**
 * Time, as everything in this library sees it: the {@link Clock} hook, the clock of the machine, and {@link sleep}.
 *
 * All waits of the machine's clock sit in one queue behind a single timer of the platform, which is armed lazily: only
 * for a wait that is due before the one it is armed for.
 *
 * @module
 */

import { onAwake } from "./awake.ts";
import { check, checkDelay, checkedSignal } from "./check.ts";
import { type Abortable, link, unlink } from "./signals.ts";
import { hop, isPage } from "./page.ts";
import { Timer, TimerQueue } from "./timer-queue.ts";

/**
 * The hook through which the library asks for time. Every options bag takes one as `clock`; the default is
 * {@link systemClock}, and tests pass a `VirtualClock` from `upkeep/testing`.
 */
export interface Clock {
	/** The wall clock: milliseconds since 1970. It may jump. */
	now(): number;
	/** Milliseconds since some moment in the past. It never goes back. */
	monotonic(): number;
	/**
	 * Calls `timer.fire()` once, in a new macrotask, `delay` ms from now or later, in whichever async context. Set again, a
	 * timer is moved. Writes into `timer.at` when that is, on the scale of {@link monotonic}, and into `timer.position` -1
	 * once the timer has fired or was cleared, and until then something else.
	 */
	set(timer: Timer, delay: number): void;
	/** Takes a timer back; harmless if it is not set. */
	clear(timer: Timer): void;
}

/** What {@link sleep} can be told. */
export interface SleepOptions {
	/** Ends the sleep: it rejects with the signal's reason. */
	signal?: AbortSignal | undefined;
	/** Whether a server process may end before the sleep does. Not for a sleep that is awaited. @default false */
	unref?: boolean | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/** setTimeout takes a longer delay for none at all, in every runtime. */
const longestDelay = 2_147_483_647;

/** Servers have the methods, browsers have not. */
type PlatformTimer = { ref?(): void; unref?(): void } | undefined;

class SystemClock implements Clock {
	readonly #queue = new TimerQueue();
	/** When the platform's timer wakes this clock; NaN if it does not. */
	#armedFor = NaN;
	#armed: PlatformTimer;
	/** Ends the listening for the end of a sleep, which goes on for as long as the platform's timer does. */
	#stopListening: (() => void) | undefined;
	/** How long the machine has slept, as far as `performance.now()` did not notice. */
	#slept = 0;

	now(): number {
		return Date.now();
	}

	monotonic(): number {
		return performance.now() + this.#slept;
	}

	set(timer: Timer, delay: number): void {
		const now = this.monotonic();
		this.#queue.set(timer, now + delay);
		// It was lost with whatever scope it was made in, or everybody has waited for a second: then another one costs nothing.
		if (now - this.#armedFor > 1_000) this.#armedFor = NaN;
		this.#arm();
	}

	clear(timer: Timer): void {
		this.#queue.clear(timer);
		this.#keepAlive();
	}

	/** Makes sure that the platform wakes this clock in time for the first timer. Too early does no harm. */
	#arm(): void {
		const { head } = this.#queue;
		if (head !== undefined && !(head.at >= this.#armedFor)) {
			this.#armedFor = head.at;
			this.#stopListening ??= onAwake(this.#catchUp);
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
	 * The platform's timer stays when it is not needed any more, for the next one that is set: to make a new one each time
	 * costs more. It only must not keep the process alive.
	 */
	#keepAlive(): void {
		if (this.#queue.refs > 0) this.#armed?.ref?.();
		else this.#armed?.unref?.();
	}

	readonly #catchUp = (slept: number): void => {
		this.#slept += slept;
		hop(this.#fire);
	};

	readonly #fire = (): void => {
		this.#armedFor = NaN;
		const now = this.monotonic();
		// Those set from here on have to wait for the next macrotask, or a delay of 0 could keep this loop busy for ever.
		const { order } = this.#queue;
		let timer: Timer | undefined;
		try {
			while ((timer = this.#queue.take(now, order)) !== undefined) timer.fire();
		} finally {
			this.#arm();
			if (this.#queue.size === 0) this.#stopListening = this.#stopListening?.() as undefined;
		}
	};
}

/** For Cloudflare's workerd, where a platform timer lives and dies with the request that made it: none can be shared. */
class RequestClock extends SystemClock {
	override set(timer: Timer, delay: number): void {
		this.clear(timer);
		timer.at = this.monotonic() + delay;
		timer.position = 0;
		timer.own = setTimeout(() => {
			this.clear(timer);
			if (delay > longestDelay) this.set(timer, delay - longestDelay);
			else timer.fire();
		}, Math.min(delay, longestDelay));
	}

	override clear(timer: Timer): void {
		clearTimeout(timer.own as number | undefined);
		timer.position = -1;
	}
}

/**
 * The clock of the machine: `Date.now()`, `performance.now()` and one shared `setTimeout`.
 *
 * In Cloudflare's workerd each wait has a `setTimeout` of its own, since one there ends with the request that made it.
 */
export const systemClock: Clock = /* @__PURE__ */ makeClock();

/** A clock of the machine with a timer of its own: tests need one in which nothing is left from others. */
export function makeClock(): Clock {
	return globalThis.navigator?.userAgent === "Cloudflare-Workers" ? new RequestClock() : new SystemClock();
}

/** Checks a `clock` option; absent, it is the machine's. */
export function checkClock(clock: Clock | undefined): Clock {
	if (clock === undefined) return systemClock;
	check("clock", clock, "object");
	for (const name of ["set", "clear", "now", "monotonic"] as const) check("clock." + name, clock[name], "function");
	return clock;
}

/**
 * Resolves after `delay`.
 *
 * Unlike a bare `setTimeout` it can be aborted, takes delays of any length (`Infinity`: until the abort), and is never
 * early. A delay of 0 lets the runtime turn to its timers and input first.
 *
 * @param delay in milliseconds, 0 or more
 * @returns a promise that rejects with the signal's reason if that aborts first
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
		const sleeper = new Sleeper(resolve, reject, signal, clock, unref);
		clock.set(sleeper, delay);
		if (signal !== undefined) link(signal, sleeper);
	});
}

class Sleeper extends Timer implements Abortable {
	readonly #resolve: () => void;
	readonly #reject: (reason: unknown) => void;
	readonly #signal: AbortSignal | undefined;
	readonly #clock: Clock;

	constructor(
		resolve: () => void,
		reject: (reason: unknown) => void,
		signal: AbortSignal | undefined,
		clock: Clock,
		unref?: boolean,
	) {
		super(unref);
		this.#resolve = resolve;
		this.#reject = reject;
		this.#signal = signal;
		this.#clock = clock;
	}

	fire(): void {
		if (this.#signal !== undefined) unlink(this.#signal, this);
		this.#resolve();
	}

	abort(reason: unknown): void {
		this.#clock.clear(this);
		this.#reject(reason);
	}
}

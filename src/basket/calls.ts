/**
 * The calls of an engine to its store: none is waited for without end.
 *
 * A call that has not answered within its limit is given up: whoever waits for it goes on as if it had failed, and what it
 * came to is unknown. It cannot be taken back, so its answer may still come; only what can make use of that is told.
 *
 * State: `open` (from {@link Calls.open} on) → `leaving` ({@link Calls.leave}: a call that fails is not tried again) →
 * `closed` ({@link Calls.close}: all that is under way is given up, and nothing may be begun).
 *
 * @module
 */

import type { BasketSettings } from "./options.ts";
import { type BackoffSettings, checkBackoff } from "../run/backoff.ts";
import { Execution } from "../run/execution.ts";
import { defaultSettings, type RunnerSettings } from "../run/options.ts";
import { report } from "../platform/observe.ts";
import { StoreError } from "../platform/store-error.ts";
import { Timer } from "../platform/timer-queue.ts";

/** How often a call is made that fails with what is no error of a store. Waiting mends no mistake in a program. */
const mostStrange = 5;

/** Whether waiting may help, and whether the error is one of a store at all: by its field, as another build may have made it. */
export function isTransient(error: unknown): boolean {
	return (error as { isTransient?: unknown } | undefined)?.isTransient === true;
}

/** Whether it is no error of a store: a mistake in a program, or something that the store cannot take. */
export function isStrange(error: unknown): boolean {
	return typeof (error as { isTransient?: unknown } | undefined)?.isTransient !== "boolean";
}

export class Calls {
	/** How long a call may take, in milliseconds: a renewal that is given up leaves time for another one before the lease ends. */
	readonly limit: number;
	readonly #settings: Pick<BasketSettings<never>, "clock" | "onError">;
	readonly #retries: RunnerSettings;
	readonly #underWay = new Set<Call>();
	/** Ends the waiting between two tries. */
	#patience = new AbortController();
	#isClosed = false;
	/** How many calls were begun, and how many when the last answer came: within a millisecond, a clock does not tell the order. */
	#begun = 0;
	#answered = 0;
	#onIdle: (() => void) | undefined;

	constructor(settings: Pick<BasketSettings<never>, "clock" | "onError" | "lease">) {
		this.#settings = settings;
		this.limit = settings.lease / 3;
		const { clock, onError } = settings;
		const backoff: BackoffSettings = checkBackoff({ start: 100, factor: 2, max: 30_000, jitter: "equal" });
		const onAttemptFailed: RunnerSettings["onAttemptFailed"] = ({ error, again }) => again && report(onError, error);
		this.#retries = { ...defaultSettings, attempts: Infinity, backoff, clock, onAttemptFailed };
	}

	get isClosed(): boolean {
		return this.#isClosed;
	}

	/** Begins a new life. Its signal aborts when that ends. */
	open(): AbortSignal {
		this.#isClosed = false;
		this.#patience = new AbortController();
		return this.#patience.signal;
	}

	leave(reason: unknown): void {
		this.#patience.abort(reason);
	}

	close(): void {
		this.#isClosed = true;
		this.forsake(0);
	}

	/** Gives up what is under way for so long. */
	forsake(duration: number): void {
		const begunBy = this.#settings.clock.monotonic() - duration;
		for (const call of this.#underWay) if (call.begunAt <= begunBy) call.giveUp("before the basket stopped");
	}

	/** Whether a call is under way for so long, and no answer to any has come since it was begun. */
	isInVain(duration: number): boolean {
		const begunBy = this.#settings.clock.monotonic() - duration;
		return [...this.#underWay].some(({ begunAt, number }) => begunAt <= begunBy && this.#answered < number);
	}

	/** Resolves when no call is waited for any more. */
	async idle(): Promise<void> {
		while (this.#underWay.size > 0) await new Promise<void>((resolve) => this.#onIdle = resolve);
	}

	/**
	 * Waits for a call, for `limit` milliseconds at most; then it rejects with a `StoreError`.
	 *
	 * @param ask makes the call; what it throws is what the call rejects with
	 * @param onLate called with an answer that comes after the call was given up
	 */
	track<T>(ask: () => Promise<T>, limit: number = this.limit, onLate?: (result: T) => void): Promise<T> {
		const { clock } = this.#settings;
		return new Promise((resolve, reject) => {
			const call = new Call(clock.monotonic(), ++this.#begun, limit, (text) => {
				if (this.#end(call)) reject(new StoreError("unavailable", `The store has not answered ${text}`));
			});
			this.#underWay.add(call);
			if (limit < Infinity) clock.set(call, limit);
			(async () => await ask())().then(
				(result) => {
					this.#answered = this.#begun;
					return this.#end(call) ? resolve(result) : onLate?.(result);
				},
				(error) => this.#end(call) && reject(error),
			);
		});
	}

	/** Calls until there is an answer. Rejects when there is no hope, or when the basket stops. */
	trying<T>(call: () => Promise<T>): Promise<T> {
		let strange = 0;
		const shouldRetry = (error: unknown) => isTransient(error) || (isStrange(error) && ++strange < mostStrange);
		return new Execution(call, { ...this.#retries, shouldRetry }, this.#patience.signal).run();
	}

	/** Whether it was waited for until now. */
	#end(call: Call): boolean {
		if (!this.#underWay.delete(call)) return false;
		this.#settings.clock.clear(call);
		if (this.#underWay.size === 0) this.#onIdle?.();
		return true;
	}
}

class Call extends Timer {
	readonly begunAt: number;
	/** Which of the calls it is. */
	readonly number: number;
	readonly giveUp: (text: string) => void;
	readonly #limit: number;

	constructor(begunAt: number, number: number, limit: number, giveUp: (text: string) => void) {
		super();
		this.begunAt = begunAt;
		this.number = number;
		this.giveUp = giveUp;
		this.#limit = limit;
	}

	fire(): void {
		this.giveUp(`within ${Math.round(this.#limit)} ms`);
	}
}

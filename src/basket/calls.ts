/**
 * The calls of an engine to its store. No call is awaited forever.
 *
 * A call that is not answered within its limit is given up: its caller continues as if it had failed, and its outcome
 * is unknown. The call cannot be canceled, so its answer may still arrive; it is passed only to code that can use
 * it.
 *
 * State: `open` (from {@link Calls.open} on) → `leaving` ({@link Calls.leave}: failed calls are not retried) →
 * `closed` ({@link Calls.close}: all running calls are given up, and no call may begin).
 *
 * @module
 */

import type { BasketSettings } from "./options.ts";
import { type BackoffSettings, checkBackoff } from "../run/backoff.ts";
import { Execution } from "../run/execution.ts";
import { defaultSettings, type RunnerSettings } from "../run/options.ts";
import { report } from "../platform/observe.ts";
import { propertyOf, StoreError } from "../platform/store-error.ts";
import { CallbackTimer, type Timer } from "../platform/timer-queue.ts";

/**
 * The number of tries for a call that fails with another error than a `StoreError`: retrying does not fix a
 * programming error.
 */
const mostStrange = 5;

/** Whether the error is a transient `StoreError`. Identified by its field, because it may come from another build. */
export function isTransient(error: unknown): boolean {
	return propertyOf(error, "isTransient") === true;
}

/** Whether the error is not a `StoreError`: a programming error, or data that the store cannot accept. */
export function isStrange(error: unknown): boolean {
	return typeof propertyOf(error, "isTransient") !== "boolean";
}

export class Calls {
	/**
	 * The time limit of a call, in milliseconds. After a renewal that was given up, there is time for another one
	 * before the lease ends.
	 */
	readonly limit: number;
	/** The time limit of a turn, in milliseconds: a slow store that answers gets the time that it needs, up to a whole lease. */
	turnLimit: number;
	readonly #settings: Pick<BasketSettings<never>, "clock" | "onError" | "lease">;
	readonly #retries: RunnerSettings;
	readonly #underWay = new Set<Call>();
	/** Ends the wait between two tries. */
	#patience = new AbortController();
	#isClosed = false;
	/** The number of calls begun, and that number at the last answer. A clock cannot order events within a millisecond. */
	#begun = 0;
	#answered = 0;
	#onIdle: (() => void) | undefined;

	constructor(settings: Pick<BasketSettings<never>, "clock" | "onError" | "lease">) {
		this.#settings = settings;
		this.limit = this.turnLimit = settings.lease / 3;
		const { clock, onError, lease } = settings;
		const max = Math.max(100, Math.min(30_000, lease));
		const backoff: BackoffSettings = checkBackoff({ start: 100, factor: 2, max, jitter: "equal" });
		const onAttemptFailed: RunnerSettings["onAttemptFailed"] = ({ error, again }) => again && report(onError, error);
		this.#retries = { ...defaultSettings, attempts: Infinity, backoff, clock, onAttemptFailed };
	}

	get isClosed(): boolean {
		return this.#isClosed;
	}

	/** Opens again. The returned signal aborts at the end of this period. */
	open(): AbortSignal {
		this.#isClosed = false;
		this.#patience = new AbortController();
		return this.#patience.signal;
	}

	/** A turn that began then has been answered, or would have been soon. */
	measure(begunAt: number): void {
		const { clock, lease } = this.#settings;
		this.turnLimit = Math.min(lease, Math.max(this.limit, 2 * (clock.monotonic() - begunAt)));
	}

	leave(reason: unknown): void {
		this.#patience.abort(reason);
	}

	close(): void {
		this.#isClosed = true;
		this.forsake(0);
	}

	/** Gives up calls that have run for this long. */
	forsake(duration: number): void {
		const begunBy = this.#settings.clock.monotonic() - duration;
		for (const call of this.#underWay) if (call.begunAt <= begunBy) call.giveUp("before the basket stopped");
	}

	/** Whether a call has run for this long, and no call has been answered since it began. */
	isInVain(duration: number): boolean {
		const begunBy = this.#settings.clock.monotonic() - duration;
		return [...this.#underWay].some(({ begunAt, number }) => begunAt <= begunBy && this.#answered < number);
	}

	/** Resolves when no call is awaited anymore. */
	async idle(): Promise<void> {
		while (this.#underWay.size > 0) await new Promise<void>((resolve) => this.#onIdle = resolve);
	}

	/**
	 * Waits for a call, for at most `limit` milliseconds; then it rejects with a `StoreError`.
	 *
	 * @param ask makes the call; if it throws, the call rejects with that error
	 * @param onLate called with an answer that arrives after the call was given up
	 */
	track<T>(ask: () => Promise<T>, limit: number = this.limit, onLate?: (result: T) => void): Promise<T> {
		const { clock } = this.#settings;
		return new Promise((resolve, reject) => {
			const giveUp = (text: string) => {
				if (this.#end(call)) reject(new StoreError("unavailable", `The store has not answered ${text}`));
			};
			const timer = new CallbackTimer(() => giveUp(`within ${Math.round(limit)} ms`));
			const call: Call = { begunAt: clock.monotonic(), number: ++this.#begun, giveUp, timer };
			this.#underWay.add(call);
			if (limit < Infinity) clock.set(timer, limit);
			begin(ask).then(
				(result) => {
					this.#answered = this.#begun;
					return this.#end(call) ? resolve(result) : onLate?.(result);
				},
				(error) => this.#end(call) && reject(error),
			);
		});
	}

	/** Waits for a call whose failure is only reported: then the result is `undefined`. */
	async reach<T>(ask: () => Promise<T>): Promise<T | undefined> {
		try {
			return await this.track(ask);
		} catch (error) {
			report(this.#settings.onError, error);
		}
	}

	/** Repeats the call until there is an answer. Rejects at a permanent failure, or when the basket stops. */
	trying<T>(call: () => Promise<T>): Promise<T> {
		let strange = 0;
		const shouldRetry = (error: unknown) => isTransient(error) || (isStrange(error) && ++strange < mostStrange);
		return new Execution(call, { ...this.#retries, shouldRetry }, this.#patience.signal).run();
	}

	/** Whether the call was still awaited. */
	#end(call: Call): boolean {
		if (!this.#underWay.delete(call)) return false;
		this.#settings.clock.clear(call.timer);
		if (this.#underWay.size === 0) this.#onIdle?.();
		return true;
	}
}

/** Without a promise of its own, which each call would pay for. */
function begin<T>(ask: () => Promise<T>): Promise<T> {
	try {
		return Promise.resolve(ask());
	} catch (error) {
		return Promise.reject(error);
	}
}

/** A call that is awaited. */
interface Call {
	readonly begunAt: number;
	/** The sequence number. */
	readonly number: number;
	readonly giveUp: (text: string) => void;
	/** Ends its time. */
	readonly timer: Timer;
}

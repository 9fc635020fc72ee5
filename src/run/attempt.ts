/**
 * One attempt of a task: its context, its signal, its timeout, and giving up on it.
 *
 * Everything here is created on first use. A task that never reads its signal costs no controller, listener or timer:
 * the attempt checks for an abort or a timeout only if the task fails. Users must not notice this, so a signal that
 * is read late or never leads to the same outcome as one that is read at once.
 *
 * @module
 */

import type { Timer } from "../platform/timer-queue.ts";
import type { RunnerSettings } from "./options.ts";
import type { Task, TaskContext } from "./task.ts";
import { inContext } from "../platform/async-context.ts";

/**
 * The interface of an attempt to its run. The run is a timer. The attempt may use that timer, because the run needs
 * it only between attempts.
 */
export interface AttemptOwner extends Timer {
	readonly settings: RunnerSettings;
	/** Whether the caller has aborted. */
	readonly isAborted: boolean;
	/** Why the caller has aborted. */
	readonly reason: unknown;
	/** The deadline of the whole run, on the monotonic clock. */
	readonly deadlineAt: number | undefined;
	/** Requests a call of {@link Attempt.abort} when the caller aborts. */
	watch(): void;
}

/** The context passed to a task. Tasks are called here only. */
export class Attempt implements TaskContext {
	readonly attempt: number;
	readonly previousError: unknown;
	/** Cleared at the end of the attempt; `undefined` if nothing can interrupt the attempt. */
	#owner: AttemptOwner | undefined;
	readonly #endsAt: number;
	#controller: AbortController | undefined;
	/** The signal's reason, once the attempt was aborted or timed out. */
	#interruption: { readonly reason: unknown } | undefined;
	/** Expires the attempt in the async context of the caller, because the caller's listeners are on the signal. */
	#expireInContext: (() => void) | undefined;
	#giveUp: ((reason: unknown) => void) | undefined;
	/** Whether the timer is set. */
	#isTimed = false;

	constructor(owner: AttemptOwner | undefined, attempt: number, previousError: unknown, endsAt: number) {
		this.attempt = attempt;
		this.previousError = previousError;
		this.#owner = owner;
		this.#endsAt = endsAt;
	}

	get signal(): AbortSignal {
		if (this.#controller === undefined) {
			this.#controller = new AbortController();
			this.#watch();
			if (this.#interruption !== undefined) this.#controller.abort(this.#interruption.reason);
		}
		return this.#controller.signal;
	}

	/** The abort or timeout that has interrupted this attempt, or is due to interrupt it by now. */
	get interruption(): { readonly reason: unknown } | undefined {
		if (this.#owner !== undefined && this.#interruption === undefined) this.#remaining(this.#owner);
		return this.#interruption;
	}

	perform<T>(task: Task<T>): Promise<T> {
		let result: Promise<T>;
		try {
			result = Promise.resolve(task(this));
		} catch (error) {
			result = Promise.reject(error);
		}
		return this.#owner !== undefined && this.#owner.settings.abandonAfter < Infinity ? this.#orGiveUp(result) : result;
	}

	/** Interrupts the attempt: its signal aborts with this reason. */
	abort(reason: unknown): void {
		if (this.#interruption !== undefined) return;
		this.#interruption = { reason };
		this.#controller?.abort(reason);
		if (this.#giveUp === undefined) this.#clear();
		else this.#wait();
	}

	/** The timer has fired. */
	wake(): void {
		if (this.#interruption === undefined) this.#expireInContext!();
		// A task that has already returned still succeeds: its callbacks are in the microtask queue before this one.
		else queueMicrotask(() => this.#giveUp?.(this.#interruption!.reason));
	}

	/** Releases everything. */
	end(): void {
		this.#clear();
		this.#owner = this.#giveUp = this.#expireInContext = undefined;
	}

	#orGiveUp<T>(result: Promise<T>): Promise<T> {
		return new Promise((resolve, reject) => {
			result.then(resolve, reject);
			const { interruption } = this;
			this.#giveUp = reject;
			if (interruption === undefined) this.#watch();
			// The task itself aborted before it returned this promise.
			else this.#wait();
		});
	}

	/** From now on, an interruption is signalled when it happens instead of being detected afterwards. */
	#watch(): void {
		const owner = this.#owner;
		if (owner === undefined || this.#interruption !== undefined || this.#isTimed) return;
		const remaining = this.#remaining(owner);
		if (remaining <= 0) return;
		owner.watch();
		if (remaining === Infinity) return;
		// The attempt may have ended meanwhile.
		this.#expireInContext = inContext(() => this.#owner && this.#expire(this.#owner));
		this.#set(owner, remaining);
	}

	/** The remaining time of this attempt. Interrupts the attempt if no time is left. */
	#remaining(owner: AttemptOwner): number {
		if (owner.isAborted) this.abort(owner.reason);
		if (this.#interruption !== undefined) return 0;
		const remaining = this.#endsAt === Infinity ? Infinity : this.#endsAt - owner.settings.clock.monotonic();
		if (remaining <= 0) this.#expire(owner);
		return remaining;
	}

	/** After an interruption: waits for the task for at most `abandonAfter`. */
	#wait(): void {
		if (this.#owner === undefined) return;
		const { abandonAfter } = this.#owner.settings;
		if (abandonAfter === 0) this.wake();
		else this.#set(this.#owner, abandonAfter);
	}

	#set(owner: AttemptOwner, delay: number): void {
		this.#isTimed = true;
		owner.settings.clock.set(owner, delay);
	}

	#clear(): void {
		if (this.#isTimed) this.#owner?.settings.clock.clear(this.#owner);
		this.#isTimed = false;
	}

	#expire({ settings, deadlineAt }: AttemptOwner): void {
		const text = this.#endsAt === deadlineAt ? deadlineText(settings) : `Timed out after ${settings.timeout} ms`;
		this.abort(timeoutError(text, this.previousError));
	}
}

/** The message of a deadline's error. */
export function deadlineText({ deadline }: RunnerSettings): string {
	return `The deadline of ${deadline} ms has passed`;
}

/** The error of a timeout. Its cause is the previous error. */
export function timeoutError(text: string, cause: unknown): DOMException {
	const error = new DOMException(text, "TimeoutError");
	// Only some runtimes accept a cause in the constructor.
	if (cause !== undefined) Object.defineProperty(error, "cause", { value: cause, configurable: true, writable: true });
	return error;
}

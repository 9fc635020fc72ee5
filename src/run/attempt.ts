/**
 * One attempt of a task: its context, its signal, its timeout, and giving up on it.
 *
 * Everything here is made when it is first needed. A task that never reads its signal costs neither a controller nor a
 * listener nor a timer: whether it was aborted or is late is found out if it fails. That must not show, so a signal that
 * is read late, or never, leads to the same outcome as one that is read at once.
 *
 * @module
 */

import type { Timer } from "../platform/timer-queue.ts";
import type { RunnerSettings } from "./options.ts";
import type { Task, TaskContext } from "./task.ts";
import { inContext } from "../platform/async-context.ts";

/**
 * What an attempt needs to know of the run that it belongs to. The run is a timer, which an attempt may use: as long as
 * there is one, the run has no use for it.
 */
export interface AttemptOwner extends Timer {
	readonly settings: RunnerSettings;
	/** Whether the caller has aborted. */
	readonly isAborted: boolean;
	/** Why the caller has aborted. */
	readonly reason: unknown;
	/** When the run as a whole has to end, on the monotonic clock. */
	readonly deadlineAt: number | undefined;
	/** Asks for a call of {@link Attempt.abort} when the caller aborts. */
	watch(): void;
}

/** The context that a task is given, and the one place where a task is called. */
export class Attempt implements TaskContext {
	readonly attempt: number;
	readonly previousError: unknown;
	/** Forgotten when the attempt is over; none if nothing can interrupt it. */
	#owner: AttemptOwner | undefined;
	readonly #endsAt: number;
	#controller: AbortController | undefined;
	/** The signal's reason, once the attempt was aborted or timed out. */
	#interruption: { readonly reason: unknown } | undefined;
	/** Ends its time in the async context of the caller, whose listeners are on the signal. */
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

	/** What has ended this attempt from outside, or should have by now. */
	get interruption(): { readonly reason: unknown } | undefined {
		if (this.#owner !== undefined && this.#interruption === undefined) this.#remaining(this.#owner);
		return this.#interruption;
	}

	/** Calls the task. */
	perform<T>(task: Task<T>): Promise<T> {
		let result: Promise<T>;
		try {
			result = Promise.resolve(task(this));
		} catch (error) {
			result = Promise.reject(error);
		}
		return this.#owner !== undefined && this.#owner.settings.abandonAfter < Infinity ? this.#orGiveUp(result) : result;
	}

	/** Ends the attempt, with this as its signal's reason. */
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
		// A task that has returned by now is let through: what hears of it is among the microtasks before this one.
		else queueMicrotask(() => this.#giveUp?.(this.#interruption!.reason));
	}

	/** Leaves nothing behind. */
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
			// Interrupted by the task itself, before it gave this promise.
			else this.#wait();
		});
	}

	/** From now on the interruption comes when it happens, and is not found out afterwards. */
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

	/** How long this attempt may go on; if it may not, it is interrupted by this call. */
	#remaining(owner: AttemptOwner): number {
		if (owner.isAborted) this.abort(owner.reason);
		if (this.#interruption !== undefined) return 0;
		const remaining = this.#endsAt === Infinity ? Infinity : this.#endsAt - owner.settings.clock.monotonic();
		if (remaining <= 0) this.#expire(owner);
		return remaining;
	}

	/** Interrupted: how long to go on waiting for the task. */
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

/** What the error of a deadline says. */
export function deadlineText({ deadline }: RunnerSettings): string {
	return `The deadline of ${deadline} ms has passed`;
}

/** The error of a timeout, with the last error before it as its cause. */
export function timeoutError(text: string, cause: unknown): DOMException {
	const error = new DOMException(text, "TimeoutError");
	// The constructor takes a cause only in some runtimes.
	if (cause !== undefined) Object.defineProperty(error, "cause", { value: cause, configurable: true, writable: true });
	return error;
}

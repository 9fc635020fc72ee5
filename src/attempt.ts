/**
 * One attempt of a task: its context, its signal, its timeout, and giving up on it.
 *
 * Everything here is made when it is first needed. A task that never reads its signal costs neither a controller nor a
 * listener nor a timer: whether it was aborted or is late is found out if it fails. That must not show, so a signal that
 * is read late, or never, leads to the same outcome as one that is read at once.
 *
 * @module
 */

import type { RunnerSettings } from "./runner-options.ts";
import type { Task, TaskContext } from "./task.ts";
import { CallbackTimer, type Timer } from "./platform/timer-queue.ts";

/** What an attempt needs to know of the run that it belongs to. */
export interface AttemptOwner {
	readonly settings: RunnerSettings;
	/** Whether the caller has aborted. */
	readonly isAborted: boolean;
	/** Why the caller has aborted. */
	readonly reason: unknown;
	/** When the run as a whole has to end, on the monotonic clock. */
	readonly deadlineAt: number;
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
	#giveUp: ((reason: unknown) => void) | undefined;
	#timer: Timer | undefined;

	constructor(owner: AttemptOwner | undefined, attempt: number, previousError: unknown, endsAt: number) {
		this.attempt = attempt;
		this.previousError = previousError;
		this.#owner = owner;
		this.#endsAt = endsAt;
	}

	get signal(): AbortSignal {
		if (this.#controller === undefined) {
			this.#controller = new AbortController();
			if (this.interruption === undefined) this.#watch();
			else this.#controller.abort(this.interruption.reason);
		}
		return this.#controller.signal;
	}

	/** What has ended this attempt from outside, or should have by now. */
	get interruption(): { readonly reason: unknown } | undefined {
		const owner = this.#owner;
		if (owner !== undefined && this.#interruption === undefined) {
			if (owner.isAborted) this.abort(owner.reason);
			else if (this.#endsAt <= owner.settings.clock.monotonic()) this.#expire(owner);
		}
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
		const isPatient = (this.#owner?.settings.abandonAfter ?? Infinity) === Infinity;
		return isPatient ? result : this.#orGiveUp(result);
	}

	/** Ends the attempt, with this as its signal's reason. */
	abort(reason: unknown): void {
		if (this.#interruption !== undefined) return;
		this.#interruption = { reason };
		this.#controller?.abort(reason);
		if (this.#giveUp === undefined) this.#clear();
		else this.#wait();
	}

	/** Leaves nothing behind. */
	end(): void {
		this.#clear();
		this.#owner = this.#timer = this.#giveUp = undefined;
	}

	#orGiveUp<T>(result: Promise<T>): Promise<T> {
		return new Promise((resolve, reject) => {
			result.then(resolve, reject);
			const { interruption } = this;
			this.#giveUp = reject;
			if (interruption === undefined) this.#watch();
			// Interrupted by the task itself, before it gave this promise. One that is settled already is let through.
			else queueMicrotask(() => this.#wait());
		});
	}

	/** Interrupted: how long to go on waiting for the task. */
	#wait(): void {
		if (this.#owner === undefined) return;
		const { abandonAfter } = this.#owner.settings;
		if (abandonAfter === 0) this.#wake();
		else this.#sleep(abandonAfter);
	}

	#watch(): void {
		const owner = this.#owner;
		if (owner === undefined) return;
		owner.watch();
		if (this.#endsAt < Infinity) this.#sleep(this.#endsAt - owner.settings.clock.monotonic());
	}

	#sleep(delay: number): void {
		const { clock, unref } = this.#owner!.settings;
		clock.set(this.#timer ??= new CallbackTimer(() => this.#wake(), unref), delay);
	}

	#clear(): void {
		if (this.#timer !== undefined) this.#owner?.settings.clock.clear(this.#timer);
	}

	#wake(): void {
		if (this.#interruption === undefined) this.#expire(this.#owner!);
		else this.#giveUp!(this.#interruption.reason);
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

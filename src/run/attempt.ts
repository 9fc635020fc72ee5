/**
 * One attempt of a task: the context of the task.
 *
 * The signal is created when it is first read: a task that never reads it costs no controller, listener or timer, and
 * the run checks for an abort or a timeout only if the task fails. Users must not notice this, so a signal that is
 * read late or never leads to the same outcome as one that is read at once.
 *
 * @module
 */

import type { Task, TaskContext } from "./task.ts";

/** The interface of an attempt to its run. */
export interface AttemptOwner {
	/** Requests a call of {@link Attempt.abort} when the caller aborts or the time is over, or at once if that has happened. */
	watch(attempt: Attempt): void;
}

/** The context passed to a task. Tasks are called here only. */
export class Attempt implements TaskContext {
	declare readonly attempt: number;
	declare readonly previousError: unknown;
	/** Cleared at the end of the attempt; `undefined` if nothing can interrupt the attempt. */
	#owner: AttemptOwner | undefined;
	#controller: AbortController | undefined;
	#interruption: { readonly reason: unknown } | undefined;

	constructor(attempt: number, previousError?: unknown, owner?: AttemptOwner) {
		this.attempt = attempt;
		this.previousError = previousError;
		this.#owner = owner;
	}

	get signal(): AbortSignal {
		if (this.#controller === undefined) {
			this.#owner?.watch(this);
			this.#controller = new AbortController();
			if (this.#interruption !== undefined) this.#controller.abort(this.#interruption.reason);
		}
		return this.#controller.signal;
	}

	/** The abort or timeout that has interrupted this attempt. */
	get interruption(): { readonly reason: unknown } | undefined {
		return this.#interruption;
	}

	perform<T>(task: Task<T>): Promise<T> {
		try {
			return Promise.resolve(task(this));
		} catch (error) {
			return Promise.reject(error);
		}
	}

	/** Interrupts the attempt: its signal aborts with this reason. */
	abort(reason: unknown): void {
		if (this.#interruption !== undefined) return;
		this.#interruption = { reason };
		this.#controller?.abort(reason);
	}

	/** Ends the attempt: nothing interrupts it anymore. */
	end(): void {
		this.#owner = undefined;
	}
}

/** The error of a timeout. Its cause is the previous error. */
export function timeoutError(text: string, cause: unknown): DOMException {
	const error = new DOMException(text, "TimeoutError");
	// Only some runtimes accept a cause in the constructor.
	return Object.assign(error, cause !== undefined && { cause });
}

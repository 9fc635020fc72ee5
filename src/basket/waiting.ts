/**
 * Waits for tasks and jobs to end in any process.
 *
 * @module
 */

import { type BackoffSettings, checkBackoff, type Delayed, nextDelay } from "../run/backoff.ts";
import type { Clock } from "../platform/clock.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** A caller that waits for one task. */
interface Waiter<E> extends Abortable {
	tell(ended: E): void;
}

/**
 * Callers are notified at once of tasks that end in this process. For other tasks, each caller polls the store.
 *
 * @typeParam E what is known about such an end
 */
export class Endings<E> {
	readonly #clock: Clock;
	readonly #pace: BackoffSettings = checkBackoff({ start: 100, max: 5_000 });
	readonly #waiting = new Map<string, Set<Waiter<E>>>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** Whether somebody waits for this task. */
	awaits(id: string): boolean {
		return this.#waiting.has(id);
	}

	/** The end of a task is stored. */
	tell(id: string, ended: E): void {
		for (const waiter of [...this.#waiting.get(id) ?? []]) waiter.tell(ended);
	}

	/**
	 * Polls until there is an outcome. A running request to the store delays neither an abort nor the notification of
	 * the end. Its answer after the end is ignored, because the task may already be removed.
	 *
	 * @param look returns the outcome, from the reported end or from the store; `undefined` if there is none yet
	 */
	wait<T>(
		id: string,
		signal: AbortSignal | undefined,
		look: (ended?: E) => Promise<T | undefined>,
	): Promise<T> {
		return new Promise((resolve, reject) => {
			if (signal?.aborted) return reject(signal.reason);
			const delayed: Delayed = { lastDelay: undefined };
			let current: object | undefined;
			const leave = () => {
				current = undefined;
				this.#clock.clear(timer);
				this.#leave(id, waiter);
				unlink(signal, waiter);
			};
			const see = (ended?: E) => {
				const own = current = {};
				this.#clock.clear(timer);
				look(ended).then(
					(outcome) => {
						if (current !== own) return;
						if (outcome === undefined) return this.#clock.set(timer, nextDelay(this.#pace, delayed));
						leave();
						resolve(outcome);
					},
					(error) => {
						if (current !== own) return;
						leave();
						reject(error);
					},
				);
			};
			const abort = (reason: unknown) => {
				leave();
				reject(reason);
			};
			const timer = new CallbackTimer(() => see());
			const waiter: Waiter<E> = { abort, tell: see };
			this.#waiting.set(id, (this.#waiting.get(id) ?? new Set()).add(waiter));
			link(signal, waiter);
			see();
		});
	}

	#leave(id: string, waiter: Waiter<E>): void {
		const waiters = this.#waiting.get(id);
		if (waiters?.delete(waiter) && waiters.size === 0) this.#waiting.delete(id);
	}
}

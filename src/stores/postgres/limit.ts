/**
 * Time limits for answers.
 *
 * @module
 */

import { systemClock } from "../../platform/clock.ts";
import { StoreError } from "../../platform/store-error.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";

/** The text of a single-row answer, if any. */
export function textOf([row]: readonly unknown[]): string | undefined {
	return row === undefined ? undefined : Object.values(row as Record<string, string>)[0];
}

/** The error of a call that has taken too long. */
export function tooLate(timeout: number, what = "Postgres has not answered"): StoreError {
	return new StoreError("unavailable", `${what} for ${Math.round(timeout)} ms`);
}

/** Resolves with the answer, or with the result of a function when the time limit has passed. */
export function within<T, U = never>(
	answer: PromiseLike<T>,
	timeout: number,
	onTimeout: () => U = () => {
		throw tooLate(timeout);
	},
): Promise<T | U> {
	return new Promise((resolve, reject) => {
		const timer = new CallbackTimer(() => {
			try {
				resolve(onTimeout());
			} catch (error) {
				reject(error);
			}
		});
		if (timeout < Infinity) systemClock.set(timer, Math.max(timeout, 0));
		answer.then((value) => {
			systemClock.clear(timer);
			resolve(value);
		}, (error) => {
			systemClock.clear(timer);
			reject(error);
		});
	});
}

/** Waits. */
export function pause(duration: number): Promise<void> {
	return new Promise((resolve) => systemClock.set(new CallbackTimer(resolve), duration));
}

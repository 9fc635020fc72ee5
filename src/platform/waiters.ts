/**
 * Callers that wait for an event.
 *
 * @module
 */

import { checkSignal } from "./check.ts";
import { link, unlink } from "./signals.ts";

/** Options for a method that waits. */
export interface WaitOptions {
	/** Ends the wait only. The awaited work continues. */
	signal?: AbortSignal | undefined;
}

/** Options for a method that stops something and waits until it has stopped. */
export interface StopOptions extends WaitOptions {
	/** The reason with which the signals of running work abort. @default an `AbortError` */
	reason?: unknown;
}

/** The waiters of one object. */
export class Waiters {
	readonly #waiting = new Set<() => void>();

	/** Resolves with `true` at the next {@link release}, or with `false` if the signal aborts first. */
	async wait(signal: AbortSignal | undefined): Promise<boolean> {
		if (signal !== undefined && checkSignal(signal).aborted) return false;
		return await new Promise((resolve) => {
			const release = () => {
				unlink(signal, waiter);
				resolve(true);
			};
			const waiter = {
				abort: () => {
					this.#waiting.delete(release);
					resolve(false);
				},
			};
			this.#waiting.add(release);
			link(signal, waiter);
		});
	}

	/** Releases all current waiters. */
	release(): void {
		for (const release of this.#waiting) {
			this.#waiting.delete(release);
			release();
		}
	}
}

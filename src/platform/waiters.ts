/**
 * Callers that wait for something to be over.
 *
 * @module
 */

import { checkSignal } from "./check.ts";
import { type Abortable, link, unlink } from "./signals.ts";

/** What a method that waits can be told. */
export interface WaitOptions {
	/** Ends the waiting, and nothing else. */
	signal?: AbortSignal | undefined;
}

class Waiter implements Abortable {
	readonly #waiters: Set<Waiter>;
	readonly #resolve: (isOver: boolean) => void;
	readonly #signal: AbortSignal | undefined;

	constructor(waiters: Set<Waiter>, resolve: (isOver: boolean) => void, signal: AbortSignal | undefined) {
		this.#waiters = waiters;
		this.#resolve = resolve;
		this.#signal = signal;
		waiters.add(this);
		if (signal !== undefined) link(signal, this);
	}

	abort(): void {
		this.#waiters.delete(this);
		this.#resolve(false);
	}

	release(): void {
		if (this.#signal !== undefined) unlink(this.#signal, this);
		this.#resolve(true);
	}
}

/** The waiters of one object. */
export class Waiters {
	readonly #waiting = new Set<Waiter>();

	/** Resolves to `true` with the next {@link release}, or to `false` if the signal aborts first. */
	async wait(signal: AbortSignal | undefined): Promise<boolean> {
		if (signal !== undefined && checkSignal(signal).aborted) return false;
		return await new Promise((resolve) => new Waiter(this.#waiting, resolve, signal));
	}

	/** Lets all go that wait now. */
	release(): void {
		for (const waiter of this.#waiting) {
			this.#waiting.delete(waiter);
			waiter.release();
		}
	}
}

/**
 * How quick the tasks are: whether more of them are worth claiming than can begin at once.
 *
 * @module
 */

import type { Clock } from "../platform/clock.ts";

/** How many tasks to claim ahead of the free slots at most, and how long running those may take, in milliseconds. */
const mostAhead = 500;
const timeAhead = 50;

/** Of the runs that have ended since the last claim has come. */
export class Pace {
	readonly #clock: Clock;
	readonly #concurrency: number;
	#ended = 0;
	#since = 0;
	/** How long they took together. */
	#took = 0;

	constructor({ clock, concurrency }: { readonly clock: Clock; readonly concurrency: number }) {
		this.#clock = clock;
		this.#concurrency = concurrency;
	}

	/** Claims have come. How long the store has taken does not matter. */
	restart(): void {
		this.#ended = this.#took = 0;
		this.#since = this.#clock.monotonic();
	}

	/** A run has ended. */
	count(begunAt: number): void {
		this.#ended++;
		this.#took += this.#clock.monotonic() - begunAt;
	}

	/** As many as can be run in a moment: what takes longer is better left to others. Two that end together prove nothing. */
	get ahead(): number {
		if (this.#ended === 0) return 0;
		const elapsed = this.#clock.monotonic() - this.#since;
		const each = Math.max(elapsed / this.#ended, this.#took / this.#ended / this.#concurrency, 0.001);
		return Math.min(mostAhead, Math.floor(timeAhead / each));
	}
}

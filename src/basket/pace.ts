/**
 * Measures how fast tasks run, to decide whether to claim more tasks than can begin at once.
 *
 * @module
 */

import type { Clock } from "../platform/clock.ts";

/** The maximum number of tasks that are claimed in advance, and the maximum time for running these, in milliseconds. */
const mostAhead = 1_000;
const timeAhead = 50;

/** The pace of the runs that have ended since the last claim. */
export class Pace {
	readonly #clock: Clock;
	readonly #concurrency: number;
	#ended = 0;
	#since = 0;
	/** Their total time. */
	#took = 0;

	constructor({ clock, concurrency }: { readonly clock: Clock; readonly concurrency: number }) {
		this.#clock = clock;
		this.#concurrency = concurrency;
	}

	/** Claims have arrived. The time that the store took does not count. */
	restart(): void {
		this.#ended = this.#took = 0;
		this.#since = this.#clock.monotonic();
	}

	/** A run has ended. */
	count(begunAt: number): void {
		this.#ended++;
		this.#took += this.#clock.monotonic() - begunAt;
	}

	/** Whether many quick runs have ended: it is the store that tasks wait for. */
	get isHigh(): boolean {
		return Math.min(this.#ended, this.ahead) >= 500;
	}

	/**
	 * The number of tasks to claim in advance: as many as run quickly; slower ones are left to other workers. Two runs
	 * that end together are not significant.
	 */
	get ahead(): number {
		if (this.#ended === 0) return 0;
		const elapsed = this.#clock.monotonic() - this.#since;
		const each = Math.max(elapsed / this.#ended, this.#took / this.#ended / this.#concurrency, 0.001);
		return Math.min(mostAhead, Math.floor(timeAhead / each));
	}
}

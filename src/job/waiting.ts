/**
 * Waiting for jobs to end, whichever process runs them.
 *
 * @module
 */

import type { JobCheckpoint } from "./state.ts";
import { type BackoffSettings, checkBackoff, grow } from "../backoff.ts";
import type { Clock } from "../platform/clock.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";
import { Waiters } from "../platform/waiters.ts";

/** Those who wait for one job. */
interface Waiting {
	readonly waiters: Waiters;
	readonly timer: CallbackTimer;
	count: number;
	/** What the backoff of the looking has given last. */
	delay: number | undefined;
	/** How it has ended, once that is stored. */
	ended: JobCheckpoint | undefined;
}

/** One timer for each job that is waited for. Of the end of a job that runs in this process they are told at once. */
export class Endings {
	readonly #clock: Clock;
	readonly #looking: BackoffSettings = checkBackoff({ start: 100, max: 5_000 });
	readonly #waiting = new Map<string, Waiting>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** A job has ended, and that is stored. */
	tell(id: string, ended: JobCheckpoint): void {
		const waiting = this.#waiting.get(id);
		if (waiting === undefined) return;
		waiting.ended = ended;
		waiting.waiters.release();
	}

	/**
	 * Looks again and again until there is an outcome. Who looks is given what was told meanwhile, in a function, because that may
	 * come while he reads the store.
	 */
	async wait<T>(
		id: string,
		signal: AbortSignal | undefined,
		look: (told: () => JobCheckpoint | undefined) => Promise<T | undefined>,
	): Promise<T> {
		const waiting = this.#join(id);
		try {
			for (;;) {
				signal?.throwIfAborted();
				const outcome = await look(() => waiting.ended);
				if (outcome !== undefined) return outcome;
				if (waiting.ended !== undefined) continue;
				this.#clock.set(waiting.timer, waiting.delay = grow(this.#looking, waiting.delay));
				if (!await waiting.waiters.wait(signal)) throw signal!.reason;
			}
		} finally {
			this.#leave(id, waiting);
		}
	}

	#join(id: string): Waiting {
		let waiting = this.#waiting.get(id);
		if (waiting === undefined) {
			const waiters = new Waiters();
			const timer = new CallbackTimer(() => waiters.release());
			waiting = { waiters, timer, count: 0, delay: undefined, ended: undefined };
			this.#waiting.set(id, waiting);
		}
		waiting.count++;
		return waiting;
	}

	#leave(id: string, waiting: Waiting): void {
		if (--waiting.count > 0) return;
		this.#clock.clear(waiting.timer);
		this.#waiting.delete(id);
	}
}

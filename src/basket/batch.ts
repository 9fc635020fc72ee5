/**
 * Joins concurrent requests of several callers into one call.
 *
 * @module
 */

import type { Clock } from "../platform/clock.ts";
import { codeOf, propertyOf } from "../platform/store-error.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

interface Group<T, R> {
	readonly items: readonly T[];
	readonly resolve: (results: readonly R[]) => void;
	readonly reject: (error: unknown) => void;
}

/** How long a call may delay the next one. */
export interface BatchPatience {
	readonly clock: Clock;
	/** In milliseconds. */
	readonly limit: number;
}

/**
 * After this many calls in a row that found the store busy, each after its own wait, the store counts as busy for all
 * callers.
 */
const mostBusy = 3;

/**
 * Makes one call at a time. Items that arrive meanwhile are sent with the next call, within the limits. A call that
 * is not answered in time is left alone and does not delay others.
 *
 * A request of one caller must not harm another. If a joined call fails with an error which says that nothing was
 * done, each caller gets a separate call. After any other error, the call may have taken effect, and repeating it
 * could do the work twice: then all callers get the error.
 */
export class Batch<T, R> {
	readonly #flush: (items: readonly T[]) => Promise<readonly R[]>;
	readonly #patience: BatchPatience;
	readonly #sizeOf: ((items: readonly T[]) => number) | undefined;
	#groups: Group<T, R>[] = [];
	/** The current sequence of calls. A sequence that hangs is replaced. */
	#round: object | undefined;
	/** The start of the last call, on the monotonic clock. */
	#begunAt = 0;
	readonly #timer: CallbackTimer = new CallbackTimer(() => void this.#work());

	/**
	 * @param sizeOf returns the part of a call that items take; the items of one call have a sum of at most 1. Absent:
	 * no limit
	 */
	constructor(
		flush: (items: readonly T[]) => Promise<readonly R[]>,
		patience: BatchPatience,
		sizeOf?: (items: readonly T[]) => number,
	) {
		this.#flush = flush;
		this.#patience = patience;
		this.#sizeOf = sizeOf;
	}

	/** Resolves with a result for each item. */
	submit(items: readonly T[]): Promise<readonly R[]> {
		return new Promise((resolve, reject) => {
			this.#groups.push({ items, resolve, reject });
			if (this.#round !== undefined) return this.#arm();
			this.#round = {};
			queueMicrotask(() => this.#work());
		});
	}

	/** Starts another sequence for the waiting callers if this one takes too long. */
	#arm(): void {
		if (this.#timer.position >= 0) return;
		const { clock, limit } = this.#patience;
		clock.set(this.#timer, Math.max(0, this.#begunAt + limit - clock.monotonic()));
	}

	async #work(): Promise<void> {
		const { clock } = this.#patience;
		const round = this.#round = {};
		while (this.#round === round) {
			clock.clear(this.#timer);
			const groups = this.#take();
			this.#begunAt = clock.monotonic();
			if (this.#groups.length > 0) this.#arm();
			if (groups.length > 0) await this.#serveAll(groups);
			else this.#round = undefined;
		}
	}

	async #serveAll(groups: readonly Group<T, R>[]): Promise<void> {
		try {
			await this.#serve(groups);
		} catch (error) {
			if (groups.length > 1 && mayBeOf(error)) await this.#serveEach(groups);
			else for (const group of groups) group.reject(error);
		}
	}

	/** As many as go into one call; at least one, if there is one. */
	#take(): Group<T, R>[] {
		let size = 0;
		const end = this.#groups.findIndex(({ items }, index) => (size += this.#sizeOf?.(items) ?? 0) > 1 && index > 0);
		return this.#groups.splice(0, end < 0 ? Infinity : end);
	}

	async #serve(groups: readonly Group<T, R>[]): Promise<void> {
		const [first] = groups;
		const items = groups.length === 1 ? first!.items : groups.flatMap(({ items }) => items);
		const results = await this.#flush(items);
		if (groups.length === 1) return first!.resolve(results);
		let from = 0;
		for (const { items, resolve } of groups) resolve(results.slice(from, from += items.length));
	}

	async #serveEach(groups: readonly Group<T, R>[]): Promise<void> {
		let busy = 0;
		for (const group of groups) {
			try {
				await this.#serve([group]);
				busy = 0;
			} catch (error) {
				group.reject(error);
				busy = codeOf(error) === "busy" ? busy + 1 : 0;
				if (busy < mostBusy) continue;
				for (const rest of groups) rest.reject(error); // has no effect on groups that were already served
				return;
			}
		}
	}
}

/** Whether the error says that nothing was done, and one of several callers may be the cause. */
function mayBeOf(error: unknown): boolean {
	const codes: unknown[] = ["full", "busy", "refused", "not-open"];
	return ["RangeError", "TypeError"].includes(propertyOf(error, "name") as string) || codes.includes(codeOf(error));
}

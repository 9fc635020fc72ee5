/**
 * The instants of a schedule that have passed.
 *
 * @module
 */

import type { Schedule } from "./schedule.ts";

/** The maximum number of missed instants after the first one that are counted one by one. */
const mostCounted = 999;

/** A schedule, or one whose instants have the same distance, in milliseconds. */
export interface Instants extends Schedule {
	readonly period?: number | undefined;
}

/** The first instant after `after`, in the sequence that contains the instant `base`. */
export function firstAfter({ next, period }: Instants, base: number, after: number): number | undefined {
	if (period === undefined || after < base) return next(Math.max(base, after));
	return base + (Math.floor((after - base) / period) + 1) * period;
}

/** The last instant until `now`, and how many there are between `base`, which is one, and that one. */
export function lastUntil({ next, period }: Instants, base: number, now: number): { last: number; count: number } {
	if (period !== undefined) {
		const count = Math.max(0, Math.floor((now - base) / period));
		return { last: base + count * period, count };
	}
	let [last, count] = [base, 0];
	const step = (after: number): boolean => {
		const instant = next(after);
		if (instant === undefined || instant > now) return false;
		last = instant;
		return true;
	};
	while (count < mostCounted && step(last)) count++;
	// The rest is not counted: halving finds the last instant of years.
	for (let end = now; count === mostCounted && end - last > 1;) {
		const middle = Math.floor((last + end) / 2);
		if (!step(middle)) end = middle;
	}
	return { last, count };
}

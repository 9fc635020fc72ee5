/**
 * What the limit of a basket admits: see `BasketLimit`. Stores that decide in their own code
 * use it.
 *
 * @module
 */

import type { BasketLimit, Claim, ClaimRequest } from "./claim.ts";

/** What is stored about the starts of a basket. */
export interface BasketStarts {
	/** The instant of GCRA. */
	readonly next: number;
	/** The last start. */
	readonly startedAt: number;
}

/** No start yet. */
export const noStarts: BasketStarts = { next: 0, startedAt: 0 };

/** The starts on a clock that may have been set back: then another object, to be stored, so that they do not go on with it. */
export function moved(starts: BasketStarts, now: number): BasketStarts {
	const back = starts.startedAt - now;
	return back > 0 ? { next: starts.next - back, startedAt: now } : starts;
}

/** The number of tasks that may start. */
export function admitted(limit: BasketLimit, { next }: BasketStarts, running: number, now: number): number {
	const { atOnce, spacing, burst } = limit;
	const places = Math.max(0, atOnce - running);
	if (spacing === 0) return places;
	if (opensAt(limit, next) > now) return 0;
	return Math.min(places, Math.max(1, Math.floor(burst - Math.max(0, next - now) / spacing)));
}

/**
 * Serves requests, with no more tasks in all than are admitted.
 *
 * @param claim gets how many are left, for the followers that it may claim besides
 */
export function within(
	most: number,
	requests: readonly ClaimRequest[],
	claim: (request: ClaimRequest, left: number) => readonly Claim[],
): Claim[] {
	let left = most;
	return requests.flatMap(({ kinds, limit }) => {
		const claims = claim({ kinds, limit: Math.min(limit, left) }, left);
		left -= claims.length;
		return claims;
	});
}

/** The starts after some more. */
export function started({ spacing }: BasketLimit, starts: BasketStarts, count: number, now: number): BasketStarts {
	if (count === 0 || spacing === 0) return starts;
	return { next: Math.max(now, starts.next) + count * spacing, startedAt: now };
}

/** The instant from which the rate admits a start. */
export function opensAt({ spacing, burst }: BasketLimit, next: number): number {
	return spacing > 0 ? next - (burst - 1) * spacing : 0;
}

/**
 * The time until a task may start if nothing else ends.
 *
 * @param leaseEnd the instant at which the first lease ends
 */
export function admitsIn(
	limit: BasketLimit,
	{ next }: BasketStarts,
	running: number,
	leaseEnd: number,
	now: number,
): number {
	const freeIn = running < limit.atOnce ? 0 : Math.max(leastPause, leaseEnd - now);
	return Math.max(freeIn, opensAt(limit, next) - now);
}

/** The least time until a turn may look for a lease that has ended, if it could not put back its task. */
const leastPause = 50;

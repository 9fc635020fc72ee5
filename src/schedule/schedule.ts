/**
 * What says when something recurs. `every()` and `cron()` of `upkeep/cron` make one that a basket takes; any other
 * object with these members becomes one by `every(schedule)`.
 *
 * @module
 */

/**
 * The instants at which something recurs.
 *
 * @example A schedule from another library, whose job finds the next date after a date.
 * ```ts
 * import assert from "node:assert/strict";
 * import type { Schedule } from "upkeep/cron";
 *
 * // Any library will do: this one knows midnight in UTC.
 * const midnight = { nextRun: (after: Date) => new Date((Math.floor(after.getTime() / 86_400_000) + 1) * 86_400_000) };
 *
 * const schedule: Schedule = {
 * 	text: "midnight",
 * 	next: (after) => midnight.nextRun(new Date(after))?.getTime(),
 * };
 * assert.equal(schedule.next(Date.UTC(2026, 10, 21, 12)), Date.UTC(2026, 10, 22));
 * ```
 */
export interface Schedule {
	/**
	 * The schedule as text. Two schedules with the same text have the same instants, on every machine, so that a stored
	 * text tells whether a schedule was changed.
	 */
	readonly text: string;

	/**
	 * Returns the first instant after an instant, both in epoch milliseconds, or undefined if there is none. The result
	 * depends on nothing else, such as the present time, and is always later than `after`.
	 */
	next(after: number): number | undefined;
}

/** A {@link Schedule} that a basket takes, with the code that runs it: a basket without schedules does not contain it. */
export interface Recurrence extends Schedule {
	/** The code that runs it. It is internal. */
	readonly ticks: unknown;
}

/**
 * Schedules with a fixed time between their instants, and schedules from elsewhere.
 *
 * @module
 */

import type { Recurrence, Schedule } from "./schedule.ts";
import { interval, recurring } from "./recurring.ts";
import { check, checkMethods } from "../platform/check.ts";

/**
 * Makes a {@link Schedule} that a basket takes, from a number of milliseconds or from a schedule of another library.
 *
 * The first instant of an interval comes one period after it was scheduled, and each other one a period after the one
 * before it. Its text is the number, and `every` reads such a text.
 *
 * @param schedule the period in milliseconds, from 1 to ten years; the text of such a schedule; or a schedule
 * @throws {TypeError} for an argument of another type
 * @throws {RangeError} for a period out of range
 *
 * @example A task that recurs, with a basket that runs it.
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, every, memoryStore } from "upkeep";
 * import { VirtualClock } from "upkeep/testing";
 *
 * const clock = new VirtualClock();
 * const instants: (number | undefined)[] = [];
 * const basket = new Basket({
 * 	store: memoryStore({ clock }),
 * 	clock,
 * 	tasks: { ping: { run: (_: void, { due }) => instants.push(due), every: every(30_000) } },
 * });
 * const running = basket.run();
 * await clock.advance(60_000);
 * await basket.stop();
 * await running;
 * assert.deepEqual(instants, [30_000, 60_000]);
 *
 * // Any library will do: this schedule knows midnight in UTC.
 * const day = 86_400_000;
 * const midnight = every({ text: "midnight", next: (after) => (Math.floor(after / day) + 1) * day });
 * await basket.schedule("cleanup", "ping", undefined, { every: midnight });
 * await basket.unschedule("cleanup");
 * ```
 */
export function every(schedule: number | string | Schedule): Recurrence {
	if (typeof schedule === "string") schedule = Number(schedule);
	if (typeof schedule === "number") return interval(schedule);
	const { text } = checkMethods("schedule", schedule, "next");
	check("schedule.text", text, "string", text !== "" && !/^\d+$/.test(text), "a text that is no number");
	return recurring({ text, next: (after) => schedule.next(after) });
}

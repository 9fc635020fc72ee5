/**
 * Cron patterns with time zones, for what recurs by the calendar. What recurs after a fixed number of milliseconds needs
 * no calendar, and does not shift when clocks change.
 *
 * The grammar is that of the [Open Cron Pattern Specification](https://github.com/open-source-cron/ocps) 1.4, a superset
 * of Vixie's cron:
 *
 * | field | values | in addition |
 * | --- | --- | --- |
 * | second (optional, else 0) | 0–59 | |
 * | minute | 0–59 | |
 * | hour | 0–23 | |
 * | day of month | 1–31 | `L` the last day, `15W` the workday that is nearest to the 15th in its month, `LW`, `?` |
 * | month | 1–12, `JAN`–`DEC` | |
 * | day of week | 0–7, `SUN`–`SAT` | `5#2` the second Friday, `5L` or `5#L` the last Friday, `+1` and a Monday, `?` |
 * | year (optional, after a second) | 1970–2199 | |
 *
 * Each field is `*`, `5`, `1-5`, `1-5/2`, `*` with `/2`, or a list of these. `?` is `*`. The nicknames are `@yearly`,
 * `@annually`, `@monthly`, `@weekly`, `@daily`, `@midnight` and `@hourly`.
 *
 * If both the day of the month and the day of the week are restricted, a day matches if it is among either. If one of
 * them begins with a star, or the day of the week begins with `+`, a day must be among both.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { cron } from "upkeep/cron";
 *
 * const nightly = cron("30 2 * * *", { timeZone: "Europe/Berlin" });
 * const next = nightly.next(Date.parse("2026-03-27T12:00:00Z"))!;
 * assert.equal(new Date(next).toISOString(), "2026-03-28T01:30:00.000Z");
 *
 * // In the night of the 29th, clocks go from 2:00 to 3:00. What was due at 2:30 is due at 3:00.
 * assert.equal(new Date(nightly.next(next)!).toISOString(), "2026-03-29T01:00:00.000Z");
 * ```
 *
 * @module
 */

import { recurring } from "../schedule/recurring.ts";
import type { Recurrence } from "../schedule/schedule.ts";
import { firstMatch } from "./calendar.ts";
import { type Pattern, readPattern } from "./pattern.ts";
import { type Change, type Zone, zoneOf } from "./zone.ts";
import { check } from "../platform/check.ts";

export type { Recurrence, Schedule } from "../schedule/schedule.ts";

/** Options for {@link cron}. */
export interface CronOptions {
	/**
	 * The time zone of the pattern: a name such as `"Europe/Berlin"` or `"UTC"`, or an offset such as `"+05:30"`. Name it
	 * if several machines run the same schedule. It is required if the engine does not know the zone of its machine, for
	 * example because `TZ` names a file.
	 *
	 * @default the time zone of the machine when `cron` is called
	 */
	timeZone?: string | undefined;
	/**
	 * What becomes of a fixed time that a change of clocks leaves out. `"end"`: it is due when the change happens, once for
	 * all such times of the pattern, as with Debian's cron. `"skip"`: it is left out.
	 *
	 * The Open Cron Pattern Specification recommends to skip. That is not the default, because a task of every night then
	 * does not run in one night of the year.
	 *
	 * @default "end"
	 */
	gap?: "end" | "skip" | undefined;
}

/**
 * Makes a {@link Schedule} of a cron pattern.
 *
 * A *fixed* time is one of a pattern whose minute and hour do not begin with a star. When clocks go back, a fixed time
 * that occurs twice is due the first time only. Any other pattern follows the clock on the wall: what it leaves out is not
 * due, and what it repeats is due again.
 *
 * `next` takes an instant in epoch milliseconds, and gives the first instant after it, on a whole second, or undefined
 * if there is none until the end of 2199: `0 0 30 2 *` is valid, but never due. It throws a TypeError if it is given
 * no number, and a RangeError for NaN.
 *
 * The `text` of the schedule is the pattern after its time zone as it was given, and after `CRON_GAP=skip` if that was chosen:
 * `CRON_TZ=Europe/Berlin 30 2 * * *`. `cron` reads such a text; what is written in it has priority over the options.
 * The rules of time zones come from `Intl` of the engine, so they are as new as the engine.
 *
 * @param text 5 to 7 fields separated by spaces or tabs, or a nickname
 * @throws {TypeError} if an argument has the wrong type
 * @throws {RangeError} if a field, the time zone or the gap is wrong; the message names it and says what it allows
 *
 * @example A stored text is read back.
 * ```ts
 * import assert from "node:assert/strict";
 * import { cron } from "upkeep/cron";
 *
 * const payday = cron("0 9 LW * *", { timeZone: "America/New_York" });
 * assert.equal(payday.text, "CRON_TZ=America/New_York 0 9 LW * *");
 * assert.equal(cron(payday.text).next(0), payday.next(0));
 * assert.throws(() => cron("0 25 * * *"), /"hour" must be 0 to 23/);
 * ```
 */
export function cron(text: string, options: CronOptions = {}): Recurrence {
	const { timeZone, gap = "end" } = check("options", options, "object");
	const words = check("text", text, "string").replace(/[ \t]+/g, " ");
	const [, zoneText, gapText, fields] = /^ ?(?:CRON_TZ=(\S+) )?(CRON_GAP=skip )?([^]*?) ?$/.exec(words)!;
	const name = check(
		"timeZone",
		zoneText ?? timeZone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone,
		"string",
	);
	check("gap", gap, "string", gap === "end" || gap === "skip", "end or skip");
	const isSkipped = gapText !== undefined || gap === "skip";
	const zone = zoneOf(name);
	const pattern = readPattern(fields!);
	return recurring({
		text: `CRON_TZ=${name} ${isSkipped ? "CRON_GAP=skip " : ""}${fields}`,
		next: (after) => {
			check("after", after, "number", after === after, "epoch milliseconds");
			return next(pattern, zone, isSkipped, after);
		},
	});
}

/*
 * The search is one for local times, which needs no Intl. Local times rise with the instants, except at a change that sets
 * clocks back; a change that sets clocks forward leaves some out. Both matter only near the start of the search and near
 * the local time that it finds.
 */
function next(pattern: Pattern, zone: Zone, isSkipped: boolean, after: number): number | undefined {
	const { isFixed } = pattern;
	// The years of patterns, with a day to spare for all time zones.
	let start = Math.floor(Math.min(Math.max(after, -1e8), 8e12) / 1000) * 1000 + 1000;
	let near = zone(start);
	let local = firstLocal(start, near, isFixed, isSkipped);
	for (;;) {
		const found = firstMatch(pattern, local);
		const there = found < Infinity ? zone(found) : near;
		const instant = instantOf(found, there, start);
		const crossed = [near, there].find(({ at, before, after }: Change) =>
			start < at && at <= instant && (!isFixed || isSkipped && before < after)
		);
		if (!crossed) return instant < Infinity ? instant : undefined;
		// The clock on the wall goes on from here: it may repeat times, or what was found may not exist.
		near = crossed;
		start = near.at;
		local = start + near.after;
	}
}

/** The first local time that may be due from `start` on. */
function firstLocal(start: number, { at, before, after }: Change, isFixed: boolean, isSkipped: boolean): number {
	if (start < at) return start + before;
	if (!isFixed) return start + after;
	// A repeated time is not due again. All times in a gap are due at its end.
	return start === at && !isSkipped ? at + before : Math.max(start + after, at + before);
}

/** The first instant from `start` on whose local time is the given one or, if there is none, the end of the gap. */
function instantOf(local: number, { at, before, after }: Change, start: number): number {
	const first = local - before;
	return first >= start && first < at ? first : Math.max(at, local - after);
}

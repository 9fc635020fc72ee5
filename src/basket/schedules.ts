/**
 * The options of a schedule. Each schedule brings along the code that runs it, so a basket without schedules has none.
 *
 * @module
 */

import type { Data } from "./store.ts";
import { deadEnding, type Ending, endingWith } from "./ending.ts";
import { openEnvelope } from "../schedule/envelope.ts";
import type { Recurrence } from "../schedule/schedule.ts";
import type { Recurs, Rule, Schedules, Tick, TickHost, TickOutcome, Ticks } from "../schedule/ticks.ts";
import { refuse } from "../platform/check.ts";

/** The ids of schedules begin with this. */
export const prefix = "schedule:";

/** When a task recurs. */
export interface Recurring {
	/**
	 * The schedule: `every(30_000)`, a `cron()` of `upkeep/cron`, or one of another library by `every({ text, next })`.
	 */
	every: Recurrence;
	/**
	 * What becomes of a tick that is claimed more than a minute after its instant, because no process was there or the
	 * tick before it took too long:
	 *
	 * - `"once"`: all missed instants are one tick. `context.due` is the latest of them;
	 * - `"all"`: each of them is a tick, in order;
	 * - `"skip"`: none of them runs, and the next tick is that of the next instant;
	 * - a number of milliseconds, instead of the minute: each tick runs unless it is later than that.
	 *
	 * @default "once"
	 */
	missed?: "once" | "all" | "skip" | number | undefined;
	/**
	 * The schedule is due up to this many milliseconds after its instants, so that many schedules are not due at the same
	 * time. A hash of its name determines the delay, which is always the same. @default 0
	 */
	spread?: number | undefined;
	/**
	 * Each tick is a task of its own, with the id of the schedule, `@` and its instant: a tick begins at its instant even
	 * if earlier ones run, fail or wait for their backoff. They are retried, kept and dead like other tasks, and go on if
	 * the schedule is ended. A limit of the kind holds for them and for the schedule. @default false
	 */
	overlap?: boolean | undefined;
}

/** The code of a schedule. */
export function ticksOf(every: Recurrence): Ticks {
	const { ticks } = Object(every);
	return Object(ticks) === ticks ? ticks : refuse("every", every, "a schedule, made by every() or cron()");
}

/** Checks a schedule. */
export function ruleOf({ every, missed, spread, overlap }: Recurring): Rule {
	return ticksOf(every).check(every, missed, spread, overlap);
}

/** See `Ticks.begin`. A claim of a schedule that this process cannot run is left to others. */
export async function beginTick(
	{ known, ticks }: Schedules,
	{ rule, reads }: Recurs,
	payload: Data,
	host: TickHost,
): Promise<Tick | TickOutcome> {
	const envelope = openEnvelope(payload);
	if (envelope === undefined) throw new TypeError("The stored schedule is damaged");
	const { text, isDeclared, of } = envelope;
	let every = known.get(text) ?? ticks?.read(text);
	for (const read of reads) {
		try {
			every ??= read(text);
		} catch {
			// It is for texts of another form.
		}
	}
	// A declared schedule whose kind has none does not fire any more.
	const isUnknown = isDeclared && rule === undefined;
	// A tick that is a task of its own needs no next instant.
	const code = of === undefined || every !== undefined ? every && ticksOf(every) : ticks;
	return isUnknown || !code ? { type: "release", delay: 5_000 } : await code.begin(envelope, host);
}

/** The schedule goes on: an attempt that is done or dead is the end of its tick only. */
export function endTick(tick: Tick, ending: Ending, attempts: number): Ending {
	const { type } = ending.outcome;
	if (tick.isAlone || type !== "done" && type !== "dead") return ending;
	try {
		const outcome = tick.end();
		if (outcome !== undefined) return { ...ending, told: type, outcome };
		return type === "done" ? endingWith({ type }) : ending;
	} catch (error) {
		// The schedule itself fails.
		return deadEnding(attempts, error);
	}
}

/** Refuses to complete a tick whose schedule goes on. */
export function checkCompletable(tick: Pick<Tick, "isAlone"> | undefined): void {
	if (tick?.isAlone !== false) return;
	throw new TypeError("A task of a schedule cannot be completed in a transaction: its next instant is stored later");
}

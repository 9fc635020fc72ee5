/**
 * Makes schedules that a basket takes: they bring the code along that runs them.
 *
 * @module
 */

import type { Envelope } from "./envelope.ts";
import type { Instants } from "./instants.ts";
import type { Recurrence } from "./schedule.ts";
import type { Rule, Ticks } from "./ticks.ts";
import { storeSchedule } from "./scheduling.ts";
import { beginTick } from "./tick.ts";
import { check, checkFinite, refuse } from "../platform/check.ts";

/** The longest interval, in milliseconds: ten years. */
const longest = 316_224_000_000;

/** A schedule with a fixed time between its instants. */
export function interval(period: number): Recurrence {
	const isAllowed = Number.isFinite(period) && period >= 1 && period <= longest;
	check("every", period, "number", isAllowed, "from 1 to ten years, in milliseconds");
	return recurring({ text: String(period), next: (after) => after + period, period });
}

/** Adds the code that runs a schedule, and checks what the schedule answers. */
export function recurring(instants: Instants): Recurrence {
	const { text, period } = instants;
	const next = (after: number) => {
		const instant = instants.next(after);
		if (instant === undefined) return undefined;
		return check("next()", instant, "number", instant > after && instant < Infinity, `later than ${after}, and finite`);
	};
	const checked = { text, next, period };
	const ticks: Ticks = {
		check: checkRule,
		read: (text) => /^\d/.test(text) && String(Number(text)) === text ? interval(Number(text)) : undefined,
		schedule: storeSchedule,
		begin: (envelope, host) => beginTick(checked, envelope, host),
	};
	return { text, next, ticks };
}

function checkRule(every: Recurrence, missed: Envelope["missed"] = "once", spread = 0, overlap = false): Rule {
	if (typeof missed === "number") {
		check("missed", missed, "number", missed > 0 && missed < Infinity, "more than 0, and finite");
	} else {
		const isWord = ["once", "all", "skip"].includes(missed);
		if (!isWord) {
			refuse("missed", missed, "once, all, skip or a number", typeof missed === "string" ? RangeError : TypeError);
		}
	}
	return { every, missed, spread: checkFinite("spread", spread), overlap: check("overlap", overlap, "boolean") };
}

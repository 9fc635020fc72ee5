/**
 * The offsets of time zones, from `Intl`.
 *
 * @module
 */

import { check } from "../platform/check.ts";

/** The change of the offset near an instant. If there is none, `at` is -Infinity and both offsets are the same. */
export interface Change {
	/** The instant from which the offset is `after`, in epoch milliseconds. */
	readonly at: number;
	/** Local time minus UTC before the change, in milliseconds. */
	readonly before: number;
	readonly after: number;
}

/** Returns the change that is nearest to an instant. It finds each that is at most 41 hours away. */
export type Zone = (instant: number) => Change;

type Offset = (instant: number) => number;

/*
 * Intl is slow, so it is asked once for each span of time. A span knows the changes around it as well: local times are at
 * most 14 hours away from the instant with the same digits, and a change skips at most a whole day (Apia in 2011). Spans
 * with their margins are shorter than the time between any two changes since 1970, which is 6.96 days (Boa Vista in 2000).
 */
const span = 2.5e8;
const margin = 1.5e8;

/** The zones in use, so that schedules share what Intl was asked. */
const zones: Record<string, Zone | null> = { __proto__: null };

/** @throws {RangeError} if the engine does not know the zone */
export function zoneOf(name: string): Zone {
	return zones[name.toLowerCase()] ??= remember(offsetOf(name));
}

function remember(offset: Offset): Zone {
	const changes = new Map<number, Change>();
	return (instant) => {
		const index = Math.floor(instant / span);
		const change = changes.get(index) ?? findChange(offset, index * span - margin, (index + 1) * span + margin);
		changes.set(index, change);
		return change;
	};
}

function findChange(offset: Offset, from: number, to: number): Change {
	const before = offset(from);
	const after = offset(to);
	if (before === after) return { at: -Infinity, before, after };
	while (to - from > 1000) {
		const middle = Math.floor((from + to) / 2000) * 1000;
		if (offset(middle) === before) from = middle;
		else to = middle;
	}
	return { at: to, before, after };
}

function offsetOf(timeZone: string): Offset {
	// The Intl of older engines, such as Node 20, has no zones that are offsets.
	const fixed = readOffset(timeZone);
	if (fixed !== undefined) return () => fixed;
	let format: Intl.DateTimeFormat | undefined;
	try {
		format = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
	} catch {
		check("timeZone", timeZone, "string", false, "a time zone or like +05:30");
	}
	return (instant) => readOffset(format!.format(instant)) ?? 0;
}

/** Reads `+05:30`, or the end of `1/7/1972, GMT-00:44:30`. UTC has no offset there. */
function readOffset(text: string): number | undefined {
	const parts = /(?:^|, GMT)([+-])([01]\d|2[0-3])(?::?([0-5]\d)(?::(\d\d))?)?$/.exec(text);
	if (!parts) return undefined;
	const [, sign, hours, minutes = 0, seconds = 0] = parts;
	return Number(sign + "1000") * (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds));
}

/**
 * The local times that match a pattern.
 *
 * @module
 */

import type { Pattern } from "./pattern.ts";

/** Returns the first local time from a local time on that matches, or Infinity. Both are written as if they were UTC. */
export function firstMatch(pattern: Pattern, from: number): number {
	// Year, month, day, hour, minute, second, and milliseconds, which are 0.
	const parts = new Date(Math.max(from, 0)).toISOString().match(/\d+/g)!.map(Number);
	// Each part moves on to its next match, and all smaller parts start anew. If it has none, the next larger part moves on.
	for (let i = 0; i < 6;) {
		const part = i === 2 ? firstDay(pattern, parts) : pattern.numbers[i]!.indexOf(1, parts[i]);
		if (part > parts[i]!) parts.fill(0, i + 1);
		if (part >= 0) parts[i++] = part;
		else if (i > 0) {
			parts.fill(0, i);
			parts[--i]!++;
		} else return Infinity;
	}
	parts[1]!--;
	return Date.UTC(...parts as [number, number]);
}

/** Returns the first day of the month from a day on that matches, or -1. */
function firstDay({ numbers, weekdays, isNear, isBoth }: Pattern, [year, month, from]: number[]): number {
	const dates = numbers[2]!;
	const end = new Date(Date.UTC(year!, month!, 0));
	const last = end.getUTCDate();
	const before = end.getUTCDay() - last + 35; // the weekday before the first, plus whole weeks
	const workday = isNear && nearestWorkday(dates[0] ? last : dates.indexOf(1), last, before);
	for (let day = from || 1; day <= last; day++) {
		const weekday = (before + day) % 7;
		const isDate = isNear ? day === workday : dates[day] || day === last && dates[0];
		const isWeekday = weekdays[weekday] || weekdays[weekday + Math.ceil(day / 7) * 7] ||
			day + 7 > last && weekdays[weekday + 42];
		if (isBoth ? isDate && isWeekday : isDate || isWeekday) return day;
	}
	return -1;
}

/** Returns the nearest day from Monday to Friday in the same month, if the month has the day. */
function nearestWorkday(date: number, last: number, before: number): number | undefined {
	const days = [0, -1, 1, 2, -2].map((distance) => date + distance);
	return days.find((day) => date <= last && day > 0 && day <= last && (before + day) % 7 % 6 > 0);
}

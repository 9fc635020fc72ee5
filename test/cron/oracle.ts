// A cron that goes minute by minute, as a daemon does: slow, simple, and written from the specification alone. Patterns
// have five fields.

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const weekdays = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const months = ["", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

export interface Rules {
	isFixed: boolean;
	/** Whether a minute of the day matches. */
	times: Uint8Array;
	/** Whether the day of a local time matches, which is written as if it were UTC. */
	isDay(local: number): boolean;
}

export function readRules(pattern: string): Rules {
	const [minutes, hours, dates, monthList, weekdayList] = pattern.split(" ") as [
		string,
		string,
		string,
		string,
		string,
	];
	const times = new Uint8Array(24 * 60);
	times.forEach((_, i) => times[i] = Number(has(minutes, i % 60, 0) && has(hours, Math.floor(i / 60), 0)));
	const known = new Map<number, boolean>();
	return {
		isFixed: !minutes.startsWith("*") && !hours.startsWith("*"),
		times,
		isDay: (local) => {
			const start = Math.floor(local / day) * day;
			if (!known.has(start)) known.set(start, isDayOf(new Date(start), dates, monthList, weekdayList));
			return known.get(start)!;
		},
	};
}

function isDayOf(date: Date, dates: string, monthList: string, weekdayList: string): boolean {
	if (!has(monthList, date.getUTCMonth() + 1, 1, months)) return false;
	const isDate = dates.split(",").some((item) => isDateOf(date, item));
	const isWeekday = weekdayList.replace("+", "").split(",").some((item) => isWeekdayOf(date, item));
	const both = /^[*?]/.test(dates) || /^[*?+]/.test(weekdayList);
	return both ? isDate && isWeekday : isDate || isWeekday;
}

function isDateOf(date: Date, item: string): boolean {
	const isLast = monthOf(date, 1) !== monthOf(date);
	if (item === "L") return isLast;
	if (!item.endsWith("W")) return has(item, date.getUTCDate(), 1);
	// The day that is meant is this day or one that is at most two days away, in the same month.
	return [-2, -1, 0, 1, 2].some((distance) => {
		const meant = new Date(+date + distance * day);
		const isMeant = item === "LW" ? monthOf(meant, 1) !== monthOf(meant) : meant.getUTCDate() === Number.parseInt(item);
		return isMeant && monthOf(meant) === monthOf(date) &&
			[0, -1, 1, -2, 2].find((way) => isWorkday(meant, way)) === -distance;
	});
}

function isWorkday(date: Date, distance: number): boolean {
	const other = new Date(+date + distance * day);
	return monthOf(other) === monthOf(date) && other.getUTCDay() % 6 !== 0;
}

function isWeekdayOf(date: Date, item: string): boolean {
	const [, name, nth] = /^(\w+?)(?:#([1-5L])|(?<!#)(?=L$))/.exec(item) ?? [];
	if (name === undefined) {
		const weekday = date.getUTCDay();
		return has(item, weekday, 0, weekdays) || weekday === 0 && has(item, 7, 0, weekdays);
	}
	if (!isWeekdayOf(date, name)) return false;
	if (nth === undefined || nth === "L") return monthOf(date, 7) !== monthOf(date);
	return Math.ceil(date.getUTCDate() / 7) === Number(nth);
}

function monthOf(date: Date, daysLater = 0): number {
	return new Date(+date + daysLater * day).getUTCMonth();
}

/** Whether a list of numbers and ranges contains a number. */
function has(list: string, number: number, min: number, names: string[] = []): boolean {
	return list.split(",").some((item) => {
		const [range, step = "1"] = item.split("/") as [string, string?];
		const [low, high = low] = range.split("-").map((word) => names.includes(word) ? names.indexOf(word) : Number(word));
		const [from, to] = /^[*?]$/.test(range) ? [min, Infinity] : [low!, high!];
		return number >= from && number <= to && (number - from) % Number(step) === 0;
	});
}

/** The minutes of a span of time, as instants and as the local times that a clock shows then. */
export interface Clock {
	readonly instants: number[];
	readonly locals: number[];
	/** Whether the clock has shown the local time before. */
	readonly isRepeated: boolean[];
}

export function clockOf(localOf: (instant: number) => number, from: number, to: number): Clock {
	const instants: number[] = [];
	for (let instant = from; instant <= to; instant += minute) instants.push(instant);
	const locals = instants.map(localOf);
	return { instants, locals, isRepeated: locals.map((local, i) => locals.indexOf(local) < i) };
}

/** Local time by `Intl`, written as if it were UTC. */
export function localTime(timeZone: string): (instant: number) => number {
	const format = new Intl.DateTimeFormat("en-GB", { timeZone, dateStyle: "short", timeStyle: "medium" });
	return (instant) => {
		const [date, month, year, hours, minutes, seconds] = format.format(instant).split(/\D+/).map(Number);
		return Date.UTC(year!, month! - 1, date, hours, minutes, seconds);
	};
}

/** The instants of a clock, but for the first, at which a pattern is due. */
export function dueAt(
	{ isFixed, times, isDay }: Rules,
	{ instants, locals, isRepeated }: Clock,
	gap: "end" | "skip",
): number[] {
	const matches = (local: number) => times[local / minute % (24 * 60)] === 1 && isDay(local);
	return instants.filter((_, i) => {
		const local = locals[i]!;
		if (i === 0) return false;
		if (matches(local) && !(isFixed && isRepeated[i])) return true;
		if (!isFixed || gap === "skip") return false;
		for (let skipped = locals[i - 1]! + minute; skipped < local; skipped += minute) {
			if (matches(skipped)) return true;
		}
		return false;
	});
}

/** The instants from 2000 until the end of 2037 at which clocks change, to the minute. */
export function changesOf(localOf: (instant: number) => number): number[] {
	const changes: number[] = [];
	const offset = (instant: number) => localOf(instant) - instant;
	for (let from = Date.UTC(2000, 0, 1); from < Date.UTC(2038, 0, 1); from += day) {
		if (offset(from) === offset(from + day)) continue;
		let at = from;
		while (offset(at) === offset(from)) at += minute;
		changes.push(at);
	}
	return changes;
}

/** Compares a schedule with this cron in the hours around a change, and returns the first difference. */
export function differenceAt(
	{ text, next }: { text: string; next(after: number): number | undefined },
	rules: Rules,
	clock: Clock,
	change: number,
	gap: "end" | "skip" = "end",
): string | undefined {
	const due = dueAt(rules, clock, gap);
	const first = clock.instants[0]!;
	const end = clock.instants.at(-1)!;
	const shift = Math.abs(clock.locals[clock.instants.indexOf(change)]! - clock.locals[0]! - (change - first));
	const nearby = [-shift, -shift / 2, 0, shift / 2, shift].flatMap((way) => [change + way - 1, change + way]);
	const starts = [first, ...due].map((after, i) => [after, due[i]] as const);
	const others = nearby.map((after) => [after, due.find((instant) => instant > after)] as const);
	for (const [after, expected] of [...starts, ...others]) {
		const actual = next(after) ?? Infinity;
		if (expected === undefined ? actual > end : actual === expected) continue;
		const [from, wanted, given] = [after, expected ?? end, actual].map(show);
		return `${text} after ${from}: ${given} instead of ${expected === undefined ? "later than " : ""}${wanted}`;
	}
	return undefined;
}

/** A clock for the hours around a change. */
export function clockAround(localOf: (instant: number) => number, change: number): Clock {
	const shift = Math.abs(localOf(change) - localOf(change - minute) - minute);
	return clockOf(localOf, change - shift - 2 * hour, change + shift + 2 * hour);
}

function show(instant: number): string {
	return instant < 8e15 ? new Date(instant).toISOString() : "never";
}

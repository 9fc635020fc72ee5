/**
 * The grammar of patterns: the Open Cron Pattern Specification 1.4, which extends that of Vixie's cron.
 *
 * @module
 */

import { check } from "../platform/check.ts";

/** A set of numbers: those whose element is 1. */
export type Numbers = number[];

/** What a pattern means. */
export interface Pattern {
	/** Years, months, days, hours, minutes, seconds. The day 0 is the last one of a month. */
	readonly numbers: readonly Numbers[];
	/** Days of the week from 0 to 6. Plus 7 to 35 they are the first to the fifth of a month, plus 42 the last. */
	readonly weekdays: Numbers;
	/** Whether the day of the month stands for the nearest day from Monday to Friday. */
	readonly isNear: boolean;
	/** Whether a day must match both the day of the month and the day of the week. */
	readonly isBoth: boolean;
	/** Whether neither the minute nor the hour begins with a star. */
	readonly isFixed: boolean;
}

/** A field: its name, its smallest and its largest number, what else it allows, and its names at four times their number. */
type Field = readonly [name: string, min: number, max: number, more?: string, names?: string];

const fields: readonly Field[] = [
	["second", 0, 59],
	["minute", 0, 59],
	["hour", 0, 23],
	["day of month", 1, 31, ", L, 15W, LW, ?"],
	["month", 1, 12, ", JAN", "    JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"],
	["day of week", 0, 7, ", MON, 5L, 1#2, +5, ?", "SUN MON TUE WED THU FRI SAT"],
	["year", 1970, 2199],
];

/** Of a list: a number or a range, a step, and which one of a month. */
const anyItem = /^([a-zA-Z]{3}|\d+)(?:-([a-zA-Z]{3}|\d+))?(?:\/(\d+))?(#[1-5]|#?L)?$/;

const nicknames: Readonly<Record<string, string | null>> = {
	__proto__: null,
	"@yearly": "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	"@monthly": "0 0 1 * *",
	"@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@hourly": "0 * * * *",
};

/**
 * Reads a nickname or the fields of a pattern, which are separated by single spaces.
 *
 * @throws {RangeError} if a field is wrong; the message names the field
 */
export function readPattern(text: string): Pattern {
	const lists = (nicknames[text] ?? text).split(" ");
	if (lists.length === 5) lists.unshift("0");
	if (lists.length === 6) lists.push("*");
	check("text", text, "string", lists.length === 7, "5 to 7 fields or a nickname, but not @reboot");
	const date = lists[3]!.replace("?", "*");
	const weekday = lists[5]!.replace("?", "*");
	lists[3] = date.replace(/^(\d+|L)W$/, "$1");
	return {
		numbers: [6, 4, 3, 2, 1, 0].map((index) => readList(lists[index]!, index)),
		weekdays: readList(weekday.replace(/^\+/, ""), 5),
		isNear: lists[3] !== date,
		isBoth: date[0] === "*" || weekday[0] === "*" || weekday[0] === "+",
		isFixed: lists[1]![0] !== "*" && lists[2]![0] !== "*",
	};
}

/** Reads a list of items: `5`, `1-5`, `1-5/2`, a star with or without a step, and for days of the week `5#2` or `5L`. */
function readList(list: string, index: number): Numbers {
	const [name, min, max, more = "", names = ""]: Field = fields[index]!;
	const numberOf = (word: string) => Number(word) >= 0 ? Number(word) : names.indexOf(word.toUpperCase()) / 4;
	const numbers: Numbers = [];
	for (const item of list.split(",")) {
		const [, low = "?", high, step = 1, nth] = anyItem.exec(item.replace(/^\*/, `${min}-${max}`)) ?? [];
		const every = Number(step);
		let first = numberOf(low);
		let last = numberOf(high ?? low);
		if (last < first && /sun/i.test(high!)) last = 7; // FRI-SUN
		const isRange = min <= first && first <= last && last <= max;
		const isStep = every > 0 && every <= max - min + 1 && (high || step === 1);
		if (item === "L" && index === 3) first = last = 0;
		else {
			const isAllowed = isRange && !!isStep && (!nth || index === 5 && !high);
			check(name, item, "string", isAllowed, `${min} to ${max}, as in *, 5, 1-5, 1-5/2${more}`);
		}
		const offset = nth ? 7 * (Number(nth.slice(-1)) || 6) : 0;
		for (let number = first; number <= last; number += every) numbers[index === 5 ? number % 7 + offset : number] = 1;
	}
	return numbers;
}

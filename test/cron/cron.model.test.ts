import { describe, expect, test } from "vitest";
import { cron } from "../../src/cron/cron.ts";
import fc from "../property.ts";
import { isLong, isNode } from "../support.ts";
import { readRules } from "./oracle.ts";

const day = 86_400_000;
const from = Date.UTC(2000, 0, 1);
const numRuns = isNode && isLong ? 1_000 : 300;

/** A number, a range, either with a step, or a star with or without one. */
function items(min: number, max: number, names: readonly string[] = []): fc.Arbitrary<string> {
	const number = fc.integer({ min, max }).map((number) => [number, names[number - min] ?? String(number)] as const);
	const range = fc.tuple(number, number).map(([a, b]) => a[0] <= b[0] ? `${a[1]}-${b[1]}` : `${b[1]}-${a[1]}`);
	const step = fc.integer({ min: 1, max: max - min + 1 });
	return fc.oneof(
		number.map(([, text]) => text),
		range,
		fc.tuple(range, step).map(([range, step]) => `${range}/${step}`),
		step.map((step) => `*/${step}`),
	);
}

function lists(item: fc.Arbitrary<string>): fc.Arbitrary<string> {
	return fc.oneof(fc.constant("*"), fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => items.join()));
}

const months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const weekdays = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const nth = fc.tuple(fc.integer({ min: 0, max: 6 }), fc.constantFrom("#1", "#2", "#3", "#4", "#5", "#L", "L"));
const dates = fc.oneof(
	{ weight: 3, arbitrary: lists(fc.oneof(items(1, 31), fc.constant("L"))) },
	fc.integer({ min: 1, max: 31 }).map((date) => `${date}W`),
	fc.constantFrom("LW", "?"),
);
const weekdayLists = fc.tuple(
	fc.constantFrom("", "", "+"),
	lists(fc.oneof(items(0, 6, weekdays), fc.constant("7"), nth.map(([day, which]) => `${weekdays[day]}${which}`))),
).map(([plus, list]) => plus + list);
const patterns = fc.tuple(lists(items(0, 59)), lists(items(0, 23)), dates, lists(items(1, 12, months)), weekdayLists)
	.map((fields) => fields.join(" "));
const instants = fc.integer({ min: from, max: Date.UTC(2037, 0, 1) });

describe("cron() and all patterns", () => {
	test("cron().next() agrees with a search day by day and minute by minute", () => {
		fc.assert(
			fc.property(patterns, instants, (pattern, after) => {
				const { times, isDay } = readRules(pattern);
				const { next } = cron(pattern, { timeZone: "UTC" });
				const actual = next(after) ?? Infinity;
				// Ten years are enough for nearly all patterns; for others it must be later.
				const end = after + 3_660 * day;
				for (let start = Math.floor(after / day) * day; start <= end; start += day) {
					if (!isDay(start)) continue;
					const minute = times.findIndex((is, i) => is === 1 && start + i * 60_000 > after);
					if (minute < 0) continue;
					expect(actual).toBe(start + minute * 60_000);
					return;
				}
				expect(actual > end).toBe(true);
			}),
			{ numRuns },
		);
	});

	test("cron().next() is the same for all instants up to it, in all zones", () => {
		const zones = ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca"];
		const parts = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), {
			minLength: 1,
			maxLength: 5,
		});
		fc.assert(
			fc.property(patterns, fc.constantFrom(...zones), instants, parts, fc.boolean(), (...given) => {
				const [pattern, timeZone, after, parts, isSkipped] = given;
				const { next } = cron(pattern, { timeZone, gap: isSkipped ? "skip" : "end" });
				const found = next(after);
				if (found === undefined) return;
				expect(found > after && found % 1_000 === 0).toBe(true);
				for (const part of [...parts, 1]) {
					const between = Math.min(after + Math.floor((found - after) * part), found - 1);
					expect(next(between)).toBe(found);
				}
			}),
			{ numRuns },
		);
	});

	test("cron() reads the text of each schedule back", () => {
		fc.assert(
			fc.property(patterns, instants, fc.constantFrom("end" as const, "skip" as const), (pattern, after, gap) => {
				const schedule = cron(pattern, { timeZone: "Europe/Berlin", gap });
				const again = cron(schedule.text);
				expect([again.text, again.next(after)]).toEqual([schedule.text, schedule.next(after)]);
			}),
			{ numRuns },
		);
	});
});

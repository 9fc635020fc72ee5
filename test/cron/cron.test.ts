import { describe, expect, test } from "vitest";
import { cron, type CronOptions, type Schedule } from "../../src/cron/cron.ts";

const utc = { timeZone: "UTC" };

/** The first instants after an instant, as text without seconds and milliseconds that are 0. */
function due({ next }: Schedule, after: string, count: number): string[] {
	const found: string[] = [];
	for (let instant = next(Date.parse(after)); instant !== undefined && found.length < count; instant = next(instant)) {
		found.push(new Date(instant).toISOString().replace(/(:00)?\.000Z$/, "Z"));
	}
	return found;
}

function errorOf(text: string, options?: CronOptions): Error {
	try {
		cron(text, options);
	} catch (error) {
		return error as Error;
	}
	throw new Error(`"${text}" was taken`);
}

describe("cron().next() at a change of time", () => {
	// The tz database has known these for many years, and so does every engine.
	const facts: Record<string, [timeZone: string, pattern: string, after: string, due: string[]]> = {
		"Berlin: a fixed time in the gap is due at its end, once for all of the pattern": [
			"Europe/Berlin",
			"0,30 2 * * *",
			"2020-03-28T12:00Z",
			["2020-03-29T01:00Z", "2020-03-30T00:00Z", "2020-03-30T00:30Z"],
		],
		"Berlin: so is each of its seconds": [
			"Europe/Berlin",
			"*/20 59 2 * * *",
			"2020-03-28T12:00Z",
			["2020-03-29T01:00Z", "2020-03-30T00:59Z", "2020-03-30T00:59:20Z"],
		],
		"Berlin: the time at the end of the gap is one with those in it": [
			"Europe/Berlin",
			"30 2,3 * * *",
			"2020-03-28T12:00Z",
			["2020-03-29T01:00Z", "2020-03-29T01:30Z", "2020-03-30T00:30Z"],
		],
		"Berlin: 1 ms before the end of the gap, the end is next": [
			"Europe/Berlin",
			"30 2 * * *",
			"2020-03-29T00:59:59.999Z",
			["2020-03-29T01:00Z", "2020-03-30T00:30Z"],
		],
		"Berlin: at the end of the gap, the next day is next": [
			"Europe/Berlin",
			"30 2 * * *",
			"2020-03-29T01:00Z",
			["2020-03-30T00:30Z"],
		],
		"Berlin: the day of a time in the gap must match, too": [
			"Europe/Berlin",
			"30 2 30 * *",
			"2020-03-28T12:00Z",
			["2020-03-30T00:30Z"],
		],
		"Berlin: a star follows the clock over the gap": [
			"Europe/Berlin",
			"*/30 * * * *",
			"2020-03-29T00:15Z",
			["2020-03-29T00:30Z", "2020-03-29T01:00Z"],
		],
		"Berlin: a star is not due for the gap": [
			"Europe/Berlin",
			"*/30 2 * * *",
			"2020-03-28T12:00Z",
			["2020-03-30T00:00Z"],
		],
		"Berlin: nor is a star that is asked just before its end": [
			"Europe/Berlin",
			"30 */2 * * *",
			"2020-03-29T00:59:59.999Z",
			["2020-03-29T02:30Z"],
		],
		"Berlin: a fixed time in the repeated hour is due in its first pass only": [
			"Europe/Berlin",
			"0,30 2 * * *",
			"2020-10-24T12:00Z",
			["2020-10-25T00:00Z", "2020-10-25T00:30Z", "2020-10-26T01:00Z"],
		],
		"Berlin: asked in the second pass, it is due the next day": [
			"Europe/Berlin",
			"0,30 2 * * *",
			"2020-10-25T01:10Z",
			["2020-10-26T01:00Z"],
		],
		"Berlin: a star is due in both passes": [
			"Europe/Berlin",
			"*/30 2 * * *",
			"2020-10-24T12:00Z",
			["2020-10-25T00:00Z", "2020-10-25T00:30Z", "2020-10-25T01:00Z", "2020-10-25T01:30Z", "2020-10-26T01:00Z"],
		],
		"Berlin: a star that is asked late in the first pass finds the second one": [
			"Europe/Berlin",
			"*/30 2 25 10 *",
			"2020-10-25T00:45Z",
			["2020-10-25T01:00Z", "2020-10-25T01:30Z", "2021-10-25T00:00Z"],
		],
		"Berlin: 0-59 is no star": [
			"Europe/Berlin",
			"0-59/30 2 * * *",
			"2020-10-24T12:00Z",
			["2020-10-25T00:00Z", "2020-10-25T00:30Z", "2020-10-26T01:00Z"],
		],
		"St John's 2010: the gap begins at 0:01": [
			"America/St_Johns",
			"0,1,30 0 * * *",
			"2010-03-13T12:00Z",
			["2010-03-14T03:30Z", "2010-03-14T03:31Z", "2010-03-15T02:30Z"],
		],
		"St John's 2010: the repeated hour is mostly that of the day before": [
			"America/St_Johns",
			"30 23 * * *",
			"2010-11-06T12:00Z",
			["2010-11-07T02:00Z", "2010-11-08T03:00Z"],
		],
		"São Paulo 2018: the gap begins at midnight": [
			"America/Sao_Paulo",
			"0 0 * * *",
			"2018-11-03T12:00Z",
			["2018-11-04T03:00Z", "2018-11-05T02:00Z"],
		],
		"Tehran 2021: the gap begins at midnight": [
			"Asia/Tehran",
			"0 0 * * *",
			"2021-03-21T12:00Z",
			["2021-03-21T20:30Z", "2021-03-22T19:30Z"],
		],
		"Cairo 2010: the gap begins at midnight": [
			"Africa/Cairo",
			"15 0 * * *",
			"2010-04-29T12:00Z",
			["2010-04-29T22:00Z", "2010-04-30T21:15Z"],
		],
		"Beirut 2019: the gap begins at midnight, on the last day of the month": [
			"Asia/Beirut",
			"0 0 L * *",
			"2019-03-30T12:00Z",
			["2019-03-30T22:00Z", "2019-04-29T21:00Z"],
		],
		"Lord Howe 2020: half an hour is left out": [
			"Australia/Lord_Howe",
			"15 2 * * *",
			"2020-10-03T12:00Z",
			["2020-10-03T15:30Z", "2020-10-04T15:15Z"],
		],
		"Lord Howe 2020: half an hour is repeated": [
			"Australia/Lord_Howe",
			"*/15 1 * * *",
			"2020-04-04T14:20Z",
			["2020-04-04T14:30Z", "2020-04-04T14:45Z", "2020-04-04T15:00Z", "2020-04-04T15:15Z", "2020-04-05T14:30Z"],
		],
		"Troll 2020: two hours are left out": [
			"Antarctica/Troll",
			"30 1,2 * * *",
			"2020-03-28T12:00Z",
			["2020-03-29T01:00Z", "2020-03-29T23:30Z"],
		],
		"Apia 2011: a whole day is left out": [
			"Pacific/Apia",
			"0 12 * * *",
			"2011-12-29T12:00Z",
			["2011-12-29T22:00Z", "2011-12-30T10:00Z", "2011-12-30T22:00Z"],
		],
		"Apia 2011: a task of that day is due at its end": [
			"Pacific/Apia",
			"30 8 30 12 *",
			"2011-12-01T00:00Z",
			["2011-12-30T10:00Z", "2012-12-29T18:30Z"],
		],
		"Casablanca 2020: clocks go back for Ramadan": [
			"Africa/Casablanca",
			"30 2 * * *",
			"2020-04-18T12:00Z",
			["2020-04-19T01:30Z", "2020-04-20T02:30Z"],
		],
		"Casablanca 2020: clocks go forward after Ramadan": [
			"Africa/Casablanca",
			"30 2 * * *",
			"2020-05-30T12:00Z",
			["2020-05-31T02:00Z", "2020-06-01T01:30Z"],
		],
		"Boa Vista 2000: clocks go back a week after they went forward": [
			"America/Boa_Vista",
			"30 0,23 * * *",
			"2000-10-14T12:00Z",
			["2000-10-15T02:30Z", "2000-10-15T04:30Z", "2000-10-16T03:30Z", "2000-10-16T04:30Z", "2000-10-17T03:30Z"],
		],
		"Monrovia 1972: 44.5 minutes are left out": [
			"Africa/Monrovia",
			"30 0 * * *",
			"1972-01-05T12:00Z",
			["1972-01-06T01:14:30Z", "1972-01-07T00:44:30Z"],
		],
	};

	test.each(Object.keys(facts))("%s", (title) => {
		const [timeZone, pattern, after, expected] = facts[title]!;
		expect(due(cron(pattern, { timeZone }), after, expected.length)).toEqual(expected);
	});

	// WebKitGTK of Debian has older time zones, in which Casey kept its time in 2021.
	const june = new Date(Date.UTC(2021, 5)).toLocaleTimeString("en-GB", { timeZone: "Antarctica/Casey" });
	test.skipIf(june !== "08:00:00")("Casey 2021: three hours are left out from 0:01, at 16:01 in UTC", () => {
		const expected = ["2021-10-02T16:01Z", "2021-10-03T14:00Z"];
		expect(due(cron("0 1 * * *", { timeZone: "Antarctica/Casey" }), "2021-10-02T12:00Z", 2)).toEqual(expected);
	});

	test("cron(gap: skip) leaves fixed times in the gap out", () => {
		const options = { timeZone: "Europe/Berlin", gap: "skip" } as const;
		const nightly = cron("0,30 2 * * *", options);
		expect(due(nightly, "2020-03-28T12:00Z", 1)).toEqual(["2020-03-30T00:00Z"]);
		expect(due(nightly, "2020-03-29T00:59:59.999Z", 1)).toEqual(["2020-03-30T00:00Z"]);
		expect(due(cron("0 3 * * *", options), "2020-03-29T00:59:59.999Z", 1)).toEqual(["2020-03-29T01:00Z"]);
		expect(due(nightly, "2020-10-24T12:00Z", 3)).toEqual([
			...["2020-10-25T00:00Z", "2020-10-25T00:30Z", "2020-10-26T01:00Z"],
		]);
	});

	test("cron().next() gives the last instants of a year that ends with a repeated hour", () => {
		// No zone has that, so the year of the pattern ends in an hour that is repeated on another day.
		const halves = cron("0 */30 1 25 10 * 2020", { timeZone: "Atlantic/Azores" });
		expect(due(halves, "2020-10-01T00:00Z", 9)).toEqual(["2020-10-25T02:00Z", "2020-10-25T02:30Z"]);
		const repeated = cron("0 */30 0 25 10 * 2020", { timeZone: "Atlantic/Azores" });
		expect(due(repeated, "2020-10-25T00:30Z", 9)).toEqual(["2020-10-25T01:00Z", "2020-10-25T01:30Z"]);
	});
});

describe("cron().next() by the calendar", () => {
	const rows: Record<string, [pattern: string, after: string, due: string[]]> = {
		"seconds": ["*/25 59 23 * * *", "2026-01-01T00:00Z", [
			...["2026-01-01T23:59Z", "2026-01-01T23:59:25Z", "2026-01-01T23:59:50Z", "2026-01-02T23:59Z"],
		]],
		"years": ["0 0 0 1 1 * 2030-2034/4", "2026-01-01T00:00Z", ["2030-01-01T00:00Z", "2034-01-01T00:00Z"]],
		"every other year, which is an even one": ["0 0 0 1 1 * */2", "2026-01-01T00:00Z", ["2028-01-01T00:00Z"]],
		"lists, ranges and steps": ["5,10-20/5 0 1 1 *", "2026-01-01T00:00Z", [
			...["2026-01-01T00:05Z", "2026-01-01T00:10Z", "2026-01-01T00:15Z", "2026-01-01T00:20Z", "2027-01-01T00:05Z"],
		]],
		"a step as long as the field": ["*/60 */24 * * *", "2026-01-01T12:00Z", ["2026-01-02T00:00Z"]],
		"February 29": ["0 0 29 2 *", "2026-01-01T00:00Z", ["2028-02-29T00:00Z", "2032-02-29T00:00Z"]],
		"February 29 over 2100, which is no leap year": ["0 0 29 2 *", "2097-01-01T00:00Z", ["2104-02-29T00:00Z"]],
		"names in any case": ["0 0 * jan,Feb Mon", "2026-01-27T00:00Z", ["2026-02-02T00:00Z"]],
		"ranges of names": ["0 0 1-7 DEC +FRI-SUN", "2026-01-01T00:00Z", [
			...["2026-12-04T00:00Z", "2026-12-05T00:00Z", "2026-12-06T00:00Z", "2027-12-03T00:00Z"],
		]],
		"7 as Sunday": ["0 0 * * 7", "2026-01-01T00:00Z", ["2026-01-04T00:00Z", "2026-01-11T00:00Z"]],
		"6-7 as Saturday and Sunday": ["0 0 * * 6-7", "2026-01-01T00:00Z", ["2026-01-03T00:00Z", "2026-01-04T00:00Z"]],
		"either day if both are restricted": ["0 0 13 * FRI", "2026-01-10T00:00Z", [
			...["2026-01-13T00:00Z", "2026-01-16T00:00Z", "2026-01-23T00:00Z"],
		]],
		"both if one begins with a star": ["0 0 */2 * MON", "2026-01-01T00:00Z", [
			"2026-01-05T00:00Z",
			"2026-01-19T00:00Z",
		]],
		"both if the other begins with a star": ["0 0 13 * */5", "2026-01-01T00:00Z", [
			...["2026-02-13T00:00Z", "2026-03-13T00:00Z"],
		]],
		"either if a star comes later": ["0 0 13,* * MON", "2026-01-01T00:00Z", ["2026-01-02T00:00Z"]],
		"both with +": ["0 0 13 * +FRI", "2026-01-01T00:00Z", ["2026-02-13T00:00Z", "2026-03-13T00:00Z"]],
		"? as a star": ["0 0 ? * MON", "2026-01-01T00:00Z", ["2026-01-05T00:00Z"]],
		"? as a star of the week": ["0 0 13 * ?", "2026-01-01T00:00Z", ["2026-01-13T00:00Z"]],
		"L, the last day": ["0 0 L * *", "2028-01-15T00:00Z", ["2028-01-31T00:00Z", "2028-02-29T00:00Z"]],
		"L in a list": ["0 0 L,1 * *", "2026-01-15T00:00Z", [
			"2026-01-31T00:00Z",
			"2026-02-01T00:00Z",
			"2026-02-28T00:00Z",
		]],
		"5L, the last Friday": ["0 0 * * 5L", "2026-01-01T00:00Z", ["2026-01-30T00:00Z", "2026-02-27T00:00Z"]],
		"FRI#L, the last Friday": ["0 0 * * FRI#L", "2026-01-01T00:00Z", ["2026-01-30T00:00Z", "2026-02-27T00:00Z"]],
		"7#L, the last Sunday": ["0 0 * * 7#L", "2026-01-01T00:00Z", ["2026-01-25T00:00Z"]],
		"2#3, the third Tuesday": ["0 0 * * 2#3", "2026-01-01T00:00Z", ["2026-01-20T00:00Z", "2026-02-17T00:00Z"]],
		"5#5, in months that have it": ["0 0 * * 5#5", "2026-01-01T00:00Z", ["2026-01-30T00:00Z", "2026-05-29T00:00Z"]],
		"a list of these": ["0 0 * * MON#1,WED,FRIL", "2026-01-21T00:00Z", [
			...["2026-01-28T00:00Z", "2026-01-30T00:00Z", "2026-02-02T00:00Z", "2026-02-04T00:00Z"],
		]],
		"15W on a Saturday": ["0 0 15W 8 *", "2026-01-01T00:00Z", ["2026-08-14T00:00Z"]],
		"15W on a Sunday": ["0 0 15W 11 *", "2026-01-01T00:00Z", ["2026-11-16T00:00Z"]],
		"1W on a Saturday stays in its month": ["0 0 1W 8 *", "2026-01-01T00:00Z", ["2026-08-03T00:00Z"]],
		"31W on a Sunday stays in its month": ["0 0 31W 5 *", "2026-01-01T00:00Z", ["2026-05-29T00:00Z"]],
		"31W, in months that have it": ["0 0 31W * *", "2026-02-01T00:00Z", ["2026-03-31T00:00Z", "2026-05-29T00:00Z"]],
		"LW, the last workday": ["0 0 LW * *", "2026-01-01T00:00Z", ["2026-01-30T00:00Z", "2026-02-27T00:00Z"]],
		"@yearly": ["@yearly", "2026-06-01T12:00Z", ["2027-01-01T00:00Z"]],
		"@annually": ["@annually", "2026-06-01T12:00Z", ["2027-01-01T00:00Z"]],
		"@monthly": ["@monthly", "2026-06-01T12:00Z", ["2026-07-01T00:00Z"]],
		"@weekly": ["@weekly", "2026-06-01T12:00Z", ["2026-06-07T00:00Z"]],
		"@daily": ["@daily", "2026-06-01T12:00Z", ["2026-06-02T00:00Z"]],
		"@midnight": ["@midnight", "2026-06-01T12:00Z", ["2026-06-02T00:00Z"]],
		"@hourly": ["@hourly", "2026-06-01T12:00Z", ["2026-06-01T13:00Z"]],
	};

	test.each(Object.keys(rows))("cron().next() knows %s", (title) => {
		const [pattern, after, expected] = rows[title]!;
		expect(due(cron(pattern, utc), after, expected.length)).toEqual(expected);
	});

	test("cron().next() is later than an instant, on a whole second", () => {
		const { next } = cron("* * * * * *", utc);
		expect([next(0), next(-1), next(0.5), next(999.9), next(1000)]).toEqual([1000, 0, 1000, 1000, 2000]);
		expect([next(-Infinity), next(-1e300)]).toEqual([0, 0]);
	});

	test("cron().next() is undefined if a pattern is impossible or over", () => {
		const never = ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 30W 2 *", "0 0 1 * +MON#2", "0 0 31 6 +MON"];
		for (const pattern of never) expect(cron(pattern, { timeZone: "Europe/Berlin" }).next(0)).toBe(undefined);
		expect(cron("0 0 0 1 1 * 2020", utc).next(Date.UTC(2020, 0, 1))).toBe(undefined);
		expect(cron("* * * * *", utc).next(Date.UTC(2199, 11, 31, 23, 59))).toBe(undefined);
		for (const after of [Infinity, 8.64e15, 1e300]) expect(cron("* * * * *", utc).next(after)).toBe(undefined);
	});

	test("cron().next() begins and ends with the local years 1970 and 2199", () => {
		for (const timeZone of ["+14:00", "-12:00"]) {
			const { next } = cron("@yearly", { timeZone });
			const offset = timeZone === "+14:00" ? 14 * 3_600_000 : -12 * 3_600_000;
			expect(next(-Infinity)).toBe(-offset);
			expect(next(Date.UTC(2198, 5))).toBe(Date.UTC(2199, 0) - offset);
			expect(next(Date.UTC(2199, 5))).toBe(undefined);
		}
	});
});

describe("cron() and time zones", () => {
	const offsets: Record<string, number> = { "+05:30": 330, "+0530": 330, "-00:30": -30, "+14": 840, "-23:59": -1439 };

	test.each(Object.keys(offsets))("cron() takes the offset %s", (timeZone) => {
		const { next, text } = cron("0 0 1 6 *", { timeZone });
		expect(next(Date.UTC(2026, 0))).toBe(Date.UTC(2026, 5) - offsets[timeZone]! * 60_000);
		expect(text).toBe(`CRON_TZ=${timeZone} 0 0 1 6 *`);
	});

	test("cron() uses the zone of the machine by default", () => {
		const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
		expect(cron("@daily").text).toBe(`CRON_TZ=${timeZone} @daily`);
		expect(new Date(cron("30 14 * * *").next(Date.now())!).getHours()).toBe(14);
	});

	test("cron() takes names of zones in any case", () => {
		const [one, other] = ["Asia/Tokyo", "asia/tokyo"].map((timeZone) => cron("@daily", { timeZone }));
		expect(one!.next(0)).toBe(15 * 3_600_000);
		expect(other!.next(0)).toBe(15 * 3_600_000);
	});

	test("cron() refuses zones that do not exist by name", () => {
		for (const timeZone of ["", "Europe/Bonn", "+24:00", "+5", "+05:60", "UTC+1", "Europe/Berlin "]) {
			const error = errorOf("@daily", { timeZone });
			expect([error.name, error.message.startsWith('"timeZone" must be')]).toEqual(["RangeError", true]);
		}
	});
});

describe("Schedule.text", () => {
	test("Schedule.text is the pattern after its zone, with single spaces", () => {
		expect(cron(" 30\t2  * * * ", { timeZone: "Europe/Berlin" }).text).toBe("CRON_TZ=Europe/Berlin 30 2 * * *");
		expect(cron("@daily", utc).text).toBe("CRON_TZ=UTC @daily");
		expect(cron("@daily", { ...utc, gap: "skip" }).text).toBe("CRON_TZ=UTC CRON_GAP=skip @daily");
	});

	test("cron() reads Schedule.text, which has priority over options", () => {
		const options: CronOptions[] = [{ timeZone: "Asia/Tehran" }, { timeZone: "Asia/Tehran", gap: "skip" }];
		for (const given of options) {
			const schedule = cron("0 0 * * *", given);
			const again = cron(schedule.text, { timeZone: "UTC" });
			expect(again.text).toBe(schedule.text);
			const before = Date.UTC(2021, 2, 21, 12);
			expect(again.next(before)).toBe(schedule.next(before));
		}
	});
});

describe("cron() refuses", () => {
	const wrong: Record<string, string[]> = {
		"text": ["", " ", "* * * *", "* * * * * * * *", "@reboot", "@constructor", "@Daily", "@daily 1", "@", "daily"],
		"second": ["60 * * * * *", "CRON_GAP=end * * * * *", "@daily * * * * *"],
		"minute": ["60 * * * *", "0/15 * * * *", "/15 * * * *", "*/0 * * * *", "*/61 * * * *", "5-1 * * * *", "-1 * * * *"],
		"hour": [
			"* 24 * * *",
			"* ? * * *",
			"* 1e1 * * *",
			"* 0x1 * * *",
			"* 1.5 * * *",
			"* , * * *",
			"* 1, * * *",
			"* 2- * * *",
		],
		"day of month": [
			"* * 0 * *",
			"* * 32 * *",
			"* * 1-15W * *",
			"* * 1W,15 * *",
			"* * 32W * *",
			"* * l * *",
			"* * L-3 * *",
		],
		"month": ["* * * 13 *", "* * * 0 *", "* * * ? *", "* * * JANUARY *", "* * * MON *", "* * * L *", "* * * NOV-FEB *"],
		"day of week": [
			...[
				"* * * * 8",
				"* * * * L",
				"* * * * 5l",
				"* * * * 5#6",
				"* * * * 5#0",
				"* * * * 1-5#2",
				"* * * * 1+",
				"* * * * ++1",
			],
			...["* * * * 1,+2", "* * * * +", "* * * * 5-0", "* * * * 1#", "* * * * UNM", "* * * * \n"],
		],
		"year": ["* * * * * * 1969", "* * * * * * 2200", "* * * * * * */231"],
	};

	test.each(Object.keys(wrong))("cron() names the field that is wrong, what it is and what it allows: %s", (field) => {
		for (const pattern of wrong[field]!) {
			const { name, message } = errorOf(pattern, utc);
			expect([pattern, name, message.split(" must be ")[0]]).toEqual([pattern, "RangeError", `"${field}"`]);
			expect(/current value is/.test(message)).toBe(true);
		}
		if (field !== "text") expect(errorOf(wrong[field]![0]!).message).toMatch(/must be \d+ to \d+/);
	});

	test("cron() says that @reboot is not supported", () => {
		expect(errorOf("@reboot").message).toMatch(/not @reboot/);
	});
});

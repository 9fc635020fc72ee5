import { describe, expect, test } from "vitest";
import { ago, count, duration, instant, plural, readable } from "../../src/inspector/words.ts";

const now = 1_790_000_000_000;

describe("words of an inspector", () => {
	test("durations have at most two units", () => {
		const of = (...durations: number[]) => durations.map(duration);
		expect(of(0, 80.4, 999, 1_000, 4_249, 9_949)).toEqual(["0 ms", "80 ms", "999 ms", "1.0 s", "4.2 s", "9.9 s"]);
		expect(of(9_950, 59_499, 60_000, 61_000)).toEqual(["10 s", "59 s", "1 min", "1 min 1 s"]);
		expect(of(600_000, 3_600_000, 3_900_000, 86_400_000, 90_000_000)).toEqual([
			"10 min",
			"1 h",
			"1 h 5 min",
			"1 d",
			"1 d 1 h",
		]);
	});

	test("instants are told coarsely from now", () => {
		const of = (...distances: number[]) => distances.map((distance) => ago(now + distance, now));
		expect(of(0, -999, 999)).toEqual(["now", "now", "now"]);
		expect(of(-1_000, 1_000, -59_999, -60_000, 125_000)).toEqual([
			"1 s ago",
			"in 1 s",
			"59 s ago",
			"1 min ago",
			"in 2 min",
		]);
		expect(of(-7_500_000, -864_000_000)).toEqual(["2 h 5 min ago", "10 d ago"]);
	});

	test("an instant that is no date is told as never", () => {
		expect([ago(NaN, now), ago(Infinity, now), duration(NaN)]).toEqual(["never", "never", "–"]);
		expect(instant(NaN)).toBe("never");
		expect(instant(Infinity)).toBe("never");
		expect(instant(now)).toMatch(/2026/);
	});

	test("numbers stay short", () => {
		expect([0, 999, 12_345, 123_456, 1_234_567].map(count)).toEqual(["0", "999", "12,345", "123.5K", "1.2M"]);
		expect([plural(1, "task"), plural(2, "task")]).toEqual(["1 task", "2 tasks"]);
	});

	test("values are shown as JSON, and texts as they are", () => {
		expect(readable({ a: [1] })).toBe('{\n  "a": [\n    1\n  ]\n}');
		expect(readable("a\nb")).toBe("a\nb");
		expect(readable(null)).toBe("null");
		expect(readable(undefined)).toBe("undefined");
	});
});

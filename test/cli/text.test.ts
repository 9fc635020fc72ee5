import { describe, expect, test } from "vitest";
import { clean, cleanLines, count, cut, distance, duration, instant, toJson, widthOf } from "../../src/cli/text.ts";

/**
 * Sets the window title, reverses the text direction, begins a sequence with one character, ends with a lone
 * surrogate, rings the bell.
 */
const evil = "a\x1b]0;b\x07\u202ec\x9bd\u2028e\ud800f\x7f";

/** Characters that could control a terminal. */
const harmful = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

describe("clean()", () => {
	test("writes out what cannot be seen", () => {
		expect(clean("a\x1b[31mb\x9b2J\u202ec\ud800")).toBe("a\\u{1b}[31mb\\u{9b}2J\\u{202e}c\\u{d800}");
		expect(clean(evil)).not.toMatch(harmful);
	});

	test("makes one line of several", () => {
		expect(clean("\n a\r\n\tb\u2029c ")).toBe("a b c");
	});

	test("leaves letters of any script alone", () => {
		const text = "Grüße, 世界 🎉 नमस्ते";
		expect(clean(text)).toBe(text);
	});
});

test("cleanLines() keeps lines and their indents, and nothing else that cannot be seen", () => {
	expect(cleanLines("a\r\n\tb\x1bc")).toEqual(["a", "    b\\u{1b}c"]);
});

describe("toJson()", () => {
	test("gives the same values in text that does no harm", () => {
		const value = { [evil]: [evil, 1, null, true], "😀": "世界" };
		const text = toJson(value);
		expect(text).not.toMatch(harmful);
		expect(JSON.parse(text)).toEqual(value);
	});

	test("keeps the lines of an indent", () => {
		expect(toJson({ a: [1] }, "  ")).toBe('{\n  "a": [\n    1\n  ]\n}');
	});
});

describe("widthOf()", () => {
	test.each([["", 0], ["abc", 3], ["世界", 4], ["e\u0301", 1], ["🎉", 2], ["ｈｉ", 4], ["Ж…", 2]])(
		"of %s is %d",
		(text, width) => {
			expect(widthOf(text)).toBe(width);
		},
	);
});

describe("cut()", () => {
	test("leaves what fits", () => {
		expect([cut("abcd", 4), cut("世界", 4), cut("", 0)]).toEqual(["abcd", "世界", ""]);
	});

	test("never makes more columns than there are, whatever the text", () => {
		for (
			const text of ["abcdefgh", "世界世界世界", "a世界世界世", "🎉🎉🎉🎉", "a" + "\u0301".repeat(10_000) + "bcdefgh"]
		) {
			for (let width = 0; width < 8; width++) {
				expect(widthOf(cut(text, width))).toBeLessThanOrEqual(width);
				expect(cut(text, width).length).toBeLessThan(100);
			}
		}
		expect(cut("abcdefgh", 4)).toBe("abc…");
		expect(cut("世界世界", 4)).toBe("世…");
	});
});

test("duration() has one unit", () => {
	const times = [0, 340, 999, 1_240, 12_000, 119_000, 150_000, 7_190_000, 7_200_000, 172_800_000, 1e10];
	expect(times.map(duration)).toEqual([
		"0 ms",
		"340 ms",
		"999 ms",
		"1.2 s",
		"12 s",
		"119 s",
		"3 min",
		"120 min",
		"2 h",
		"2 d",
		"116 d",
	]);
});

test("distance() says which way", () => {
	expect([distance(5_000, 0), distance(0, 5_000), distance(500, 0)]).toEqual(["in 5 s", "5 s ago", "now"]);
});

test("instant() is of the reader's time zone, and never throws", () => {
	expect(instant(new Date(2026, 10, 3, 4, 5, 6).getTime())).toBe("2026-11-03 04:05:06");
	expect(instant(9e15)).toBe("9000000000000000");
});

test("count() knows one from many", () => {
	expect([count(1, "task"), count(0, "task"), count(1200, "task")]).toEqual(["1 task", "0 tasks", "1,200 tasks"]);
});

import { describe, expect, test } from "vitest";
import { type Squeeze, toTable } from "../../src/cli/table.ts";
import { coloured, plain, widthOf } from "../../src/cli/text.ts";

const columns = [{ title: "ID" }, { title: "N", isRight: true }, { title: "TEXT", styles: { bad: "red" } }] as const;
const rows = [["a", "1", "a text that is long"], ["bcd", "10", "世界世界世界世界世界"], ["", "", ""]];
const squeeze: Squeeze = [[2, 8], [1, 0], [2, 0], [0, 2]];

describe("toTable()", () => {
	test("is as wide as its text where there is room", () => {
		expect(toTable(columns, rows, squeeze, 80, plain)).toEqual([
			"ID    N  TEXT",
			"a     1  a text that is long",
			"bcd  10  世界世界世界世界世界",
			"",
		]);
	});

	test("gives up what it was told to, in that order", () => {
		expect(toTable(columns, rows, squeeze, 18, plain)[1]).toBe("a     1  a text t…");
		expect(toTable(columns, rows, squeeze, 13, plain)[1]).toBe("a    a text …");
		expect(toTable(columns, rows, squeeze, 9, plain)[1]).toBe("a");
		expect(toTable(columns, rows, squeeze, 2, plain)[2]).toBe("b…");
	});

	test("is never wider than the terminal", () => {
		for (let width = 1; width < 60; width++) {
			for (const line of toTable(columns, rows, squeeze, width, plain)) {
				expect(widthOf(line)).toBeLessThanOrEqual(width);
			}
			for (const line of toTable(columns, rows, [], width, plain)) expect(widthOf(line)).toBeLessThanOrEqual(width);
		}
	});

	test("colours the text and not the room around it", () => {
		expect(toTable(columns, [["a", "1", "bad"]], squeeze, 80, coloured)[1]).toBe("a   1  \x1b[31mbad\x1b[0m");
	});
});

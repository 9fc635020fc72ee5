// Only Node: the same storm in Deno and Bun would show the same of the library, and `kills.test.ts` shows how their processes die.
import process from "node:process";
import { describe, expect, test } from "vitest";
import { killRecurring } from "../../kills/recurring.ts";

const [instants, kills] = process.env["UPKEEP_LONG"] === "1" ? [10, 5] : [6, 2];

describe("every() in 20 baskets of 4 processes that are killed", () => {
	test("runs each instant, in order, and again only after a kill before its settlement", async () => {
		const report = await killRecurring("sqlite", instants, { kills, interval: 700 }, kills);
		expect(report.violations).toEqual([]);
		expect(report.instants).toBeGreaterThanOrEqual(instants);
		expect(report.kills).toBeGreaterThanOrEqual(kills);
		expect(report.stuck).toBeGreaterThan(0);
	}, 120_000);
});

import process from "node:process";
import { describe, expect, test } from "vitest";
import { killLimited } from "../../kills/limits.ts";

const kills = process.env["UPKEEP_LONG"] === "1" ? 50 : 10;

describe("limit() in 8 processes that are killed", () => {
	test("never lets more tasks of a key run or begin than it allows, and all tasks are done", async () => {
		const report = await killLimited("sqlite", { kills, interval: 100 }, kills);
		expect(report.violations).toEqual([]);
		expect(report.kills).toBe(kills);
		expect(report.interrupted).toBeGreaterThan(0);
		expect(report.atOnce).toBe(2); // the storm comes up to the limit
	}, 120_000);
});

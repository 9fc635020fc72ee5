// Only Node: the same storm in Deno and Bun would show the same of the library, and `kills.test.ts` shows how their processes die.
import process from "node:process";
import { describe, expect, test } from "vitest";
import { killBatches } from "../../kills/batches.ts";

const kills = process.env["UPKEEP_LONG"] === "1" ? 10 : 6;

describe("batch() in 8 processes that are killed", () => {
	test(
		"runs each task to its end, those of a lane in order, and only the tasks that kill their processes become dead",
		async () => {
			const report = await killBatches("sqlite", { kills }, kills);
			expect(report.violations).toEqual([]);
			expect(report.kills).toBeGreaterThanOrEqual(kills);
			expect(report.interrupted).toBeGreaterThan(0);
			expect(report.most).toBeGreaterThan(1);
			expect(report.mostOfLane).toBeGreaterThan(1);
		},
		120_000,
	);
});

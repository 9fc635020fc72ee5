// Only Node: the same storm in Deno and Bun would show the same of the library, and `kills.test.ts` shows how their processes die.
import { describe, expect, test } from "vitest";
import { killLimited } from "../../kills/limits.ts";

describe("limit() in 8 processes that are killed", () => {
	test.each(
		[
			{ database: "sqlite", kills: 6 },
			{ database: "postgres", kills: 5 },
		] as const,
	)("never lets more tasks of a key run or begin than it allows, and all are done, on $database", async ({
		database,
		kills,
	}) => {
		const report = await killLimited(database, { kills, interval: 100 }, kills);
		expect(report.violations).toEqual([]);
		expect(report.kills).toBe(kills);
		expect(report.interrupted).toBeGreaterThan(0);
		expect(report.atOnce).toBe(2); // the storm comes up to the limit
	}, 120_000);
});

import { describe, expect, test } from "vitest";
import { replaceAndKill } from "../../kills/replaces.ts";

// 10,000 for the promise as it is written; fewer show the same.
describe("Basket.add() with ifPresent: replace, by 8 processes that are killed", () => {
	test("leaves one task, with the payload that was committed last", async () => {
		const { replaces, kills, tasks, last, runs } = await replaceAndKill("sqlite", 8, 1_000);
		expect(replaces).toBeGreaterThanOrEqual(1_000);
		expect(kills).toBeGreaterThan(0);
		expect(tasks).toBe(1);
		expect(runs).toEqual([last]);
	}, 120_000);
});

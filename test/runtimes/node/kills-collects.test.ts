// Only Node: the same storm in Deno and Bun would show the same of the library, and `kills.test.ts` shows how their processes die.
import process from "node:process";
import { describe, expect, test } from "vitest";
import { killCollecting } from "../../kills/collects.ts";

const [items, kills] = process.env["UPKEEP_LONG"] === "1" ? [3_000, 10] : [1_000, 6];

describe("Basket.add() with ifPresent: collect, in 8 processes that are killed", () => {
	test("gives each item to a run that is done, in order, and to another one only after a kill", async () => {
		const report = await killCollecting("sqlite", items, { kills }, kills);
		expect(report.violations).toEqual([]);
		expect(report.items).toBeGreaterThanOrEqual(items);
		expect(report.kills).toBeGreaterThanOrEqual(kills);
		expect(report.most).toBeGreaterThan(1);
	}, 120_000);
});

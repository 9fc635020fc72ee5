// The tests with killed processes, for each database. They use the real time of the platform.
import { describe, expect, test } from "vitest";
import type { DatabaseName } from "./database.ts";
import { killRepeatedly } from "./recovery.ts";
import { killAtRandom } from "./storm.ts";

/**
 * @param kills the number of kills; `npm run kills` makes hundreds
 * @param crashes the number of times that the server is killed, if the database has one
 */
export function testKills(database: DatabaseName, kills: number, crashes = 0): void {
	describe(`Basket on ${database} with processes that are killed`, () => {
		test("every task is done, what complete() commits is there once, and lanes are in order", async () => {
			// On a busy machine the file below Deno KV may keep a call waiting for longer than a third of a short lease.
			const lease = database === "deno-kv" ? 3_000 : 1_000;
			const report = await killAtRandom({ database, kills, crashes, lease, seed: kills });
			expect(report.violations).toEqual([]);
			expect([report.kills, report.crashes]).toEqual([kills, crashes]);
			expect(report.interrupted).toBeGreaterThan(0);
		}, 180_000);

		test("a task is run again by another process when the lease is over", async () => {
			const lease = 500;
			const recoveries = await killRepeatedly(database, 3, lease);
			for (const { goneAt, leaseEndedAt, begunAt } of recoveries) {
				expect(begunAt).toBeGreaterThanOrEqual(leaseEndedAt);
				expect(leaseEndedAt).toBeLessThanOrEqual(goneAt + lease);
			}
		}, 60_000);
	});
}

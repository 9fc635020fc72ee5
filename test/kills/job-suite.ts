// The tests of jobs with killed processes, for each database. They use the real time of the platform.
import { expect, test } from "vitest";
import type { DatabaseName } from "./database.ts";
import { killJobsAtRandom } from "./job-storm.ts";

/** @param kills the number of kills; `npm run kills -- --jobs` makes hundreds */
export function testJobKills(database: DatabaseName, kills: number): void {
	test(
		`jobs on ${database} whose processes are killed: none is lost, no stored step runs again, no revert is skipped`,
		async () => {
			const report = await killJobsAtRandom({ database, kills, seed: kills, lease: 1_500 });
			expect(report.violations).toEqual([]);
			expect(report.kills).toBe(kills);
			expect(report.interrupted).toBeGreaterThan(0);
		},
		120_000,
	);
}

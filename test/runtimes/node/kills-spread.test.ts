// Only Node: it is about servers that are killed, and Deno and Bun would see the same of them.
import { expect, test } from "vitest";
import { spread } from "../../kills/spread.ts";

test(
	"tasks over several databases, one of which is away for longer than a lease: none is lost, and the others go on",
	async () => {
		const report = await spread({ databases: 3, tasks: 30_000, lease: 1_500, away: 3_000, limit: 60_000 });
		expect([report.lost, report.left]).toEqual([0, 0]);
		expect(report.meanwhile).toBeGreaterThan(0);
		expect(report.away).toBeGreaterThan(3_000);
	},
	120_000,
);

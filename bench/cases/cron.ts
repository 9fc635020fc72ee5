// The next instant of some patterns in a zone with changes of time. Each call starts from the last result, over some
// years, and begins anew after them. The schedules are parsed once, outside of the loop.
import { Cron } from "croner";
import { CronosExpression } from "cronosjs";
import { cron } from "upkeep/cron";
import { expect, time, type TimedCase } from "../measure.ts";

type Next = (after: number) => number | undefined;

const patterns = ["*/5 * * * *", "30 2 * * *", "0 8 * * MON-FRI", "0 0 1 * *"];
const timeZone = "Europe/Berlin";
const start = Date.UTC(2026, 0, 1);
const end = Date.UTC(2036, 0, 1);

await time({
	"cron": nextOf((pattern) => cron(pattern, { timeZone }).next),
	"cronosjs": nextOf((pattern) => {
		const expression = CronosExpression.parse(pattern, { timezone: timeZone });
		return (after) => expression.nextDate(new Date(after))?.getTime();
	}),
	"croner": nextOf((pattern) => {
		const job = new Cron(pattern, { timezone: timeZone });
		return (after) => job.nextRun(new Date(after))?.getTime();
	}),
});

function nextOf(parse: (pattern: string) => Next): TimedCase {
	const setUp = () => {
		const schedules = patterns.map((pattern) => ({
			next: parse(pattern),
			at: start,
		}));
		return (count: number): void => {
			for (let i = 0; i < count; i++) {
				const schedule = schedules[i % patterns.length]!;
				const next = schedule.next(schedule.at)!;
				expect(next > schedule.at, true);
				schedule.at = next < end ? next : start;
			}
		};
	};
	return { batch: patterns.length, setUp };
}

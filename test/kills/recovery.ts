// Measures the delay of a task whose process is killed.
import { run, sleep } from "../../mod.ts";
import { type Line, readLog } from "./basket.ts";
import type { DatabaseName } from "./database.ts";
import { type Shared, withShared } from "./fleet.ts";

export interface Recovery {
	/** The times when the killed process had ended, when its lease ended, and when another process began the task again. */
	readonly goneAt: number;
	readonly leaseEndedAt: number;
	readonly begunAt: number;
}

/** No step takes longer, in milliseconds: then the error says what was seen until then. */
const patience = 40_000;

/** Kills the process of a task repeatedly while another process is idle. */
export function killRepeatedly(database: DatabaseName, times: number, lease: number): Promise<Recovery[]> {
	return withShared(database, lease, async (shared) => {
		const { basket, fleet } = shared;
		fleet.start();
		fleet.start();
		await basket.add("loose", { place: 0, duration: 3_600_000, failure: 0 }, { id: "long" });
		const recoveries: Recovery[] = [];
		let last = await within(shared, "the first begin", () => nextBegin(shared, []));
		for (let kills = 0; recoveries.length < times; kills++) {
			await sleep(lease * Math.random());
			const before = readLog(shared.log);
			await within(shared, `the end of ${last.pid}`, () => fleet.kill(last.pid));
			const goneAt = Date.now();
			const { dueAt, attempts } = (await within(shared, "an answer of the database", () => basket.get("long")))!;
			last = await within(shared, `begin ${kills + 2}`, () => nextBegin(shared, before));
			// On a slow machine another process may have claimed the task before this check.
			if (attempts === kills) recoveries.push({ goneAt, leaseEndedAt: dueAt!, begunAt: last.at });
			fleet.start();
		}
		return recoveries;
	});
}

async function nextBegin({ fleet, log }: Shared, before: readonly Line[]): Promise<Line> {
	for (;;) {
		const line = readLog(log).slice(before.length).find(({ event }) => event === "begin");
		if (line !== undefined) return line;
		await fleet.oneReady();
		await sleep(5);
	}
}

async function within<T>({ fleet, log }: Shared, what: string, work: () => Promise<T>): Promise<T> {
	try {
		return await run(work, { timeout: patience, abandonAfter: 0 });
	} catch (error) {
		const seen = [...readLog(log).map((line) => JSON.stringify(line)), ...fleet.faults, ...fleet.complaints];
		throw new Error(`${what}, with the processes ${fleet.pids}:\n${seen.join("\n")}`, { cause: error });
	}
}

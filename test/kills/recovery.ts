// How long a task waits whose process was killed.
import { sleep } from "../../mod.ts";
import { type Line, readLog } from "./basket.ts";
import type { DatabaseName } from "./database.ts";
import { type Shared, withShared } from "./fleet.ts";

export interface Recovery {
	/** When the killed process was gone, when its lease ended, and when another process began the task again. */
	readonly goneAt: number;
	readonly leaseEndedAt: number;
	readonly begunAt: number;
}

/** Kills the process that runs a task, again and again, while another one has nothing else to do. */
export function killRepeatedly(database: DatabaseName, times: number, lease: number): Promise<Recovery[]> {
	return withShared(database, lease, async (shared) => {
		const { basket, fleet } = shared;
		fleet.start();
		fleet.start();
		await basket.add("loose", { place: 0, duration: 3_600_000, failure: 0 }, { id: "long" });
		const recoveries: Recovery[] = [];
		let last = await nextBegin(shared, []);
		for (let kills = 0; recoveries.length < times; kills++) {
			await sleep(lease * Math.random());
			const before = readLog(shared.log);
			await fleet.kill(last.pid);
			const goneAt = Date.now();
			const { dueAt, attempts } = (await basket.get("long"))!;
			last = await nextBegin(shared, before);
			// On a slow machine somebody else may have claimed it before it was looked at.
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

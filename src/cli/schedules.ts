/**
 * `upkeep schedules`: the recurring tasks.
 *
 * @module
 */

import type { Store, StoredTask } from "../basket/store.ts";
import { pages } from "./list.ts";
import { type Column, type Squeeze, stateStyles, toTable } from "./table.ts";
import { describeSchedule, type OpenPayload, openPayload, toRecord } from "./task.ts";
import { type ExitCode, quote, type Request, type Terminal } from "./terminal.ts";
import { clean, distance, instant, toJson } from "./text.ts";

/** The ids of schedules begin with this. */
const prefix = "schedule:";

const columns: readonly Column[] = [
	{ title: "ID" },
	{ title: "KIND" },
	{ title: "STATE", styles: stateStyles },
	{ title: "NEXT" },
	{ title: "INSTANT" },
	{ title: "SCHEDULE" },
];
const squeeze: Squeeze = [[5, 24], [4, 0], [1, 12], [0, 36], [5, 12], [1, 0], [3, 0], [5, 0], [0, 8]];

/** Lists the schedules in the order in which they were added. */
export async function schedules(store: Store, request: Request, terminal: Terminal): Promise<ExitCode> {
	let shown = 0;
	for await (const tasks of pages(store, { ...request, prefix })) {
		if (terminal.closed.aborted) return 0;
		const found = tasks.filter((task) => openPayload(task).schedule !== undefined);
		if (found.length === 0) continue;
		if (terminal.isTable) await terminal.print(table(found, terminal).slice(shown > 0 ? 1 : 0).join("\n"));
		else await terminal.print(found.map((task) => toJson(toRecord(task))).join("\n"));
		shown += found.length;
	}
	if (terminal.isTable && shown === 0) terminal.note(`No schedules in the basket ${quote(request.basket)}`);
	return shown === 0 ? 3 : 0;
}

function table(tasks: readonly StoredTask[], { columns: width, paint, clock }: Terminal): string[] {
	const rows = tasks.map((task) => {
		const schedule: NonNullable<OpenPayload["schedule"]> = openPayload(task).schedule!;
		return [
			clean(task.id),
			clean(task.kind),
			task.state,
			task.state === "held" ? "" : distance(schedule.next, clock.now()),
			instant(schedule.next),
			describeSchedule(schedule),
		];
	});
	return toTable(columns, rows, squeeze, width, paint);
}

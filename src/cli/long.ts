/**
 * `upkeep ls --long`: tasks with their last attempts.
 *
 * @module
 */

import type { StoredTask } from "../basket/store.ts";
import { lastAttempt, lengthOf } from "./attempts.ts";
import type { JobReader } from "./job-reader.ts";
import { type Column, type Squeeze, stateStyles, toTable } from "./table.ts";
import { describeDue, describeKind, summarize } from "./task.ts";
import type { Terminal } from "./terminal.ts";
import { clean, instant } from "./text.ts";

const columns: readonly Column[] = [
	{ title: "ID" },
	{ title: "KIND" },
	{ title: "STATE", styles: stateStyles },
	{ title: "FAILED", isRight: true },
	{ title: "ADDED" },
	{ title: "NEXT" },
	{ title: "LAST BEGAN" },
	{ title: "TOOK" },
	{ title: "WORKER" },
	{ title: "LANE" },
	{ title: "ERROR OR PAYLOAD" },
];
const squeeze: Squeeze = [
	...[[10, 24], [9, 8], [8, 12], [9, 0], [1, 10], [4, 0], [10, 12], [0, 36]] as const,
	...[[8, 0], [7, 0], [3, 0], [5, 0], [10, 0], [1, 0], [0, 8]] as const,
];

/** Tasks as a table with instants instead of distances. */
export async function longTable(
	tasks: readonly StoredTask[],
	jobs: JobReader,
	{ columns: width, paint, clock }: Pick<Terminal, "columns" | "paint" | "clock">,
): Promise<string[]> {
	const now = clock.now();
	const rows = await Promise.all(tasks.map(async (task) => {
		const job = await jobs.position(task);
		const last = lastAttempt(task, job);
		return [
			clean(task.id),
			describeKind(task.kind),
			task.state,
			String(job?.attempts ?? task.attempts),
			instant(task.addedAt),
			describeDue(task, now),
			last === undefined ? "" : instant(last.startedAt),
			last === undefined ? "" : lengthOf(last, now),
			clean(last?.worker ?? ""),
			clean(task.lane ?? ""),
			summarize(task, job),
		];
	}));
	// An empty column takes no room.
	const empty = [9, 8].filter((column) => rows.every((row) => row[column] === "")).map((column) =>
		[column, 0] as const
	);
	return toTable(columns, rows, [...empty, ...squeeze], width, paint);
}

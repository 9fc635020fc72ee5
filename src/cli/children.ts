/**
 * The children of a job, which other lists leave out.
 *
 * @module
 */

import type { Store, StoredTask } from "../basket/store.ts";
import type { ChildCounts } from "../job/step-records.ts";
import { headOf } from "./job-reader.ts";
import { pages } from "./list.ts";

/** Counts the children of a job, by the place of their step in its plan. Reads all of them. */
export async function countChildren(
	store: Store,
	basket: string,
	{ id: parent }: StoredTask,
	uid: string,
): Promise<ReadonlyMap<number, ChildCounts>> {
	const all = new Map<number, Record<string, number>>();
	const every = { state: undefined, outcome: undefined, kind: undefined, lane: undefined, prefix: undefined };
	const whole = { ...every, text: undefined, after: undefined };
	for await (const tasks of pages(store, { ...whole, basket, parent, isNewest: false })) {
		for (const task of tasks) {
			const [owner, at] = task.id.split("/");
			// Those of an earlier run may still be there.
			if (owner !== uid) continue;
			const counts = all.get(Number(at)) ?? {};
			all.set(Number(at), counts);
			const status = task.state === "done" ? (await headOf(task.payload))?.status ?? task.state : task.state;
			counts[status] = (counts[status] ?? 0) + 1;
		}
	}
	return all;
}

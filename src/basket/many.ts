/**
 * Changes of many tasks at once, which a query selects.
 *
 * @module
 */

import type { BasketSettings } from "./options.ts";
import type { TaskQuery } from "./reading.ts";
import type { Change } from "./store.ts";
import { checkQuery } from "./reading.ts";
import { check, refuse } from "../platform/check.ts";

/** Selects tasks for a change of many: all that have each given property. */
export type TaskFilter = Pick<TaskQuery, "state" | "kind" | "lane" | "prefix">;

/** The number of tasks in one change. */
const pageSize = 200;

/** The interface of such a change to its basket. */
export interface ManyOwner<Tx> {
	readonly settings: BasketSettings<Tx>;
	open(): Promise<void>;
	/** Changes tasks by id, and resolves with how many were changed. */
	apply(ids: readonly string[], change: Change | "delete"): Promise<number>;
}

/**
 * Changes the selected tasks that are stored when it is called, and counts those that were changed. Each page of
 * tasks is a change of its own, and other work goes on between the pages.
 */
export async function changeMany<Tx>(
	engine: ManyOwner<Tx>,
	filter: TaskFilter,
	change: Change | "delete",
	tx: Tx | undefined,
	mayBeAll = false,
): Promise<number> {
	// A record of a task, or another object given by mistake, must not select all tasks.
	const name = mayBeAll ? "filter" : "id";
	const rule = `${mayBeAll ? "" : "an id, or "}an object with a state, kind, lane or prefix, and nothing else`;
	const { state, kind, lane, prefix, ...rest } = check(name, filter, "object", true, rule);
	const isAll = (state ?? kind ?? lane ?? prefix) === undefined;
	if (Object.keys(rest).length > 0 || (isAll && !mayBeAll)) refuse(name, filter, rule);
	checkQuery(filter);
	// The tasks are listed in several calls, which would be parts of other transactions.
	if (tx !== undefined) refuse("tx", tx, "absent for a filter");
	await engine.open();
	const { store, name: basket } = engine.settings;
	const query = { kind, lane, prefix };
	const [last] = await store.list(basket, { limit: 1, isReverse: true });
	let count = 0;
	// A retried dead task becomes the last one of all: the waiting tasks before the dead ones, and none twice.
	const states = change === "retry" && state === undefined ? ["waiting", "dead"] as const : [state];
	for (const state of states) {
		const seen = new Set<string>();
		for (let after: string | undefined, isOver = last === undefined; !isOver;) {
			const page = await store.list(basket, { ...query, state, after, limit: pageSize });
			// A retried task may be dead again by now.
			const ids = page.filter(({ id, addedAt }) => addedAt <= last!.addedAt && !seen.has(id)).map(({ id }) => id);
			if (change === "retry") { for (const id of ids) seen.add(id); }
			if (ids.length > 0) count += await engine.apply(ids, change);
			after = page.at(-1)?.key;
			isOver = page.length < pageSize || ids.length === 0 || after === last!.key;
		}
	}
	return count;
}

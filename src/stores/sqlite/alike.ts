/**
 * Finds tasks that one statement can add.
 *
 * @module
 */

import type { NewTask } from "../../basket/store.ts";

/** The maximum number of payload characters per statement; the limit of SQLite is far higher. */
export const mostCharacters = 4_000_000;

/** The tasks from this index on whose items belong to one task, and can be added together. */
export function itemsFrom(tasks: readonly NewTask[], from: number): readonly NewTask[] {
	let length = 0;
	let to = from + 1;
	for (let task; (task = tasks[to]) !== undefined && task.id === tasks[from]!.id; to++) {
		const isText = typeof task.item === "string" && typeof tasks[to - 1]!.item === "string";
		length += task.item?.length ?? 0;
		if (!isText || length > mostCharacters) break;
	}
	return tasks.slice(from, to);
}

/** The number of tasks from this index on that differ only in their lanes, keys, metas and payloads, which are text. */
export function countAlike(tasks: readonly NewTask[], from: number): number {
	const { kind, priority, delay } = tasks[from]!;
	let to = from;
	let length = 0;
	for (let task; (task = tasks[to]) !== undefined; to++) {
		const isPlain = task.id === undefined && typeof task.payload === "string";
		if (!isPlain || task.kind !== kind || task.priority !== priority || task.delay !== delay) break;
		length += task.payload.length;
		if (length > mostCharacters) break;
	}
	return to - from;
}

/**
 * The check of a task that is to replace another.
 *
 * @module
 */

import type { NewTask } from "./store.ts";

/** What a task cannot change while it is stored. */
export type Place = Pick<NewTask, "kind" | "lane">;

/**
 * Checks that a task can replace the one with its id.
 *
 * @throws {TypeError} if kind or lane differ
 */
export function checkPlace(id: string, { kind, lane }: Place, task: Place): void {
	if (kind === task.kind && (lane ?? undefined) === task.lane) return;
	const there = describe({ kind, lane: lane ?? undefined });
	const text = `The task ${JSON.stringify(id)} is of ${there}, and cannot be replaced by one of ${describe(task)}`;
	throw new TypeError(text);
}

/**
 * Checks the tasks of one call before anything is changed.
 *
 * @param find returns the stored task with an id
 * @throws {TypeError} if one of them cannot replace the task with its id, stored or before it in the call
 */
export function checkPlaces(tasks: readonly NewTask[], find: (id: string) => Place | undefined): void {
	const places = new Map<string, Place>();
	for (const task of tasks) {
		const { id, ifPresent } = task;
		if (id === undefined) continue;
		const place = places.get(id) ?? find(id) ?? task;
		places.set(id, place);
		if (ifPresent !== undefined) checkPlace(id, place, task);
	}
}

function describe({ kind, lane }: Place): string {
	return `the kind ${JSON.stringify(kind)} ${
		lane === undefined ? "without a lane" : `in the lane ${JSON.stringify(lane)}`
	}`;
}

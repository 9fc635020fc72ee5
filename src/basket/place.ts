/**
 * The check of a task that is to replace another, or to add to its items.
 *
 * @module
 */

import type { NewTask } from "./store.ts";

/** What a task cannot change while it is stored. */
export interface Place {
	readonly kind: string;
	readonly lane?: string | null | undefined;
	/** The beginning of the payload shows whether the items of the task are collected. */
	readonly payload?: unknown;
}

/** The first character of the payload of a task that was added with `"collect"`. */
export const collectedMark = "\u0002";

/** Whether this is the payload of a task that was added with `"collect"`. */
export function isCollected(payload: unknown): payload is string {
	return typeof payload === "string" && payload.startsWith(collectedMark);
}

/**
 * Checks that a task can replace the one with its id.
 *
 * @throws {TypeError} if kind or lane differ, or only one of them was added with `"collect"`
 */
export function checkPlace(id: string, there: Place, task: Place): void {
	const isSame = there.kind === task.kind && (there.lane ?? undefined) === task.lane;
	if (isSame && isCollected(there.payload) === isCollected(task.payload)) return;
	const [before, after] = [describe(there), describe(task)];
	throw new TypeError(`The task ${JSON.stringify(id)} is of ${before}, and cannot be replaced by one of ${after}`);
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

function describe({ kind, lane, payload }: Place): string {
	const where = typeof lane === "string" ? `in the lane ${JSON.stringify(lane)}` : "without a lane";
	return `the kind ${JSON.stringify(kind)} ${where}${isCollected(payload) ? ", with collected items" : ""}`;
}

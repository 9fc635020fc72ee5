/**
 * Sums up what a database tells of its tasks.
 *
 * @module
 */

import { baseOf, type Counts, type TaskState } from "../basket/store.ts";
import type { Survey } from "./terminal.ts";

/** How many of these tasks are in each state. */
export function countsIn(tasks: Survey["tasks"]): Counts {
	const counts: { [State in TaskState]: number } = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
	for (const { state, count } of tasks) counts[state] += count;
	return counts;
}

/** The earliest due time of these tasks that has passed. */
export function oldestIn(tasks: Survey["tasks"], at: number): number | undefined {
	const due = tasks.flatMap(({ state, dueAt }) => state === "waiting" && dueAt !== undefined ? [dueAt] : []);
	const oldest = due.reduce((least, each) => Math.min(least, each), Infinity);
	return oldest <= at ? oldest : undefined;
}

/** The kinds with dead tasks, those with most first. */
export function deadKinds(tasks: Survey["tasks"]): Map<string, number> {
	const dead = new Map<string, number>();
	for (const { state, kind, count } of tasks) {
		if (state === "dead") dead.set(baseOf(kind), (dead.get(baseOf(kind)) ?? 0) + count);
	}
	return dead;
}

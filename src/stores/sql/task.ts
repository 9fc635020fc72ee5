/**
 * Tasks as table columns, and as callers see them.
 *
 * @module
 */

import type { Counts, Data, StoredTask, TaskState } from "../../basket/store.ts";
import { check } from "../../platform/check.ts";
import * as State from "./state.ts";

/** The columns of a task that callers see. */
export interface TaskRow {
	readonly seq: number;
	readonly kind: string;
	readonly id: string | null;
	readonly lane: string | null;
	readonly priority: number;
	readonly state: number;
	readonly due: number;
	readonly added: number;
	readonly attempts: number;
	readonly crashes: number;
	readonly error: string | null;
	readonly progress: string | null;
}

/** The most rows that one statement returns. */
export const mostRows = 1_000_000;

/** The public state for each state number. Other numbers are invalid. */
const states: readonly TaskState[] = ["waiting", "running", "waiting", "running", "held", "held", "dead", "done"];

export function stateOf(number: number): TaskState {
	return states[number] ?? "dead";
}

/** The state numbers of a state, which may have several. */
export function formsOf(state: TaskState): number[] {
	return states.flatMap((name, number) => name === state ? [number] : []);
}

/** Converts counts by state number to counts by state. */
export function countsOf(rows: Iterable<readonly [state: number, count: number]>): Counts {
	const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
	for (const [state, count] of rows) counts[stateOf(state)] += count;
	return counts;
}

/** The id of a task. Ids that the store has created are in no column. */
export function idOf({ seq, id }: Pick<TaskRow, "seq" | "id">): string {
	return id ?? `_${seq}`;
}

/** The number in an id that the store may have created; otherwise 0. */
export function seqIn(id: string): number {
	return /^_[1-9]\d{0,15}$/.test(id) ? Number(id.slice(1)) : 0;
}

/** The number in a {@link StoredTask.key}; 0 without a key. */
export function seqOfKey(key: string | undefined): number {
	if (key === undefined) return 0;
	return Number(check("after", key, "string", /^\d{16}$/.test(String(key)), "a key that list() has given"));
}

/** The error of a dead task that was changed by hand. */
export function damaged(column: string, value: unknown): string {
	return `The stored task is damaged and cannot be read: "${column}" is ${String(value).slice(0, 100)}`;
}

/** @param payload absent if it is unreadable */
export function showTask(row: TaskRow, payload: Data | undefined): StoredTask {
	const { seq, kind, state, attempts, crashes, error, progress, due, added, priority, lane } = row;
	return {
		key: String(seq).padStart(16, "0"), // in the order of the numbers
		id: idOf(row),
		kind,
		payload: payload ?? "",
		state: stateOf(state),
		attempts,
		crashes,
		error: error ?? (state in states ? undefined : damaged("state", state)),
		progress: progress ?? undefined,
		dueAt: due >= State.never ? undefined : due,
		addedAt: added,
		priority,
		lane: lane ?? undefined,
	};
}

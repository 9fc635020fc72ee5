/**
 * What operators ask of a whole database: which baskets and kinds there are, and how long their tasks wait.
 *
 * @module
 */

import type { TaskState } from "../../basket/store.ts";
import { stateOf } from "./task.ts";

/** The tasks of a kind in one state. */
export interface KindTasks {
	/** The name of the basket. */
	readonly basket: string;
	/** The kind, with its variant if it has one. */
	readonly kind: string;
	/** The state. */
	readonly state: TaskState;
	/** The number of tasks. */
	readonly count: number;
	/**
	 * Of waiting tasks: the earliest due time of those that are not behind another task of their lane. Of running tasks: the
	 * earliest end of a lease. Absent if only a message makes them due, and for other states.
	 */
	readonly dueAt?: number | undefined;
}

/** What is stored of a gate: see **Limits** in `store.ts`. */
export interface StoredGate {
	/** Before this time no task is claimed there; absent if it opens when a place becomes free or a task is added. */
	readonly readyAt?: number | undefined;
	/** Before this time nothing starts, because a task has said so; absent if none has. */
	readonly shutUntil?: number | undefined;
}

/** A row of the tables: its numbers may arrive as text. */
export type SurveyRow = readonly [
	basket: string,
	kind: string,
	state: number,
	count: number,
	due: number | null,
];

/**
 * Sums up the rows of each kind and state; several forms are one state.
 *
 * @param decode decodes a name, if they are stored encoded
 */
export function showSurvey(
	rows: Iterable<SurveyRow>,
	never: number,
	decode: (name: string) => string = (name) => name,
): KindTasks[] {
	const all = new Map<string, KindTasks>();
	for (const [storedBasket, storedKind, form, number, due] of rows) {
		const state = stateOf(Number(form));
		const [basket, kind] = [decode(storedBasket), decode(storedKind)];
		const key = JSON.stringify([basket, kind, state]);
		const found = all.get(key);
		const own = due === null || Number(due) >= never ? Infinity : Number(due);
		const dueAt = Math.min(found?.dueAt ?? Infinity, own);
		const count = (found?.count ?? 0) + Number(number);
		all.set(key, { basket, kind, state, count, ...(dueAt < Infinity ? { dueAt } : {}) });
	}
	return [...all.values()].filter(({ count }) => count > 0);
}

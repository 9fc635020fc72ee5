/**
 * The tables of a basket, with their keys and indexes.
 *
 * | table | key | one row for each | indexes |
 * | --- | --- | --- | --- |
 * | `task` | order | task | see {@link tasks} |
 * | `data` | home | task whose payload is too long for its row | – |
 * | `spare` | home | task whose spare data (see {@link TaskRow.spare}) is too long for its row | – |
 * | `message` | home, n | message | – |
 * | `lane` | lane | lane that is not empty, where the space is optimistic | – |
 * | `meta` | name | the last order, where the space is not optimistic | – |
 *
 * The *order* of a task is its place among all tasks. A restarted dead task gets a new order. Its *home* is its first
 * order, under which its messages and its payload stay.
 *
 * @module
 */

import type { Data } from "../basket/store.ts";
import type { Key, Table } from "./space.ts";

/** A number in spaces with one transaction at a time, otherwise a string. */
export type Order = string | number;

/** A stored task. Members with the value `undefined` may be absent. */
export interface TaskRow {
	readonly order: Order;
	readonly home: Order;
	/** The id given by a caller. Other ids are `_` and the home. */
	readonly id?: string | undefined;
	readonly kind: string;
	readonly priority: number;
	readonly lane?: string | undefined;
	readonly addedAt: number;
	readonly state: "waiting" | "running" | "dead" | "done";
	readonly isHeld?: boolean | undefined;
	/** Whether an earlier task of its lane blocks it. */
	readonly isBlocked?: boolean | undefined;
	/** Whether it waits only because of a backoff. */
	readonly isBackingOff?: boolean | undefined;
	/** The time at which it is due, its lease ends, or it is removed. */
	readonly dueAt?: number | undefined;
	/** The token of its claim while it is running. */
	readonly token?: string | undefined;
	readonly attempts: number;
	readonly crashes: number;
	readonly error?: string | undefined;
	readonly progress?: string | undefined;
	/** The number of messages so far, and the number up to which they are removed. */
	readonly posted: number;
	readonly seen: number;
	/** Absent if it is in `data`. */
	readonly payload?: Data | undefined;
	/** The result of a done task, or the payload that waits behind a running one; `true` if it is in `spare`. */
	readonly spare?: Data | true | undefined;
	/** What else becomes of a running task behind which a payload waits. */
	readonly next?: Next | undefined;
	/** Whether it was added with `"collect"`. */
	readonly isCollected?: boolean | undefined;
	/** The pauses, in the row that is no task: see `pausing.ts`. */
	readonly paused?: readonly unknown[] | undefined;
	/** Whether `data` and `spare` have changed places: so a long payload takes effect without being read. */
	readonly isSwapped?: boolean | undefined;
}

export interface Next {
	readonly priority: number;
	/** The time at which the first payload was added behind this claim. */
	readonly addedAt: number;
	/** The earliest due time. */
	readonly dueAt: number;
}

export interface DataRow {
	readonly home: Order;
	readonly data: Data;
}

export interface MessageRow {
	readonly home: Order;
	readonly n: number;
	readonly data: Data;
}

export interface LaneRow {
	readonly lane: string;
	/** The last order in this lane, which changes each time a task joins. */
	readonly last: Order;
}

export interface MetaRow {
	readonly name: string;
	readonly value: number;
}

/**
 * Indexes: `id` finds tasks whose id does not contain their order; `due` has the tasks that can be claimed, now or
 * after their lease, in the order of claims; `lane` has all tasks in lanes, and `past` those that have left theirs;
 * `backoff` has the tasks for `hasten`; `kept` has the tasks that will be removed; `aside` has all tasks that do not
 * simply wait.
 *
 * Blocked and held tasks are not in `due`, so they do not slow down claims.
 */
export const tasks: Table<TaskRow> = {
	name: "task",
	keyOf: ({ order }) => [order],
	indexes: {
		id: { keyOf: toIdKey, isUnique: true },
		due: {
			keyOf: (row) => isFree(row) ? [row.kind, rankOf(row.priority), row.dueAt!, row.order] : undefined,
			hintOf: ({ lane }) => lane,
		},
		lane: { keyOf: (row) => isOver(row) ? undefined : toLaneKey(row) },
		past: { keyOf: (row) => isOver(row) ? toLaneKey(row) : undefined },
		backoff: {
			keyOf: (row) => row.isBackingOff && row.state === "waiting" && isFree(row) ? [row.dueAt!, row.order] : undefined,
		},
		kept: { keyOf: (row) => isOver(row) && row.dueAt! < Infinity ? [row.dueAt!, row.order] : undefined },
		aside: { keyOf: (row) => stateOf(row) === "waiting" ? undefined : [stateOf(row), row.order], isOptional: true },
	},
	salvage(index, [first, second]) {
		if (index === "due") return { kind: first, priority: -Number(second) };
		if (index === "past") return { lane: first };
		return index === "id" || index === "lane" ? { [index]: first } : {};
	},
};

/** Payloads that are too long for the row of their task. */
export const payloads: Table<DataRow> = { name: "data", keyOf: ({ home }) => [home], indexes: {} };

/** Spare data that is too long for the row of its task. */
export const spares: Table<DataRow> = { name: "spare", keyOf: ({ home }) => [home], indexes: {} };

/** Where the payload of a task is, or its spare data, if it is too long for its row. */
export function tableOf({ isSwapped }: Pick<TaskRow, "isSwapped">, isSpare?: boolean): Table<DataRow> {
	return !isSwapped === !isSpare ? payloads : spares;
}

/** The messages of tasks. */
export const messages: Table<MessageRow> = {
	name: "message",
	keyOf: ({ home, n }) => [home, n],
	indexes: {},
};

/** A transaction that joins a lane or empties it writes this row, so that concurrent ones conflict. */
export const lanes: Table<LaneRow> = { name: "lane", keyOf: ({ lane }) => [lane], isShared: true, indexes: {} };

/** Facts about a basket. */
export const facts: Table<MetaRow> = { name: "meta", keyOf: ({ name }) => [name], isShared: true, indexes: {} };

/** Whether a task has left its lane. */
export function isOver({ state }: TaskRow): boolean {
	return state === "dead" || state === "done";
}

/** The public state of a task. */
export function stateOf({ state, isHeld }: TaskRow): TaskRow["state"] | "held" {
	return isHeld && state === "waiting" ? "held" : state;
}

/** Whether it can be claimed once it is due, and will be due without anybody's doing. */
export function isFree(row: TaskRow): boolean {
	return !row.isHeld && !row.isBlocked && !isOver(row) && row.dueAt! < Infinity;
}

/** The id of a task. */
export function idOf({ id, home }: TaskRow): string {
	return id ?? `_${home}`;
}

/** The rank of a priority in the index: high priorities come first. */
export function rankOf(priority: number): number {
	return -priority;
}

function toLaneKey({ lane, order }: TaskRow): Key | undefined {
	return lane === undefined ? undefined : [lane, order];
}

function toIdKey({ id, home, order }: TaskRow): Key | undefined {
	if (id !== undefined) return [id];
	return home === order ? undefined : [`_${home}`];
}

/**
 * What is stored: the tables of a basket, their keys and their indexes.
 *
 * | table | key | one row for each | indexes |
 * | --- | --- | --- | --- |
 * | `task` | order | task | see {@link tasks} |
 * | `data` | home | task whose payload is too long for its row | – |
 * | `message` | home, n | message | – |
 * | `lane` | lane | lane that is not empty, where the space is optimistic | – |
 * | `meta` | name | the last order, where the space is not optimistic | – |
 *
 * The *order* of a task is its place among all. A dead task that begins anew gets a new one; its *home*, where its messages and its
 * payload stay, is its first.
 *
 * @module
 */

import type { Data } from "../basket/store.ts";
import type { Key, Table } from "./space.ts";

/** A number where there is one transaction at a time, a text elsewhere. */
export type Order = string | number;

/** A task as it is stored. What is `undefined` may be left out. */
export interface TaskRow {
	readonly order: Order;
	readonly home: Order;
	/** Given by a caller; the others are called `_` and their home. */
	readonly id?: string | undefined;
	readonly kind: string;
	readonly priority: number;
	readonly lane?: string | undefined;
	readonly addedAt: number;
	readonly state: "waiting" | "running" | "dead" | "done";
	readonly isHeld?: boolean | undefined;
	/** Another one of its lane comes first. */
	readonly isBlocked?: boolean | undefined;
	/** It waits because it has failed, and nothing but that. */
	readonly isBackingOff?: boolean | undefined;
	/** When it is due, its lease ends, or it is removed. */
	readonly dueAt?: number | undefined;
	/** Of its claim, while it is running. */
	readonly token?: string | undefined;
	readonly attempts: number;
	readonly crashes: number;
	readonly error?: string | undefined;
	readonly progress?: string | undefined;
	/** How many messages there were, and up to which they are removed. */
	readonly posted: number;
	readonly seen: number;
	/** Absent if it stands in `data`. */
	readonly payload?: Data | undefined;
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
	/** The last order that was given in it: another one each time that somebody joins. */
	readonly last: Order;
}

export interface MetaRow {
	readonly name: string;
	readonly value: number;
}

/**
 * Indexes: `id` finds those whose id does not tell their order; `due` has what can be claimed, now or once its lease is over, in the
 * order in which it is to be claimed; `lane` has all that stand in a lane; `backoff` those that `hasten` is about; `kept` those that
 * will be removed; `aside` all that do not simply wait.
 *
 * What is blocked or held is not in `due`, so that it costs a claim nothing.
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
		lane: { keyOf: (row) => row.lane === undefined || isOver(row) ? undefined : [row.lane, row.order] },
		backoff: {
			keyOf: (row) => row.isBackingOff && row.state === "waiting" && isFree(row) ? [row.dueAt!, row.order] : undefined,
		},
		kept: { keyOf: ({ state, dueAt, order }) => state === "done" && dueAt! < Infinity ? [dueAt!, order] : undefined },
		aside: { keyOf: (row) => stateOf(row) === "waiting" ? undefined : [stateOf(row), row.order], isOptional: true },
	},
	salvage(index, [first, second]) {
		if (index === "due") return { kind: first, priority: -Number(second) };
		return index === "id" || index === "lane" ? { [index]: first } : {};
	},
};

/** Payloads that are too long for the row of their task. */
export const payloads: Table<DataRow> = { name: "data", keyOf: ({ home }) => [home], indexes: {} };

/** What was posted to tasks. */
export const messages: Table<MessageRow> = {
	name: "message",
	keyOf: ({ home, n }) => [home, n],
	indexes: {},
};

/** Whoever joins a lane, or empties it, writes its row: so that they cannot miss each other. */
export const lanes: Table<LaneRow> = { name: "lane", keyOf: ({ lane }) => [lane], isShared: true, indexes: {} };

/** Facts about a basket. */
export const facts: Table<MetaRow> = { name: "meta", keyOf: ({ name }) => [name], isShared: true, indexes: {} };

/** Whether a task has left its lane. */
export function isOver({ state }: TaskRow): boolean {
	return state === "dead" || state === "done";
}

/** What a task is doing, as others see it. */
export function stateOf({ state, isHeld }: TaskRow): TaskRow["state"] | "held" {
	return isHeld && state === "waiting" ? "held" : state;
}

/** Whether it can be claimed once it is due, and will be due without anybody's doing. */
export function isFree(row: TaskRow): boolean {
	return !row.isHeld && !row.isBlocked && !isOver(row) && row.dueAt! < Infinity;
}

/** What a task is called. */
export function idOf({ id, home }: TaskRow): string {
	return id ?? `_${home}`;
}

/** The index keeps high priorities first. */
export function rankOf(priority: number): number {
	return -priority;
}

function toIdKey({ id, home, order }: TaskRow): Key | undefined {
	if (id !== undefined) return [id];
	return home === order ? undefined : [`_${home}`];
}

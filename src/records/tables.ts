/**
 * The tables of a basket, with their keys and indexes.
 *
 * | table | key | one row for each | indexes |
 * | --- | --- | --- | --- |
 * | `task` | order | task | see {@link tasks} |
 * | `data` | home | task whose payload is too long for its row | – |
 * | `spare` | home | task whose spare data (see {@link TaskRow.spare}) is too long for its row | – |
 * | `message` | home, n | message | – |
 * | `log` | home, n | entry of a log | – |
 * | `join` | home of the parent, name | join | – |
 * | `lane` | lane | lane that is not empty, where the space is optimistic | – |
 * | `gate` | kind, limit key | limit key in use | see {@link gates} |
 * | `note` | kind, instant, limit key, mark | change behind a gate, where the space is optimistic | – |
 * | `meta` | name | the last order, where the space is not optimistic | – |
 *
 * The *order* of a task is its place among all tasks. A restarted dead task gets a new order. Its *home* is its first
 * order, under which its messages, its log and its payload stay.
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
	/** The number of followers behind it that were claimed with it, some of which may have ended. A blocked task that is running is one. */
	readonly followers?: number | undefined;
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
	/** The key of its limit. A task with a key is behind a gate. */
	readonly limitKey?: string | undefined;
	/** What its current claim has used up of the rate of its gate. */
	readonly start?: Start | undefined;
	/** Whether its last claim was made under a limit of the basket, which counts it. */
	readonly isTaken?: boolean | undefined;
	/** Whether it has a log, or had one. */
	readonly isLogged?: boolean | undefined;
	/** The id of its parent, and the home of that, if it is a child. */
	readonly parent?: string | undefined;
	readonly family?: Order | undefined;
	/** The join of its parent that will count it. */
	readonly joined?: string | undefined;
	/** Whether it has children or joins, or had some. */
	readonly isParent?: boolean | undefined;
	/** See `meta` of `NewTask`, and `history` of `Outcome`. */
	readonly meta?: string | undefined;
	readonly history?: string | undefined;
	/** The worker of its current claim, or of the last one if that ended without a settlement, and when it was made. */
	readonly by?: string | undefined;
	readonly since?: number | undefined;
	/** In the row of the pauses: the kinds that have ever had a gate. */
	readonly gated?: readonly unknown[] | undefined;
}

/** A start that counts for the rate of a gate. */
export interface Start {
	readonly at: number;
	readonly spacing: number;
}

export interface Next {
	readonly priority: number;
	readonly meta?: string | undefined;
	readonly limitKey?: string | undefined;
	/** The time at which the first payload was added behind this claim. */
	readonly addedAt: number;
	/** The earliest due time. */
	readonly dueAt: number;
}

export interface DataRow {
	readonly home: Order;
	readonly data: Data;
}

/** A message, or an entry of a log. */
export interface NumberedRow {
	readonly home: Order;
	readonly n: number;
	readonly data: Data;
}

/** The counter of a `Join`. */
export interface JoinRow {
	/** The home of the parent. */
	readonly home: Order;
	readonly name: string;
	readonly left: number;
	readonly spare?: number | undefined;
	/** The message; empty when it was posted. */
	readonly data: Data;
	readonly isTold?: boolean | undefined;
}

export interface LaneRow {
	readonly lane: string;
	/** The last order in this lane, which changes each time a task joins. */
	readonly last: Order;
}

/**
 * A gate. It may be missing only if no task is behind it. `readyAt` is never later than the instant at which a task
 * behind it can be claimed under the limit `by`, so other gates need not be looked at.
 */
export interface GateRow {
	readonly kind: string;
	readonly limitKey: string;
	/**
	 * When a task behind it may be claimed: 0 if it was ready by the clock of then, because one that is set back must not
	 * shut it. If there is no task, when the row is no longer needed.
	 */
	readonly readyAt: number;
	/** The limit without which `readyAt` would be earlier; empty if the tasks alone decide. */
	readonly by: string;
	/** When it was last served, or became ready since: this is its place among the gates that are ready. */
	readonly turn: number;
	/** See {@link KindLimit} of the store: the instant of GCRA, and that of its last start. */
	readonly next: number;
	readonly startedAt: number;
	/** Before this instant, no task starts. */
	readonly shutUntil: number;
	/** Whether no task is behind it. */
	readonly isIdle?: boolean | undefined;
}

/** Says that a gate has to be looked at. */
export interface NoteRow {
	readonly kind: string;
	readonly limitKey: string;
	readonly at: number;
	/** Unique. */
	readonly mark: string;
}

export interface MetaRow {
	readonly name: string;
	readonly value: number;
}

/**
 * Indexes: `id` finds tasks whose id does not contain their order; `due` has the tasks without a limit key that can be
 * claimed, now or after their lease, in the order of claims; `gated` has those with a key that wait, and `busy` those
 * that are running, held ones last; `taken` has the running ones that a limit of the basket counts, held ones and followers last; `lane` has all tasks in lanes, and `past` those that have left theirs; `backoff`
 * has the tasks for `hasten`; `child` has the children of each task; `kept` has the tasks that will be removed; `aside` has all tasks that do not simply wait.
 *
 * Blocked and held tasks are not in `due` and `gated`, so they do not slow down claims.
 */
export const tasks: Table<TaskRow> = {
	name: "task",
	keyOf: ({ order }) => [order],
	indexes: {
		id: { keyOf: toIdKey, isUnique: true },
		due: {
			keyOf: (row) => isFree(row) && !isLimited(row) ? [row.kind, ...toPlace(row)] : undefined,
			hintOf: ({ lane }) => lane,
		},
		gated: {
			keyOf: (row) => isGated(row) ? [row.kind, row.limitKey!, ...toPlace(row)] : undefined,
			hintOf: ({ lane }) => lane,
		},
		busy: {
			keyOf: (row) => isBusy(row) ? [row.kind, row.limitKey!, Number(!!row.isHeld), row.dueAt!, row.order] : undefined,
			hintOf: ({ lane }) => lane,
		},
		taken: {
			keyOf: (row) =>
				row.isTaken && row.state === "running"
					? [Number(!!row.isHeld || !!row.isBlocked), row.dueAt!, row.order]
					: undefined,
			hintOf: ({ lane }) => lane,
		},
		lane: { keyOf: (row) => isOver(row) ? undefined : toLaneKey(row) },
		past: { keyOf: (row) => isOver(row) ? toLaneKey(row) : undefined },
		backoff: {
			keyOf: (row) => row.isBackingOff && row.state === "waiting" && isFree(row) ? [row.dueAt!, row.order] : undefined,
		},
		child: { keyOf: ({ family, order }) => family === undefined ? undefined : [family, order] },
		kept: { keyOf: (row) => isOver(row) && row.dueAt! < Infinity ? [row.dueAt!, row.order] : undefined },
		aside: { keyOf: (row) => stateOf(row) === "waiting" ? undefined : [stateOf(row), row.order], isOptional: true },
	},
	salvage(index, [first, second, third]) {
		if (index === "due") return { kind: first, priority: -Number(second) };
		if (index === "gated") return { kind: first, limitKey: second, priority: -Number(third) };
		if (index === "busy") return { kind: first, limitKey: second };
		if (index === "past") return { lane: first };
		if (index === "child") return { family: first };
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
export const messages: Table<NumberedRow> = {
	name: "message",
	keyOf: ({ home, n }) => [home, n],
	indexes: {},
};

/** The entries of logs. A row of its own for each, so that an append costs the same however long the log is. */
export const logs: Table<NumberedRow> = { name: "log", keyOf: ({ home, n }) => [home, n], indexes: {} };

/**
 * The joins of tasks. Only a claim of the task adds one, and writes its row with it, so that these rows need no check of
 * their own when they are new.
 */
export const joins: Table<JoinRow> = { name: "join", keyOf, indexes: {} };

/** The key of a join. */
export function keyOf({ home, name }: Pick<JoinRow, "home" | "name">): Key {
	return [home, name];
}

/** A transaction that joins a lane or empties it writes this row, so that concurrent ones conflict. */
export const lanes: Table<LaneRow> = { name: "lane", keyOf: ({ lane }) => [lane], isShared: true, indexes: {} };

/** The gates: `ready` has those with tasks, and `idle` the others. */
export const gates: Table<GateRow> = {
	name: "gate",
	keyOf: ({ kind, limitKey }) => [kind, limitKey],
	isShared: true,
	indexes: {
		ready: {
			keyOf: ({ kind, by, readyAt, turn, limitKey, isIdle }) =>
				isIdle ? undefined : [kind, by, readyAt, turn, limitKey],
		},
		idle: { keyOf: ({ kind, readyAt, limitKey, isIdle }) => isIdle ? [readyAt, kind, limitKey] : undefined },
	},
};

/** Adds and settlements append to this table, so that they never conflict with claims behind the same gate. */
export const notes: Table<NoteRow> = {
	name: "note",
	keyOf: ({ kind, at, limitKey, mark }) => [kind, at, limitKey, mark],
	indexes: {},
};

/** Facts about a basket. */
export const facts: Table<MetaRow> = { name: "meta", keyOf: ({ name }) => [name], isShared: true, indexes: {} };

/** Of remnants, see `remnants.ts`: before the ends of all retentions, as it is in the row of the pauses. */
export const remnantAt = -1;

/** Whether a row is a remnant. */
export function isRemnant({ isLogged, isParent, dueAt }: TaskRow): boolean {
	return (isLogged === true || isParent === true) && dueAt === remnantAt;
}

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

/** Whether a row has a limit key. */
function isLimited({ limitKey }: TaskRow): boolean {
	return limitKey !== undefined;
}

/** Whether it waits behind a gate. */
export function isGated(row: TaskRow): boolean {
	return isLimited(row) && row.state === "waiting" && isFree(row);
}

/** Whether it takes a place at a gate. */
export function isBusy(row: TaskRow): boolean {
	return isLimited(row) && row.state === "running";
}

/** The id of a task. */
export function idOf({ id, home }: TaskRow): string {
	return id ?? `_${home}`;
}

/** The rank of a priority in the index: high priorities come first. */
export function rankOf(priority: number): number {
	return -priority;
}

/** The place in the order of claims. */
function toPlace({ priority, dueAt, order }: TaskRow): Key {
	return [rankOf(priority), dueAt!, order];
}

function toLaneKey({ lane, order }: TaskRow): Key | undefined {
	return lane === undefined ? undefined : [lane, order];
}

function toIdKey(row: TaskRow): Key | undefined {
	const { id, home, order } = row;
	if (id !== undefined) return [id];
	// A remnant must not have the id of the task that was restarted.
	return home === order || isRemnant(row) ? undefined : [`_${home}`];
}

/**
 * What operators ask of a store, and its answers.
 *
 * @module
 */

import type { Data } from "./data.ts";

/**
 * - `"waiting"`: waits for its due time, for a worker, or for its turn in its lane;
 * - `"running"`: claimed by a worker;
 * - `"held"`: not available to workers until it is released;
 * - `"dead"`: out of attempts, or unreadable; kept until it is retried or deleted, or for its retention time;
 * - `"done"`: succeeded, kept for its retention time.
 */
export type TaskState = "waiting" | "running" | "held" | "dead" | "done";

/** All task states. */
export const taskStates: readonly TaskState[] = ["waiting", "running", "held", "dead", "done"];

/** Options for {@link Store.list}. */
export interface ListQuery {
	/** Only tasks in this state. */
	readonly state?: TaskState | undefined;
	/** Only tasks of this kind and its variants. */
	readonly kind?: string | undefined;
	/** Only tasks in this lane, in any state. */
	readonly lane?: string | undefined;
	/** Only tasks whose ids were given by callers and begin with this text. */
	readonly prefix?: string | undefined;
	/** Only children of the task with this id. Absent: only tasks that are no children. */
	readonly parent?: string | undefined;
	/** Whether the last tasks come first; then `after` continues with earlier tasks. @default false */
	readonly isReverse?: boolean | undefined;
	/**
	 * Only tasks after this {@link StoredTask.key}; its task need not exist anymore. A string that cannot be a key of
	 * this store causes a RangeError.
	 */
	readonly after?: string | undefined;
	/** The maximum number of tasks, 1 or more. */
	readonly limit: number;
}

/** The number of tasks in each state. */
export type Counts = { readonly [State in TaskState]: number };

/**
 * Begins a done or dead task anew with another payload, as `"retry"` does with a dead one: with its id, kind, lane, priority
 * and limit key, without attempts or crashes, and behind all others. Its messages and its result are dropped. It is not for
 * tasks that collect items.
 */
export interface Restart {
	/** Tells it from the other changes. */
	readonly type: "restart";
	/** The key that the task must still have: so nobody sets a task back that was begun anew meanwhile. */
	readonly key: string;
	/** The new payload. */
	readonly payload: Data;
	/**
	 * Whether its log and its children stay. Otherwise, it begins with an empty one, in which no entry of the old one appears
	 * later, and without children, as if it had been removed.
	 */
	readonly keepsLog: boolean;
}

/**
 * - `"retry"`: restarts a dead task as if it were added now with its id, lane and priority: without attempts or
 *   crashes, and behind all others. A waiting task, blocked or not, becomes due at once. Other tasks are not changed;
 * - `"hold"`: prevents a waiting task from being claimed, and a running task from being claimed again. It keeps its
 *   place in its lane, also as the head;
 * - `"release"`: undoes a hold;
 * - a {@link Restart}, for a single task.
 */
export type Change = "retry" | "hold" | "release" | Restart;

/** What {@link Store.pause} has paused. */
export interface Pauses {
	/** Whether all kinds are paused. */
	readonly all: boolean;
	/** The kinds that are paused by themselves, sorted. */
	readonly kinds: readonly string[];
}

/** An additional reason of {@link Store.watch}: a running task may have been deleted, or a message posted to it. */
export type WakeReason = "claims";

/**
 * A task in memory, and its conversion to the public form.
 *
 * @module
 */

import type { Data, Message, StoredTask, TaskState } from "./store.ts";
import { check } from "../platform/check.ts";
import type { Heap, Placed } from "../platform/heap.ts";

/** One stored task. Its order never changes: a restarted task becomes a new object. */
export interface Task extends Placed {
	/** The time at which it is due, its lease ends, or it is removed; `Infinity` if only a message makes it due. */
	at: number;
	readonly order: number;
	readonly id: string;
	readonly kind: string;
	readonly priority: number;
	readonly lane: string | undefined;
	readonly addedAt: number;
	payload: Data;
	state: Exclude<TaskState, "held">;
	isHeld: boolean;
	/** Whether it waits only because of a backoff. */
	isBackingOff: boolean;
	/** The token of its last claim. */
	token: string;
	attempts: number;
	crashes: number;
	error: string | undefined;
	progress: string | undefined;
	inbox: Message[];
	/** The number of messages so far. */
	posted: number;
	/** The heap that it belongs to when it is in a heap. */
	heap: Heap<Task>;
	/** The previous task in its lane. While there is one, this task is blocked. */
	previous: Task | undefined;
	/** The next task in its lane. */
	next: Task | undefined;
}

/** Whether a claim takes this task before the other, if both are due. */
export function isBefore(a: Task, b: Task): boolean {
	if (a.priority !== b.priority) return a.priority > b.priority;
	return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Whether the task has ended. */
export function isOver({ state }: Task): boolean {
	return state === "done" || state === "dead";
}

/** Returns the public state. */
export function stateOf({ state, isHeld }: Task): TaskState {
	return isHeld && state === "waiting" ? "held" : state;
}

/** Not `slice`, which does not copy a Buffer of Node. */
export function copy(data: Data): Data {
	return typeof data === "string" ? data : new Uint8Array(data);
}

/** Removes the messages up to this number. */
export function forget(task: Task, seen: number): void {
	if (task.inbox.length > 0) task.inbox = task.inbox.filter(({ n }) => n > seen);
}

const keyLength = 16;

/** The order that corresponds to a key. */
export function orderOf(key: string | undefined): number {
	if (key === undefined) return 0;
	const isKey = key.length === keyLength && /^\d+$/.test(key);
	check("after", key, "string", isKey, "the key of a task in this store");
	return Number(key);
}

/** Returns the public form of a task. */
export function show(task: Task): StoredTask {
	const { order, at, id, kind, payload, attempts, crashes, error, progress, addedAt, priority, lane } = task;
	return {
		key: String(order).padStart(keyLength, "0"),
		id,
		kind,
		payload: copy(payload),
		state: stateOf(task),
		attempts,
		crashes,
		error,
		progress,
		dueAt: at < Infinity ? at : undefined,
		addedAt,
		priority,
		lane,
	};
}

/** The same, with the inbox. */
export function showAll(task: Task): StoredTask & { readonly inbox: readonly Message[] } {
	return { ...show(task), inbox: task.inbox.map(({ n, data }) => ({ n, data: copy(data) })) };
}

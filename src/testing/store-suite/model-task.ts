/**
 * A task as a store is expected to have it.
 *
 * @module
 */

import type { LogPart, Message, NewTask, TaskState } from "../../basket/store.ts";
import type { ModelStart } from "./limit-model.ts";

/** A task of the model. Instants are milliseconds since the beginning. */
export interface ModelTask {
	readonly id: string;
	readonly kind: string;
	priority: number;
	readonly lane: string | undefined;
	limitKey: string | undefined;
	/** The start of its claim, if a limit has counted it. */
	start?: ModelStart | undefined;
	payload: NewTask["payload"];
	state: Exclude<TaskState, "held">;
	isHeld: boolean;
	isBackingOff: boolean;
	attempts: number;
	crashes: number;
	error: string | undefined;
	result?: NewTask["payload"] | undefined;
	progress: string | undefined;
	/** What has replaced its payload while it was running. */
	replacement?: Pick<ModelTask, "payload" | "priority" | "limitKey" | "addedAt" | "dueAt" | "meta"> | undefined;
	/** Whether its items are collected. */
	readonly isCollected: boolean;
	inbox: Message[];
	posted: number;
	log: readonly NewTask["payload"][];
	meta: string | undefined;
	history: string | undefined;
	/** The worker of its claim, or of the last one if that ended without a settlement; and the one before. */
	worker: string | undefined;
	lapsed: string | undefined;
	addedAt: number;
	dueAt: number;
	/** A store may choose `dueAt` from this range; the model adopts its choice. */
	dueFrom?: number | undefined;
	dueTo?: number | undefined;
	token: string | undefined;
	/** The first end of its lease, before it was extended: a store may look at its gate then. */
	endedAt?: number | undefined;
}

/** A new task of the model. */
export function createModelTask(
	{ id, kind, priority, lane, limitKey, payload, delay, meta }: NewTask & { id: string },
	isCollected: boolean,
	now: number,
): ModelTask {
	const none = { attempts: 0, crashes: 0, error: undefined, progress: undefined, inbox: [], posted: 0, log: [] };
	const state = { state: "waiting", isHeld: false, isBackingOff: false, token: undefined } as const;
	const seen = { meta, history: undefined, worker: undefined, lapsed: undefined };
	const times = { addedAt: now, dueAt: now + delay };
	return { id, kind, priority, lane, limitKey, payload, isCollected, ...none, ...state, ...seen, ...times };
}

/** What a dead task keeps when it begins anew. */
export function kept({ inbox, posted, log, history }: ModelTask): Partial<ModelTask> {
	return { inbox, posted, log, history };
}

/** The name of the gate where a task waits for its next claim. */
export function gateOf(
	task: ModelTask,
	key: string | undefined = (task.replacement ?? task).limitKey,
): string | undefined {
	return key === undefined ? undefined : JSON.stringify([task.kind, key]);
}

/** Whether it is in its lane, if it has one. */
export function isOpen({ state }: ModelTask): boolean {
	return state === "waiting" || state === "running";
}

export function stateOf({ state, isHeld }: ModelTask): TaskState {
	return isHeld && state === "waiting" ? "held" : state;
}

/** Adds entries to its log, or puts them in place of those with their numbers. */
export function append(task: ModelTask, { after, entries }: LogPart = { after: 0, entries: [] }): void {
	task.log = [...task.log.slice(0, after), ...entries, ...task.log.slice(after + entries.length)];
}

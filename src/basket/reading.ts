/**
 * Reads the stored tasks of a basket.
 *
 * @module
 */

import type { BasketSettings, Kind } from "./options.ts";
import type { Data, StoredTask, TaskState } from "./store.ts";
import { decodeFailure, type TaskFailure } from "./codec.ts";
import { decodeProgress, type TaskProgress } from "./context.ts";
import { checkName } from "./options.ts";
import { taskStates } from "./store.ts";
import { check, checkCount, checkWord } from "../platform/check.ts";

/** Options for {@link Basket.list}. */
export interface TaskQuery {
	/** Only tasks in this state. */
	state?: TaskState | undefined;
	/** Only tasks of this kind. */
	kind?: string | undefined;
	/** Only tasks after the task with this {@link TaskRecord.key}. */
	after?: string | undefined;
	/** The maximum number of tasks: a whole number from 1. @default Infinity */
	limit?: number | undefined;
}

/** A task, as {@link Basket.list} and {@link Basket.get} return it. */
export interface TaskRecord extends Omit<StoredTask, "payload" | "error" | "progress"> {
	/** The decoded payload; the stored data if it cannot be decoded, or if this basket does not know the kind. */
	readonly payload: unknown;
	/** The error of the last attempt. */
	readonly error: TaskFailure | undefined;
	/** The last reported progress. */
	readonly progress: TaskProgress | undefined;
}

/** The number of tasks per request to the store. */
const pageSize = 100;

/** The interface of reading to its basket. */
export interface ReadingOwner<Tx> {
	readonly settings: BasketSettings<Tx>;
	open(): Promise<void>;
}

/** See `Basket.get`. */
export async function getTask<Tx>(engine: ReadingOwner<Tx>, id: string): Promise<TaskRecord | undefined> {
	checkName("id", id);
	await engine.open();
	const { settings } = engine;
	const task = await settings.store.get(settings.name, id);
	return task && await show(settings, task);
}

/** See `Basket.list`. */
export async function* listTasks<Tx>(
	engine: ReadingOwner<Tx>,
	query: TaskQuery,
): AsyncGenerator<TaskRecord, void, undefined> {
	const { limit = Infinity, ...rest } = check("query", query, "object");
	checkCount("limit", limit);
	let { after } = rest;
	const { state, kind } = rest;
	if (state !== undefined) checkWord("state", state, taskStates);
	if (kind !== undefined) checkName("kind", kind);
	if (after !== undefined) check("after", after, "string");
	await engine.open();
	const { settings } = engine;
	const { store, name } = settings;
	let left = limit;
	while (left > 0) {
		const count = Math.min(left, pageSize);
		const tasks = await store.list(name, { state, kind, after, limit: count });
		for (const task of tasks) yield await show(settings, task);
		if (tasks.length < count) return;
		after = tasks.at(-1)!.key;
		left -= count;
	}
}

async function show<Tx>({ kinds }: BasketSettings<Tx>, task: StoredTask): Promise<TaskRecord> {
	const { payload, error, progress, ...rest } = task;
	const { delay: _, ...failure } = decodeFailure(error) ?? {};
	return {
		...rest,
		payload: await decode(kinds.get(task.kind), payload).catch(() => payload),
		error: error === undefined ? undefined : failure as TaskFailure,
		progress: decodeProgress(progress),
	};
}

async function decode(kind: Kind | undefined, payload: Data): Promise<unknown> {
	return kind === undefined ? payload : await kind.codec.decode(payload);
}

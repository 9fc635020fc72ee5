/**
 * Reads the stored tasks of a basket.
 *
 * @module
 */

import type { BasketSettings, Kind } from "./options.ts";
import type { Data, Message, StoredTask, TaskState } from "./store.ts";
import { decodeFailure, type TaskFailure } from "./codec.ts";
import { decodeProgress, type TaskProgress } from "./context.ts";
import { showHistory, type TaskHistory } from "./history.ts";
import { decodeMeta, type TaskMeta } from "./meta.ts";
import { isCollected } from "./place.ts";
import { taskStates } from "./store.ts";
import { openEnvelope, unpack } from "../schedule/envelope.ts";
import { check, checkCount, checkWord } from "../platform/check.ts";
import { checkChosen, checkName, checkNames } from "../platform/name.ts";

/** Options for {@link Basket.list}. */
export interface TaskQuery {
	/** Only tasks in this state. */
	state?: TaskState | undefined;
	/** Only tasks of this kind. */
	kind?: string | undefined;
	/** Only tasks in this lane. */
	lane?: string | undefined;
	/** Only tasks whose ids were given and begin with this text: 1 to 255 characters, not beginning with `_`. */
	prefix?: string | undefined;
	/** Only children of the task with this id, which other lists leave out. */
	parent?: string | undefined;
	/** `"oldest"`: in the order in which they were added; `"newest"`: the other way round. @default "oldest" */
	order?: "oldest" | "newest" | undefined;
	/** Only tasks after the task with this {@link TaskRecord.key}, in this order. */
	after?: string | undefined;
	/** The maximum number of tasks: a whole number from 1. @default Infinity */
	limit?: number | undefined;
}

/** A task, as {@link Basket.list} and {@link Basket.get} return it. */
export interface TaskRecord
	extends Omit<StoredTask, "payload" | "error" | "result" | "progress" | "meta" | "history" | "claim"> {
	/**
	 * The decoded payload; the stored data if it cannot be decoded, or if this basket does not know the kind. Of a task
	 * whose items are collected: an array of all of them by {@link Basket.get}, `undefined` in a list.
	 */
	readonly payload: unknown;
	/** The error of the last attempt. */
	readonly error: TaskFailure | undefined;
	/** What the function of a done task has returned, decoded like the payload. See {@link BasketOptions.retain}. */
	readonly result: unknown;
	/** The last reported progress. */
	readonly progress: TaskProgress | undefined;
	/** The texts that were given as `meta` when it was added. */
	readonly meta: TaskMeta;
	/** Of a running task: which worker runs it, and since when, in milliseconds since 1970 on the store's clock. */
	readonly run: { readonly worker: string | undefined; readonly since: number } | undefined;
	/**
	 * Its last attempts that have ended. They stay when it is retried, and when its payload is replaced. Attempts of a done task
	 * are known for the time of `retain`.
	 */
	readonly history: TaskHistory;
	/** Of the task of a schedule: its text, and its instant that is due next or runs. */
	readonly schedule?: { readonly text: string; readonly next: number } | undefined;
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

/** Checks what selects tasks. */
export function checkQuery<Q extends TaskQuery>(query: Q): Q {
	const { state, kind, lane, prefix, parent } = check("query", query, "object");
	if (state !== undefined) checkWord("state", state, taskStates);
	checkNames({ kind, lane, parent });
	if (prefix !== undefined) checkChosen("prefix", prefix);
	return query;
}

/** See `Basket.list`. */
export async function* listTasks<Tx>(
	engine: ReadingOwner<Tx>,
	query: TaskQuery,
): AsyncGenerator<TaskRecord, void, undefined> {
	const { limit = Infinity, order = "oldest", ...rest } = checkQuery(query);
	checkCount("limit", limit);
	let { after } = rest;
	const { state, kind, lane, prefix, parent } = rest;
	const isReverse = checkWord("order", order, ["oldest", "newest"]) === "newest";
	if (after !== undefined) check("after", after, "string");
	await engine.open();
	const { settings } = engine;
	const { store, name } = settings;
	let left = limit;
	while (left > 0) {
		const count = Math.min(left, pageSize);
		const tasks = await store.list(name, { state, kind, lane, prefix, parent, after, isReverse, limit: count });
		for (const task of tasks) yield await show(settings, task);
		if (tasks.length < count) return;
		after = tasks.at(-1)!.key;
		left -= count;
	}
}

async function show<Tx>(
	{ kinds }: BasketSettings<Tx>,
	task: StoredTask & { readonly inbox?: readonly Message[] },
): Promise<TaskRecord> {
	const { payload, error, result, progress, inbox, meta, history: _, claim, ...rest } = task;
	const { delay: __, ...failure } = decodeFailure(error) ?? {};
	const kind = kinds.get(task.kind);
	const mayRecur = kind?.mayRecur !== false;
	const envelope = mayRecur ? openEnvelope(payload) : undefined;
	const given = envelope === undefined ? payload : unpack(envelope.payload);
	const show = (data: Data) => decode(kind, data).catch(() => data);
	const items = mayRecur && isCollected(payload) && Promise.all((inbox ?? []).map(({ data }) => show(data)));
	return {
		...rest,
		...envelope && envelope.of === undefined && { schedule: { text: envelope.text, next: envelope.due } },
		payload: items ? inbox && await items : await show(given),
		error: error === undefined ? undefined : failure as TaskFailure,
		result: result === undefined ? undefined : await show(result),
		progress: decodeProgress(progress),
		meta: decodeMeta(meta),
		run: claim && task.state === "running" ? { worker: claim.worker, since: claim.at } : undefined,
		history: showHistory(task),
	};
}

async function decode(kind: Kind | undefined, payload: Data): Promise<unknown> {
	return kind === undefined ? payload : await kind.codec.decode(payload);
}

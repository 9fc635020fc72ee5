/**
 * A task as it is stored.
 *
 * @module
 */

import type { Claim, Data, Message, NewTask, StoredTask, TaskState } from "../../basket/store.ts";

/** What is kept of a task. A property that is absent keeps the record out of the indexes that have it. */
export interface TaskRecord {
	basket: string;
	/** Numbers the tasks of a basket in the order in which they were added. Never used again. */
	seq: number;
	/** Absent if the store has made it and it follows from the number. */
	id?: string;
	kind: string;
	/** Absent if it is stored apart. */
	payload?: Data;
	/** Under which number it is stored apart. */
	data?: number;
	state: TaskState;
	/** Another task of its lane is before it. */
	blocked?: boolean;
	/** It runs, and is not to be claimed again. */
	hold?: boolean;
	/** It waits out a backoff that may be ended early. */
	backoff?: boolean;
	/** The current claim. */
	token?: string;
	attempts: number;
	crashes: number;
	error?: string;
	progress?: string;
	dueAt?: number;
	addedAt: number;
	priority: number;
	lane?: string;
	/** The number of the last message. */
	posted?: number;
	inbox?: Message[];

	// What follows from the rest, for the indexes: see `toIndexed`.
	rank?: number;
	queue?: string;
	aside?: string;
	backoffUntil?: number;
	keptUntil?: number;
}

/** A new task, without its payload. */
export function toRecord(basket: string, seq: number, task: NewTask, now: number): TaskRecord {
	const { id, kind, delay, priority, lane } = task;
	const record: TaskRecord = {
		basket,
		seq,
		kind,
		state: "waiting",
		attempts: 0,
		crashes: 0,
		dueAt: now + delay,
		addedAt: now,
		priority,
	};
	if (id !== undefined) record.id = id;
	if (lane !== undefined) record.lane = lane;
	return record;
}

/** A clone of a part of a buffer would take the whole buffer with it. */
export function own(data: Data): Data {
	const isPart = typeof data !== "string" &&
		(data.byteLength !== data.buffer.byteLength || !(data.buffer instanceof ArrayBuffer));
	return isPart ? new Uint8Array(data) : data;
}

/** Makes the properties that the indexes want follow from the rest. */
export function toIndexed(record: TaskRecord): TaskRecord {
	const { state, blocked, hold, lane, dueAt } = record;
	const waits = state === "waiting" && !blocked;
	const isOver = state === "dead" || state === "done";
	assign(record, "rank", waits || state === "running" && !hold ? 0 - record.priority : undefined);
	assign(record, "queue", isOver ? undefined : lane);
	assign(record, "aside", state === "waiting" ? undefined : state);
	assign(record, "backoffUntil", waits && record.backoff ? dueAt : undefined);
	assign(record, "keptUntil", state === "done" ? dueAt : undefined);
	return record;
}

/** Sets a property, or takes it away. */
export function assign<K extends keyof TaskRecord>(record: TaskRecord, key: K, value: TaskRecord[K] | undefined): void {
	if (value === undefined) delete record[key];
	else record[key] = value;
}

/** The id of a record. */
export function idOf({ id, seq }: TaskRecord): string {
	return id ?? `_${seq}`;
}

/** It was kept as done, and its time is over: nobody sees it any more, whether or not a turn has removed it. */
export function isExpired({ state, dueAt }: TaskRecord, now: number): boolean {
	return state === "done" && dueAt! <= now;
}

const states: readonly unknown[] = ["waiting", "running", "held", "dead", "done"];
const indexed = ["rank", "queue", "aside", "backoffUntil", "keptUntil"] as const;

/** Whether it is as this library writes it. If it is not, somebody else has written it, or the disk has. */
export function isReadable(record: TaskRecord): boolean {
	const { id, kind, lane, payload, data, state, token, error, progress, attempts, crashes, addedAt, priority } = record;
	const { dueAt = 0, blocked = false, hold = false, backoff = false, inbox = [], posted = 0 } = record;
	const right = toIndexed({ ...record });
	const hasPayload = payload === undefined ? Number.isSafeInteger(data) : isData(payload) && data === undefined;
	return hasPayload && states.includes(state) && typeof kind === "string" &&
		[id, lane, token, error, progress].every((text) => text === undefined || typeof text === "string") &&
		[blocked, hold, backoff].every((flag) => typeof flag === "boolean") &&
		[attempts, crashes, posted].every((count) => Number.isSafeInteger(count) && count >= 0) &&
		Number.isSafeInteger(priority) && Number.isFinite(addedAt) && typeof dueAt === "number" && !Number.isNaN(dueAt) &&
		(state !== "running" || token !== undefined && record.dueAt !== undefined) &&
		Array.isArray(inbox) && inbox.every((message) => Number.isFinite(message?.n) && isData(message.data)) &&
		indexed.every((name) => right[name] === record[name]);
}

/** A record, or what can be saved of one that cannot be read. */
export function sound<R extends TaskRecord | undefined>(record: R, now: number): R {
	return record === undefined || isReadable(record) ? record : toDead(record, now) as R;
}

export function isData(value: unknown): value is Data {
	return typeof value === "string" || value instanceof Uint8Array;
}

/** What can be saved of a record that cannot be read: it is dead, and stays where it was. */
export function toDead(record: Partial<TaskRecord> & Pick<TaskRecord, "basket" | "seq">, now: number): TaskRecord {
	const { basket, seq, id, kind, payload, attempts, crashes, addedAt, priority, lane } = record;
	const dead: TaskRecord = {
		basket,
		seq,
		kind: text(kind) ?? "",
		payload: isData(payload) ? payload : "",
		state: "dead",
		attempts: number(attempts, 0),
		crashes: number(crashes, 0),
		addedAt: number(addedAt, now),
		priority: number(priority, 0),
		error: "The record of the task is damaged",
	};
	if (payload === undefined && Number.isSafeInteger(record.data)) {
		delete dead.payload;
		dead.data = record.data!;
	}
	assign(dead, "id", text(id));
	assign(dead, "lane", text(lane) ?? text(record.queue));
	return dead;
}

function text(value: unknown): string | undefined {
	return typeof value === "string" ? value : undefined;
}

function number(value: unknown, otherwise: number): number {
	return Number.isFinite(value) ? value as number : otherwise;
}

/** A record and its payload, for a worker. */
export function toClaim(record: TaskRecord, payload: Data, now: number): Claim {
	const { token, kind, attempts, crashes, priority, error, addedAt, lane, inbox = [] } = record;
	const age = Math.max(0, now - addedAt);
	return {
		id: idOf(record),
		token: token!,
		kind,
		payload,
		attempts,
		crashes,
		priority,
		error,
		addedAt,
		age,
		lane,
		inbox,
	};
}

/** A record and its payload, for people. */
export function toStored(record: TaskRecord, payload: Data): StoredTask {
	const { seq, kind, state, attempts, crashes, error, progress, dueAt, addedAt, priority, lane } = record;
	return {
		key: String(seq).padStart(16, "0"),
		id: idOf(record),
		kind,
		payload,
		state,
		attempts,
		crashes,
		error,
		progress,
		dueAt,
		addedAt,
		priority,
		lane,
	};
}

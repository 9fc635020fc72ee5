/**
 * How a task is stored, and under which keys it can be found.
 *
 * | key, behind the prefix and the name of the basket | value | there are |
 * | --- | --- | --- |
 * | `task`, place | the record | all tasks |
 * | `data`, id | the payload | those whose payload is too large for the record |
 * | `inbox`, id, n | a message | |
 * | `id`, id | place | those whose id does not tell the place |
 * | `due`, kind, 100 − priority, instant, place | what to know of an unreadable record | waiting heads and running tasks |
 * | `backoff`, instant, place | `true` | those that `hasten` is about |
 * | `blocked`, lane, place | `true` | those behind the head of their lane |
 * | `tail`, lane | the last place given in it | lanes |
 * | `done`, instant, place | `true` | those that will be removed |
 * | `bell`; `bell`, reason | something else each time | |
 *
 * The place of a task is its place in the order added. Keys follow from the record, see {@link keysOf}; the record alone
 * is the truth, and a key that does not agree with it is removed by whoever finds it.
 *
 * @module
 */

import type { Data, StoredTask, TaskState } from "../../basket/store.ts";
import { isPlace } from "./places.ts";
import type { Tail } from "./space.ts";

/** A task as it is stored. */
export interface TaskRecord {
	readonly place: string;
	readonly id: string;
	readonly kind: string;
	/** Absent if it is stored apart. */
	readonly payload?: Data | undefined;
	readonly state: Exclude<TaskState, "held">;
	readonly isHeld?: boolean | undefined;
	/** Others of its lane come first. */
	readonly isBlocked?: boolean | undefined;
	/** It waits because it has failed, and nothing but that. */
	readonly isBackingOff?: boolean | undefined;
	readonly attempts: number;
	readonly crashes: number;
	readonly error?: string | undefined;
	readonly progress?: string | undefined;
	readonly dueAt?: number | undefined;
	readonly addedAt: number;
	readonly priority: number;
	readonly lane?: string | undefined;
	/** Of its claim, while it is running. */
	readonly token?: string | undefined;
	/** How many messages there were, and up to which they are removed. */
	readonly posted: number;
	readonly seen: number;
}

/** What is known of a task from its key when its record cannot be read. */
export interface Hint {
	readonly kind?: string | undefined;
	readonly id?: string | undefined;
	readonly lane?: string | undefined;
}

export const unreadable = "The stored task could not be read";

/** A value takes 64 KiB, with what Deno KV puts around it. */
export const maxPayload = 65_000;

/** Payloads above are stored apart, so that a claim need not write them again. In units of text or bytes. */
export const longestInline = 2_000;

/** Messages of one task that nobody has seen: one commit must be able to remove them. */
export const mostMessages = 500;

const states: readonly unknown[] = ["waiting", "running", "dead", "done"];

export function taskKey(place: string): Tail {
	return ["task", place];
}

/** Reads a record; one that is not of that shape is a dead task. */
export function readRecord(place: string, value: unknown, hint: Hint = {}): TaskRecord {
	if (isRecord(place, value)) return value;
	const { id, kind, lane, payload, priority, posted, seen } = Object(value) as Partial<TaskRecord>;
	const hasInbox = isInbox(seen, posted);
	return {
		place,
		id: hint.id ?? (typeof id === "string" ? id : "_" + place),
		kind: hint.kind ?? (typeof kind === "string" ? kind : ""),
		lane: hint.lane ?? (typeof lane === "string" ? lane : undefined),
		payload: isData(payload) ? payload : "",
		state: "dead",
		error: unreadable,
		attempts: 0,
		crashes: 0,
		addedAt: 0,
		priority: Number.isInteger(priority) ? priority! : 0,
		posted: hasInbox ? posted! : 0,
		seen: hasInbox ? seen! : 0,
	};
}

export function isRecord(place: string, value: unknown): value is TaskRecord {
	const { place: own, id, kind, payload, state, lane, token, dueAt, addedAt, ...rest } = Object(value);
	const { isHeld, isBlocked, isBackingOff, error, progress, attempts, crashes, priority, posted, seen } = rest;
	return own === place && isPlace(place) && typeof id === "string" && typeof kind === "string" &&
		states.includes(state) && (payload === undefined || isData(payload)) &&
		isOptional("string", lane, error, progress) &&
		isOptional("boolean", isHeld, isBlocked, isBackingOff) && isOptional("number", dueAt) && !Number.isNaN(dueAt) &&
		Number.isFinite(addedAt) && (state !== "running" || (typeof token === "string" && dueAt !== undefined)) &&
		!(isBlocked && (lane === undefined || state !== "waiting")) &&
		isCount(attempts) && isCount(crashes) && Number.isSafeInteger(priority) && isInbox(seen, posted);
}

function isOptional(type: string, ...values: readonly unknown[]): boolean {
	return values.every((value) => value === undefined || typeof value === type);
}

function isCount(value: unknown): boolean {
	return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A number of messages that is out of reach would be counted up to when they are removed. */
function isInbox(seen: unknown, posted: unknown): boolean {
	return isCount(seen) && isCount(posted) && seen as number <= (posted as number) &&
		posted as number - (seen as number) <= mostMessages;
}

/** Where a record can be found besides its own key, and what is stored there. */
export function keysOf(record: TaskRecord): (readonly [Tail, unknown])[] {
	const { place, id, state, lane, dueAt, isBlocked, isHeld, isBackingOff } = record;
	const keys: (readonly [Tail, unknown])[] = [];
	if (id !== "_" + place) keys.push([["id", id], place]);
	if (isBlocked) keys.push([["blocked", lane!, place], true]);
	if (dueAt === undefined || isBlocked || isHeld || state === "dead") return keys;
	if (state === "done") return Number.isFinite(dueAt) ? [...keys, [["done", dueAt, place], true]] : keys;
	if (isBackingOff && state === "waiting") keys.push([["backoff", dueAt, place], true]);
	keys.push([dueKey(record), id === "_" + place && lane === undefined ? true : { id, lane }]);
	return keys;
}

function dueKey({ kind, priority, dueAt, place }: TaskRecord): Tail {
	return ["due", kind, 100 - priority, dueAt!, place];
}

/** Whether claims find the record under this key. */
export function isDueUnder(record: TaskRecord, tail: Tail): boolean {
	return keysOf(record).some(([key]) => JSON.stringify(key) === JSON.stringify(tail));
}

/** It was kept as done, and its time is over: nobody sees it any more, whether or not a turn has removed it. */
export function isExpired({ state, dueAt }: TaskRecord, now: number): boolean {
	return state === "done" && dueAt !== undefined && dueAt <= now;
}

export function isOver({ state }: TaskRecord): boolean {
	return state === "dead" || state === "done";
}

export function stateOf({ state, isHeld }: TaskRecord): TaskState {
	return isHeld && state === "waiting" ? "held" : state;
}

/** What others may know of it. */
export function show(record: TaskRecord, payload: Data): StoredTask {
	const { place: key, id, kind, attempts, crashes, error, progress, dueAt, addedAt, priority, lane } = record;
	const shown = { key, id, kind, payload, state: stateOf(record), attempts, crashes, error, progress, dueAt };
	return { ...shown, addedAt, priority, lane };
}

export function isData(value: unknown): value is Data {
	return typeof value === "string" || value instanceof Uint8Array;
}

/**
 * Data as it is stored: bytes as a copy, since of a part of a buffer all would be stored; long text as UTF-8, since Deno KV
 * stores two bytes for each unit of text that is not Latin-1.
 */
export function pack(data: Data): unknown {
	if (typeof data !== "string") return new Uint8Array(data);
	if (isLatin(data)) return data;
	const utf8 = new TextEncoder().encode(data);
	// Not what has half a pair of surrogates, which UTF-8 cannot write.
	return decode(utf8) === data ? { utf8 } : data;
}

/** How many bytes {@link pack} makes of it. */
export function sizeOf(data: Data): number {
	if (typeof data !== "string") return data.length;
	// Most need not be encoded to know that they are small.
	if (data.length < 1_000 || isLatin(data)) return data.length;
	const utf8 = new TextEncoder().encode(data);
	return decode(utf8) === data ? utf8.length : 2 * data.length;
}

function isLatin(text: string): boolean {
	return !/[^\0-\xff]/.test(text);
}

/** Undoes {@link pack}; `undefined` if it was something else. */
export function unpack(value: unknown): Data | undefined {
	const { utf8 } = Object(value) as { utf8?: unknown };
	if (utf8 instanceof Uint8Array) return decode(utf8);
	return isData(value) ? value : undefined;
}

function decode(bytes: Uint8Array): string {
	return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

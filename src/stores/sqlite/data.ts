/**
 * How values look in the tables, and rows outside.
 *
 * @module
 */

import type { Data, Message, NewTask, StoredTask, TaskState } from "../../basket/store.ts";
import { check } from "../../platform/check.ts";
import { never } from "./schema.ts";
import * as State from "./state.ts";

/** A row of the tasks. */
export interface TaskRow {
	readonly seq: number;
	readonly kind: string;
	readonly id: string | null;
	readonly lane: string | null;
	readonly priority: number;
	readonly state: number;
	readonly due: number;
	readonly gone: number | null;
	readonly added: number;
	readonly attempts: number;
	readonly crashes: number;
	readonly claims: number;
	readonly posted: number;
	readonly seen: number;
	readonly error: string | null;
	readonly progress: string | null;
	readonly payload: unknown;
}

/** How long the key of a task is, so that keys have the order of their numbers. */
const keyLength = 16;

/** Those of a {@link TaskRow}. */
export const columns =
	"seq, kind, id, lane, priority, state, due, gone, added, attempts, crashes, claims, posted, seen, error, progress, payload";

/** In the place of each number of a state what it is outside; what has another number cannot be understood. */
const states: readonly TaskState[] = ["waiting", "running", "waiting", "running", "held", "held", "dead", "done"];

/** What a text begins with that is stored as JSON: no character, but kept like one. */
const escaped = "\ufdd0";

/**
 * Text that SQLite or a driver would change (a NUL, which ends a text for Deno, and half a surrogate pair) is stored as
 * JSON, which has an escape for it.
 */
export function encode(data: Data): Data {
	if (typeof data !== "string") return data;
	return /^\ufdd0|\0|\p{Surrogate}/u.test(data) ? escaped + JSON.stringify(data) : data;
}

/** `undefined` if this is nothing that {@link encode} has made. */
export function decode(value: unknown): Data | undefined {
	if (typeof value === "object" && value !== null) return bytesOf(value as Uint8Array);
	if (typeof value !== "string") return undefined;
	if (value[0] !== escaped) return value;
	try {
		return JSON.parse(value.slice(1));
	} catch {
		return undefined;
	}
}

/** better-sqlite3 gives a Buffer, which is a Uint8Array that behaves in another way; libsql gives an ArrayBuffer. */
function bytesOf(value: Uint8Array): Uint8Array {
	return value.constructor === Uint8Array ? value : new Uint8Array(value);
}

/** Whether SQLite and all drivers keep it as it is: others would make the name of another task of it. */
export function isName(name: string): boolean {
	return !/\0|\p{Surrogate}/u.test(name);
}

/** Refuses names that would not be kept. What is looked for under one is not there. */
export function checkNames(basket: string, tasks: readonly NewTask[]): void {
	const rule = "well-formed text without a NUL";
	check("basket", basket, "string", isName(basket), rule);
	let last: string | undefined;
	for (const { id, kind, lane } of tasks) {
		if (kind !== last) check("kind", last = kind, "string", isName(kind), rule);
		if (id !== undefined) check("id", id, "string", isName(id), rule);
		if (lane !== undefined) check("lane", lane, "string", isName(lane), rule);
	}
}

/** The instant some time from now, which is not {@link never}. */
export function after(now: number, duration: number): number {
	return Math.min(now + Math.ceil(duration), never - 1);
}

/** Whether a task was kept as done for long enough. It may still be in the table, and nobody sees it there. */
export function isGone({ state, gone }: Pick<TaskRow, "state" | "gone">, now: number): boolean {
	return state === State.done && gone !== null && gone <= now;
}

/** In how many parts the numbers of {@link homeOf} are divided for each basket, one for each kind. */
const kinds = 4_194_304;

/** What is in the column `home`. It is stored, so it must never change. Two that are equal only make a list slower. */
export function homeOf(basket: string, kind: string): number {
	return firstHomeOf(basket) + (hash(kind) >>> 10);
}

/** Where the homes of a basket begin and end. */
export function homesOf(basket: string): [first: number, last: number] {
	const first = firstHomeOf(basket);
	return [first, first + kinds - 1];
}

function firstHomeOf(basket: string): number {
	return (hash(basket) >>> 1) * kinds;
}

/** FNV-1a of 32 bits. */
function hash(text: string): number {
	let result = 0x811c9dc5;
	for (let index = 0; index < text.length; index++) result = Math.imul(result ^ text.charCodeAt(index), 0x01000193);
	return result >>> 0;
}

export function idOf({ seq, id }: { readonly seq: number; readonly id: string | null }): string {
	return id ?? `_${seq}`;
}

/** The number in a {@link StoredTask.key}. */
export function seqOf(key: string): number {
	const isKey = /^\d+$/.test(check("after", key, "string")) && key.length === keyLength;
	return Number(check("after", key, "string", isKey, `a key that list() has given, of ${keyLength} digits`));
}

export function stateOf(number: number): TaskState {
	return states[number] ?? "dead";
}

/** Why a task is dead that somebody has changed by hand. */
export function damaged(column: string, value: unknown): string {
	return `The stored task is damaged and cannot be read: "${column}" is ${String(value).slice(0, 100)}`;
}

export function showMessage({ n, data }: { readonly n: number; readonly data: unknown }): Message {
	return { n, data: decode(data) ?? "" };
}

export function showTask(row: TaskRow): StoredTask {
	const { seq, kind, payload, state, attempts, crashes, error, progress, due, added, priority, lane } = row;
	return {
		key: String(seq).padStart(keyLength, "0"),
		id: idOf(row),
		kind,
		payload: decode(payload) ?? "",
		state: stateOf(state),
		attempts,
		crashes,
		error: error ?? (state in states ? undefined : damaged("state", state)),
		progress: progress ?? undefined,
		dueAt: due >= never || state === State.dead ? undefined : due,
		addedAt: added,
		priority,
		lane: lane ?? undefined,
	};
}

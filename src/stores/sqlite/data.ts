/**
 * Conversion between values and table columns.
 *
 * @module
 */

import type { Data, Message, NewTask, StoredTask, TaskState } from "../../basket/store.ts";
import { check } from "../../platform/check.ts";
import { never } from "./schema.ts";
import * as State from "./state.ts";

/** A row of the table of tasks. */
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

/** The length of the key of a task; it is fixed, so that keys sort like their numbers. */
const keyLength = 16;

/** The columns of a {@link TaskRow}. */
export const columns =
	"seq, kind, id, lane, priority, state, due, gone, added, attempts, crashes, claims, posted, seen, error, progress, payload";

/** The public state for each state number. Other numbers are invalid. */
const states: readonly TaskState[] = ["waiting", "running", "waiting", "running", "held", "held", "dead", "done"];

/** The prefix of text that is stored as JSON: a noncharacter, which is stored like a character. */
const escaped = "\ufdd0";

/**
 * Encodes data. Text that SQLite or a driver would change (with NUL, which ends a text for Deno, or lone surrogates)
 * is stored as JSON, which can escape these.
 */
export function encode(data: Data): Data {
	if (typeof data !== "string") return data;
	return /^\ufdd0|\0|\p{Surrogate}/u.test(data) ? escaped + JSON.stringify(data) : data;
}

/** Undoes {@link encode}. Returns `undefined` for an invalid value. */
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

/** better-sqlite3 returns a Buffer, a Uint8Array with different behavior; libsql returns an ArrayBuffer. */
function bytesOf(value: Uint8Array): Uint8Array {
	return value.constructor === Uint8Array ? value : new Uint8Array(value);
}

/** Whether SQLite and all drivers keep the name unchanged. Otherwise it could become the name of another task. */
export function isName(name: string): boolean {
	return !/\0|\p{Surrogate}/u.test(name);
}

/** Refuses names that would be changed. */
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

/** The instant after a duration, always before {@link never}. */
export function after(now: number, duration: number): number {
	return Math.min(now + Math.ceil(duration), never - 1);
}

/** Whether the retention of a done task has ended. It may still be in the table, but is invisible. */
export function isGone({ state, gone }: Pick<TaskRow, "state" | "gone">, now: number): boolean {
	return state === State.done && gone !== null && gone <= now;
}

/** The number of values of {@link homeOf} per basket, for its kinds. */
const kinds = 4_194_304;

/** The value of the column `home`. It is stored, so the function must never change. Collisions only make lists slower. */
export function homeOf(basket: string, kind: string): number {
	return firstHomeOf(basket) + (hash(kind) >>> 10);
}

/** The range of the homes of a basket. */
export function homesOf(basket: string): [first: number, last: number] {
	const first = firstHomeOf(basket);
	return [first, first + kinds - 1];
}

function firstHomeOf(basket: string): number {
	return (hash(basket) >>> 1) * kinds;
}

/** The 32-bit FNV-1a hash. */
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

/** The error of a dead task that was changed by hand. */
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

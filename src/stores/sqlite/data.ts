/**
 * How values look in the tables, and rows outside.
 *
 * @module
 */

import type { Data, Message, StoredTask, TaskState } from "../../basket/store.ts";
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
	if (typeof value === "object" && value !== null) return value as Uint8Array;
	if (typeof value !== "string") return undefined;
	if (value[0] !== escaped) return value;
	try {
		return JSON.parse(value.slice(1));
	} catch {
		return undefined;
	}
}

/** The instant some time from now, which is not {@link never}. */
export function after(now: number, duration: number): number {
	return Math.min(now + Math.ceil(duration), never - 1);
}

export function idOf({ seq, id }: { readonly seq: number; readonly id: string | null }): string {
	return id ?? `_${seq}`;
}

/** The numbers of a state: it may have several forms. */
export function formsOf(state: TaskState): number[] {
	return states.flatMap((name, number) => name === state ? [number] : []);
}

export function stateOf(number: number): TaskState {
	return states[number] ?? "dead";
}

export function showMessage({ n, data }: { readonly n: number; readonly data: unknown }): Message {
	return { n, data: decode(data) ?? "" };
}

export function showTask(row: TaskRow): StoredTask {
	const { seq, kind, payload, state, attempts, crashes, error, progress, due, added, priority, lane } = row;
	return {
		key: String(seq).padStart(16, "0"),
		id: idOf(row),
		kind,
		payload: decode(payload) ?? "",
		state: stateOf(state),
		attempts,
		crashes,
		error: error ?? undefined,
		progress: progress ?? undefined,
		dueAt: due === never || state === State.dead ? undefined : due,
		addedAt: added,
		priority,
		lane: lane ?? undefined,
	};
}

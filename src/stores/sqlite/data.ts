/**
 * Conversion between values and table columns.
 *
 * @module
 */

import type { ClaimOrigin, Data, Message, NewTask, StoredTask } from "../../basket/store.ts";
import { check } from "../../platform/check.ts";
import { decodeText, encodeText, showTask, type TaskRow as ShownRow } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import type { Tables } from "./tables.ts";

/** A row of the table of tasks. */
export interface TaskRow extends ShownRow {
	readonly gone: number | null;
	readonly claims: number;
	readonly posted: number;
	readonly seen: number;
	readonly payload: unknown;
	readonly result: unknown;
	/** The key of its limit. Absent if the tables have no keys. */
	readonly gate?: string | null;
	/** See {@link isFollower}. Absent if the tables have no runs. */
	readonly behind?: number | null;
	/** The id of its parent. Absent if the tables have no children. */
	readonly parent?: string | null;
	readonly meta: string | null;
	readonly history: string | null;
	readonly worker: string | null;
	readonly claimed: number | null;
}

/** A due task. */
export type DueRow =
	& Pick<TaskRow, "seq" | "kind" | "id" | "lane" | "priority" | "due" | "added" | "claims" | "payload" | "gate">
	& { readonly isFresh: number };

/** The columns of a {@link TaskRow}. */
export function columns({ hasGates, hasFamilies, tasks, families }: Tables): string {
	return `seq, kind, id, lane, priority, state, due, gone, added, attempts, crashes, claims, posted, seen, error, progress,
		payload, result, meta, history, worker, claimed${hasGates ? ", gate, behind" : ""}${
		hasFamilies ? `, (SELECT one.id FROM ${families} AS one WHERE one.family = ${tasks}.parent) AS parent` : ""
	}`;
}

/** The columns of a {@link DueRow}: those that are read of every claimed task. Each column costs time. */
export function claimColumns({ hasGates }: Tables): string {
	return `seq, kind, id, lane, priority, due, added, claims, payload,
		state | attempts | crashes = 0 AND posted <= seen
		AND coalesce(error, log, meta, history, claimed) IS NULL AS isFresh${hasGates ? ", gate" : ""}`;
}

/** The order of claims. */
export function byTurn(a: DueRow, b: DueRow): number {
	return b.priority - a.priority || a.due - b.due || a.seq - b.seq;
}

/** The key of a limit as a column. */
export function gateOf({ limitKey }: Pick<NewTask, "limitKey">): string | null {
	return limitKey === undefined ? null : encodeText(limitKey);
}

/** The key of a limit as it was given, or as it was written by hand. */
export function keyOf(gate: string | null | undefined): string | undefined {
	return gate == null ? undefined : decodeText(gate) ?? gate;
}

/** Text as a column. */
export function columnOf(text: string | undefined): string | null {
	return text === undefined ? null : encodeText(text);
}

/** Encodes data: text as in all SQL stores. Bytes stay bytes. */
export function encode(data: Data): Data {
	return typeof data === "string" ? encodeText(data) : data;
}

/** Undoes {@link encode}. Returns `undefined` for an invalid value. */
export function decode(value: unknown): Data | undefined {
	if (typeof value === "object" && value !== null) return bytesOf(value as Uint8Array);
	return typeof value === "string" ? decodeText(value) : undefined;
}

/** better-sqlite3 returns a Buffer, a Uint8Array with different behavior; libsql returns an ArrayBuffer. */
function bytesOf(value: Uint8Array): Uint8Array {
	return value.constructor === Uint8Array ? value : new Uint8Array(value);
}

/** Whether SQLite and all drivers keep the name unchanged. Otherwise it could become the name of another task. */
export function isName(name: string): boolean {
	return !/\0|\p{Surrogate}/u.test(name);
}

const rule = "well-formed text without a NUL";

export function checkKind(basket: string, kind?: string): void {
	check("basket", basket, "string", isName(basket), rule);
	if (kind !== undefined) check("kind", kind, "string", isName(kind) && kind !== "", `${rule}, not empty`);
}

/** Refuses names that would be changed. */
export function checkNames(basket: string, tasks: readonly NewTask[]): void {
	checkKind(basket);
	let last: string | undefined;
	for (const { id, kind, lane } of tasks) {
		if (kind !== last) check("kind", last = kind, "string", isName(kind), rule);
		if (id !== undefined) check("id", id, "string", isName(id), rule);
		if (lane !== undefined) check("lane", lane, "string", isName(lane), rule);
	}
}

/** The instant after a duration, always before `never`. */
export function after(now: number, duration: number): number {
	return Math.min(now + Math.ceil(duration), State.never - 1);
}

/** Whether the retention of a done or dead task has ended. It may still be in the table, but is invisible. */
export function isGone({ state, gone }: Pick<TaskRow, "state" | "gone">, now: number): boolean {
	return state >= State.dead && gone !== null && gone <= now;
}

export function show(row: TaskRow): StoredTask {
	const [result, limitKey, parent] = [decode(row.result), keyOf(row.gate), row.parent ?? undefined];
	const { meta, history } = row;
	const more = { meta: textOf(meta), history: textOf(history), claim: originOf(row) };
	return { ...showTask(row, decode(row.payload)), result, limitKey, parent, ...more };
}

/** Text that is there. */
export function textOf(text: string | null): string | undefined {
	return text === null ? undefined : decodeText(text) ?? text;
}

/** The current claim, or the last one if that ended without a settlement. */
export function originOf({ worker, claimed }: Pick<TaskRow, "worker" | "claimed">): ClaimOrigin | undefined {
	return claimed === null ? undefined : { worker: textOf(worker), at: claimed };
}

export function showMessage({ n, data }: { readonly n: number; readonly data: unknown }): Message {
	return { n, data: decode(data) ?? "" };
}

/** SQL for the rows with these numbers, for use with their {@link bounds}. */
export function isAmong(seqs: readonly number[]): string {
	return isRange(seqs) ? "seq BETWEEN ?1 AND ?2" : "seq IN (SELECT value FROM json_each(?1)) AND ?2";
}

export function bounds(seqs: readonly number[]): [string | number, number] {
	return isRange(seqs) ? [seqs[0]!, seqs.at(-1)!] : [JSON.stringify(seqs), 1];
}

/**
 * Whether the numbers are consecutive: tasks that were added together are mostly settled together, and a range is
 * faster than a list.
 */
function isRange(seqs: readonly number[]): boolean {
	return seqs.every((seq, index) => seq === seqs[0]! + index) && seqs.length > 0;
}

/**
 * SQL for the running tasks behind the head of a lane, of which claims must find only the head. They are `stopping`, and
 * `behind` is 1, or 2 if the task will be held. In other states, `behind` means nothing.
 */
export function isFollower(): string {
	return `state = ${State.stopping} AND behind IS NOT NULL`;
}

/** The state after a change; `undefined` if the change does not apply. */
export function changed(state: number, change: "hold" | "release"): number | undefined {
	const pairs = [[State.waiting, State.held], [State.blocked, State.stayed], [State.running, State.stopping]];
	const [from, to] = change === "hold" ? [0, 1] : [1, 0];
	return pairs.find((pair) => pair[from!] === state)?.[to!];
}

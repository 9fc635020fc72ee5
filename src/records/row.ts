/**
 * The row of a task: its validation, its public form, and the effect of an outcome.
 *
 * @module
 */

import type { ClaimOrigin, Data, Message, Outcome, StoredTask } from "../basket/store.ts";
import { isCloned } from "../basket/store.ts";
import { Stray } from "./space.ts";
import {
	type GateRow,
	idOf,
	isOver,
	type Next,
	type NoteRow,
	type Order,
	type Start,
	stateOf,
	type TaskRow,
} from "./tables.ts";

/** The error of a task whose row is not valid. */
export const unreadable = "The stored task could not be read";

/** More than any inbox holds. Larger numbers are refused, because the removal of messages would count up to them. */
const mostMessages = 1_000_000;

/** The fields of a task without claims and messages. */
export const fresh = { attempts: 0, crashes: 0, posted: 0, seen: 0 } as const;

/** The fields of a task whose payload was replaced. Its messages stay. */
export const renewed = {
	attempts: 0,
	crashes: 0,
	error: undefined,
	progress: undefined,
	isBackingOff: undefined,
	by: undefined,
	since: undefined,
} as const;

/** The state of a task whose payload cannot be read. */
export const ended = {
	state: "dead",
	error: unreadable as string,
	token: undefined,
	dueAt: undefined,
	isBackingOff: undefined,
	spare: undefined,
	next: undefined,
	start: undefined,
	isBlocked: undefined,
	followers: undefined,
} as const;

const states: readonly unknown[] = ["waiting", "running", "dead", "done"];

/** Whether a row is a readable task. */
export function isSound(value: unknown): value is TaskRow {
	if (value === null || typeof value !== "object" || value instanceof Stray) return false;
	const row = value as TaskRow;
	const { lane, state, token, dueAt, posted, seen } = row;
	const texts = [row.id, lane, token, row.error, row.progress, row.limitKey, row.parent, row.joined, row.meta];
	const flags = [row.isHeld, row.isBlocked, row.isBackingOff, row.isSwapped, row.isCollected, row.isTaken];
	return isOrder(row.order) && isOrder(row.home) && isText(row.kind) && states.includes(state) &&
		areOptional(isText, ...texts, row.history, row.by) && areOptional(isFlag, ...flags, row.isLogged, row.isParent) &&
		areOptional(isNumber, dueAt, row.since) && !Number.isNaN(dueAt) && Number.isFinite(row.addedAt) &&
		Number.isSafeInteger(row.priority) && [row.attempts, row.crashes, seen, posted].every(isCount) &&
		(state !== "running" || (token !== undefined && dueAt !== undefined)) &&
		!(row.isBlocked && (lane === undefined || isOver(row))) && areOptional(isCount, row.followers) &&
		areOptional(isOrder, row.family) && areOptional(isData, row.payload) &&
		(row.spare === true || areOptional(isData, row.spare)) && areOptional(isNext, row.next) &&
		areOptional(isStart, row.start) && areOptional(Array.isArray, row.paused, row.gated) &&
		seen <= posted && posted - seen <= mostMessages;
}

/** Converts a found row to a task. An unreadable row becomes a dead task with all readable parts. */
export function toTask(found: TaskRow | Stray): TaskRow {
	if (isSound(found)) return found;
	const { value = found, key = undefined } = found instanceof Stray ? found : {};
	const row: Partial<TaskRow> = Object(value);
	const { home, payload, priority, family } = row;
	const order = key?.[0] ?? (isOrder(row.order) ? row.order : 0);
	const texts = ["id", "lane", "limitKey", "parent", "joined", "meta", "history", "kind"] as const;
	const readable = texts.filter((name) => isText(row[name])).map((name) => [name, row[name]]);
	return {
		...fresh,
		order,
		home: isOrder(home) ? home : order,
		kind: "",
		...Object.fromEntries(readable),
		payload: isData(payload) ? payload : "",
		state: "dead",
		error: unreadable,
		addedAt: 0,
		priority: Number.isSafeInteger(priority) ? priority! : 0,
		family: isOrder(family) ? family : undefined,
		// It may have some.
		isLogged: true,
		isParent: true,
	};
}

/** The common fields of the outcomes. */
export interface Details {
	readonly retain?: number | undefined;
	readonly attempts?: number;
	readonly error?: string;
	readonly delay?: number | null | undefined;
	readonly hold?: boolean | undefined;
	readonly seen?: number | undefined;
	readonly backoff?: boolean | undefined;
	readonly limitKey?: string | undefined;
	readonly isKeyShut?: boolean | undefined;
	readonly history?: string | undefined;
}

/** The time at which an ended task is removed; `undefined` if it is never removed. */
function removalOf(now: number, retain: number): number | undefined {
	return retain < Infinity ? now + retain : undefined;
}

/** The row of a running task after an outcome, without data and messages; `undefined` if the task is removed. */
export function settled(row: TaskRow, outcome: Outcome, now: number): TaskRow | undefined {
	const { type, retain, attempts = 0, error, delay, hold, seen = 0, backoff, limitKey, history }:
		& Details
		& Pick<Outcome, "type"> = outcome;
	const ended = {
		...row,
		token: undefined,
		isBackingOff: backoff || undefined,
		...(row.start && { start: undefined }),
		...(row.followers && { followers: undefined }),
		...(limitKey !== undefined && { limitKey }),
		...(row.since !== undefined && { by: undefined, since: undefined }),
		...(history !== undefined && { history }),
	};
	const over = { ...ended, isHeld: undefined, ...(row.isBlocked && { isBlocked: undefined }) };
	const waiting: TaskRow = { ...ended, state: "waiting", dueAt: now };
	switch (type) {
		case "done":
			return retain! > 0 ? { ...over, state: type, dueAt: removalOf(now, retain!) } : undefined;
		case "dead":
			return { ...over, state: type, dueAt: removalOf(now, retain ?? Infinity), attempts, error };
		case "retry":
			return { ...waiting, isHeld: hold || row.isHeld, attempts, crashes: 0, error, dueAt: now + delay! };
		case "later": {
			const last = Math.max(row.seen, Math.min(seen, row.posted));
			const dueAt = row.posted > last ? Math.min(row.addedAt, now) : delay === null ? undefined : now + delay!;
			return { ...waiting, seen: last, dueAt, attempts: 0, crashes: 0 };
		}
	}
	return delay === undefined ? waiting : { ...waiting, crashes: 0, dueAt: now + delay! };
}

/** The row of a task that waits again because its claim has ended without a settlement. */
export function crashed(row: TaskRow): TaskRow {
	const [attempts, crashes] = [row.attempts + 1, row.crashes + 1];
	return { ...row, state: "waiting", token: undefined, start: undefined, followers: undefined, attempts, crashes };
}

/** What a task that begins anew keeps: its parent, and its past. */
export function kept({ parent, family, joined, history }: TaskRow): Partial<TaskRow> {
	return { ...(parent !== undefined && { parent, family, joined }), ...(history !== undefined && { history }) };
}

/** The facts about the data of a task that hold for its next row, too. */
export function lasting(row: TaskRow): Partial<TaskRow> {
	const { isSwapped, isLogged, isParent } = row;
	return {
		...(isSwapped && { isSwapped }),
		...(isLogged && { isLogged }),
		...(isParent && { isParent }),
		...kept(row),
	};
}

/** Whether it has ended, and its retention, too. Then it is invisible, even if no turn has removed it. */
export function isExpired(row: TaskRow, now: number): boolean {
	return isOver(row) && row.dueAt !== undefined && row.dueAt <= now;
}

/** The public form of a task. */
export function show(row: TaskRow, key: string, payload: Data, result?: Data): StoredTask {
	const { kind, attempts, crashes, error, progress, addedAt, priority, lane, limitKey, parent, meta, history } = row;
	const dueAt = row.dueAt === Infinity ? undefined : row.dueAt;
	const shown = { key, id: idOf(row), kind, payload, state: stateOf(row), attempts, crashes, error, result, progress };
	return { ...shown, dueAt, addedAt, priority, lane, limitKey, parent, meta, history, claim: originOf(row) };
}

/** Its claim, or the last one if that ended without a settlement. */
export function originOf({ by, since }: TaskRow): ClaimOrigin | undefined {
	return since === undefined ? undefined : { worker: by, at: since };
}

/** Whether it is the head of its lane, or has no lane. */
export function isHead(row: TaskRow): boolean {
	return !row.isBlocked && !isOver(row);
}

/** Whether a value is encoded data. */
export function isData(value: unknown): value is Data {
	return typeof value === "string" || value instanceof Uint8Array || isCloned(value);
}

/** Not `slice`, which does not copy a Buffer of Node. */
export function copy(data: Data): Data {
	return data instanceof Uint8Array ? new Uint8Array(data) : data;
}

/** The readable ones of messages or of entries of a log. */
export function toMessages(found: readonly (object | undefined)[]): Message[] {
	return found.flatMap((row) => {
		const { n, data } = Object(row) as Message;
		return isCount(n) && isData(data) ? [{ n, data: copy(data) }] : [];
	});
}

function isOrder(value: unknown): value is Order {
	return typeof value === "string" || Number.isSafeInteger(value);
}

function isNext(value: unknown): boolean {
	const next: Next = Object(value);
	return Number.isSafeInteger(next.priority) && [next.addedAt, next.dueAt].every(Number.isFinite) &&
		areOptional(isText, next.limitKey);
}

function isStart(value: unknown): boolean {
	const start: Start = Object(value);
	return [start.at, start.spacing].every(Number.isFinite);
}

/** Whether a value is a readable note about a gate. */
export function isNote(value: unknown): value is NoteRow {
	const note: NoteRow = Object(value);
	return [note.kind, note.limitKey, note.mark].every(isText) && Number.isFinite(note.at);
}

/** Whether a value is a readable gate. */
export function isGate(value: unknown): value is GateRow {
	const gate: GateRow = Object(value);
	return [gate.kind, gate.limitKey, gate.by].every(isText) && gate.readyAt >= 0 &&
		[gate.turn, gate.next, gate.startedAt, gate.shutUntil].every(Number.isFinite);
}

function isCount(value: unknown): value is number {
	return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isText(value: unknown): value is string {
	return typeof value === "string";
}

function isFlag(value: unknown): boolean {
	return typeof value === "boolean";
}

function isNumber(value: unknown): boolean {
	return typeof value === "number";
}

/** Whether each of these fields is what it must be, or is absent. */
function areOptional(isRight: (value: unknown) => boolean, ...values: readonly unknown[]): boolean {
	return values.every((value) => value === undefined || isRight(value));
}

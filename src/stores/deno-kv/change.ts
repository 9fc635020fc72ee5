/**
 * How one task is changed within a commit: its record, the keys under which it is found, its lane.
 *
 * @module
 */

import type { Data, Outcome } from "../../basket/store.ts";
import type { Draft } from "./draft.ts";
import {
	isOver,
	isRecord,
	keysOf,
	longestInline,
	maxPayload,
	pack,
	readRecord,
	sizeOf,
	taskKey,
	type TaskRecord,
} from "./record.ts";

/** Errors are cut there: 64 KiB must be enough for the record. */
const longestError = 8_000;

/** Brings what is stored from one record of a task to the next; without one it is removed. */
export function write(draft: Draft, before: TaskRecord | undefined, after: TaskRecord | undefined): void {
	const old = new Map((before ? keysOf(before) : []).map(([tail, value]) => [JSON.stringify([tail, value]), tail]));
	const added = (after ? keysOf(after) : []).filter(([tail, value]) => !old.delete(JSON.stringify([tail, value])));
	for (const tail of old.values()) draft.delete(tail);
	for (const [tail, value] of added) draft.set(tail, value);
	if (before && before.place !== after?.place) draft.delete(taskKey(before.place));
	if (before && !after) {
		forget(draft, before, before.posted);
		if (before.payload === undefined) draft.delete(["data", before.id]);
	}
	if (after) draft.set(taskKey(after.place), after);
	// Also of a running one that is held no more: nobody else knows when its lease ends.
	const isNews = after?.state === "waiting" || (before?.isHeld && !after?.isHeld);
	if (isNews && added.some(([[name]]) => name === "due")) draft.ring();
}

/** The fields that a new payload changes. `old` is the record of a task that is stored already. */
export function withPayload(
	draft: Draft,
	id: string,
	payload: Data | undefined,
	old?: TaskRecord,
): { payload?: Data | undefined } {
	if (payload === undefined) return {};
	if (payload.length > longestInline) {
		draft.set(["data", id], pack(payload));
		return { payload: undefined };
	}
	if (old !== undefined && old.payload === undefined) draft.delete(["data", id]);
	return { payload: typeof payload === "string" ? payload : new Uint8Array(payload) };
}

/** Removes the messages of a task up to a number. */
export function forget(draft: Draft, { id, seen, posted }: TaskRecord, until: number): { seen: number } {
	const last = Math.min(until, posted);
	for (let n = seen + 1; n <= last; n++) draft.delete(["inbox", id, n]);
	return { seen: Math.max(seen, last) };
}

/** Keeps aside what could not be read. It had, as far as anybody knows, the first place in its lane. */
export async function bury(draft: Draft, record: TaskRecord): Promise<void> {
	draft.delete(["data", record.id]);
	write(draft, undefined, record);
	if (record.lane !== undefined) await moveUp(draft, record.lane);
}

/**
 * Removes what belonged to a record that could not be read, and gives lanes a head that have lost it. Nobody knows where
 * the record stood, so all keys are looked at: this is rare, and there is no other way.
 */
export async function cleanUp(draft: Draft, { id, place }: TaskRecord): Promise<void> {
	draft.delete(["data", id]);
	for (const name of ["due", "backoff", "blocked", "done"]) {
		for await (const { tail } of draft.space.list([name])) {
			if (tail.at(-1) === place) draft.delete(tail);
		}
	}
	const headed = new Set<string | undefined>();
	for await (const entry of draft.space.list(["task"])) {
		const value = draft.latest(entry);
		if (isRecord(String(entry.tail[1]), value) && !value.isBlocked && !isOver(value)) headed.add(value.lane);
	}
	for await (const { tail } of draft.space.list(["tail"])) {
		const lane = String(tail[1]);
		if (!headed.has(lane)) await moveUp(draft, lane);
	}
}

/** Ends a claim. One whose payload cannot be stored is dead, so that it keeps no other from being settled. */
export async function settle(draft: Draft, record: TaskRecord, outcome: Outcome, now: number): Promise<void> {
	const { payload } = outcome;
	if (payload !== undefined && sizeOf(payload) > maxPayload) {
		const error = `A payload of ${sizeOf(payload)} bytes cannot be stored: ${maxPayload} is the most`;
		outcome = { type: "dead", attempts: record.attempts, error };
	}
	if (outcome.type === "done" || outcome.type === "dead") await leaveLane(draft, record);
	write(draft, record, settled(draft, record, outcome, now));
}

function settled(draft: Draft, record: TaskRecord, outcome: Outcome, now: number): TaskRecord | undefined {
	if (outcome.type === "done" && !(outcome.keep! > 0)) return undefined;
	const common = { ...record, ...withPayload(draft, record.id, outcome.payload, record), token: undefined };
	const isBackingOff = (outcome as Later).backoff || undefined;
	const waiting: TaskRecord = { ...common, state: "waiting", dueAt: now, isBackingOff };
	if (outcome.type === "release") return waiting;
	if (outcome.type === "later") return { ...waiting, ...later(draft, record, outcome, now) };
	if (outcome.type === "done") {
		const dueAt = Number.isFinite(outcome.keep) ? now + outcome.keep! : undefined;
		return { ...common, state: "done", isHeld: undefined, dueAt };
	}
	const failed = { attempts: outcome.attempts, error: cut(outcome.error) };
	if (outcome.type === "dead") return { ...common, ...failed, state: "dead", isHeld: undefined, dueAt: undefined };
	const isHeld = outcome.hold || record.isHeld;
	return { ...waiting, ...failed, crashes: 0, dueAt: now + outcome.delay, isHeld };
}

function later(draft: Draft, record: TaskRecord, { delay, seen: until }: Later, now: number): Partial<TaskRecord> {
	const { seen } = forget(draft, record, until);
	const dueAt = record.posted > seen ? now : delay === null ? undefined : now + delay;
	return { seen, dueAt, attempts: 0, crashes: 0 };
}

type Later = Extract<Outcome, { type: "later" }>;

/** Lets the next one of its lane move up, if the task is the head. Harmless for one that has left its lane. */
export async function leaveLane(draft: Draft, record: TaskRecord): Promise<void> {
	if (record.lane !== undefined && !record.isBlocked && !isOver(record)) await moveUp(draft, record.lane);
}

/** Gives the lane, which has lost its head, the next one. */
export async function moveUp(draft: Draft, lane: string): Promise<void> {
	// Before the list: whoever adds to the lane after that changes it.
	const tail = ["tail", lane];
	await draft.read(tail);
	for (let next; (next = await draft.first(["blocked", lane])) !== undefined;) {
		const place = String(next[2]);
		const value = await draft.readFirmly(taskKey(place));
		if (isRecord(place, value) && value.isBlocked) return write(draft, value, { ...value, isBlocked: undefined });
		draft.delete(next);
		if (value !== undefined && !isRecord(place, value)) write(draft, undefined, readRecord(place, value, { lane }));
	}
	draft.check(tail);
	draft.delete(tail);
}

/** Takes a new place in a lane, whose tail was read ahead; says whether there are others before it. */
export function joinLane(
	draft: Draft,
	lane: string | undefined,
	nextPlace: (after: string) => string,
): { readonly place: string; readonly isBlocked?: true } {
	if (lane === undefined) return { place: nextPlace("") };
	const tail = ["tail", lane];
	const last = draft.recall(tail);
	draft.check(tail);
	const place = nextPlace(typeof last === "string" ? last : "");
	draft.set(tail, place);
	return last === undefined ? { place } : { place, isBlocked: true };
}

function cut(text: string): string {
	return text.length > longestError ? text.slice(0, longestError) + "…" : text;
}

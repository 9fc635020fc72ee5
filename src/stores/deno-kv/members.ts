/**
 * What the members of the store do to one task within a commit.
 *
 * @module
 */

import type { Added, Change, Data, NewTask, Ref, Save, Settlement, TaskState } from "../../basket/store.ts";
import { StoreError } from "../../platform/store-error.ts";
import { cleanUp, forget, joinLane, leaveLane, settle, withPayload, write } from "./change.ts";
import type { Draft } from "./draft.ts";
import { placeOf, type Places } from "./places.ts";
import {
	isDueUnder,
	isExpired,
	isOver,
	isRecord,
	mostMessages,
	pack,
	readRecord,
	stateOf,
	taskKey,
	type TaskRecord,
} from "./record.ts";
import type { Entry, Tail } from "./space.ts";

/** Reads ahead what {@link findTask} needs. */
export async function readTasks(draft: Draft, ids: readonly string[]): Promise<void> {
	await draft.readAhead(ids.map((id) => ["id", id]));
	const places = await Promise.all(ids.map((id) => findPlace(draft, id)));
	await draft.readAhead(places.flatMap((place) => place === undefined ? [] : [taskKey(place)]));
}

/** A task by its id, unless its time is over; what is then written is founded on this. */
export async function findTask(draft: Draft, id: string, now: number): Promise<TaskRecord | undefined> {
	const record = await findRecord(draft, id);
	return record === undefined || isExpired(record, now) ? undefined : record;
}

async function findRecord(draft: Draft, id: string): Promise<TaskRecord | undefined> {
	const place = await findPlace(draft, id);
	if (place === undefined) return undefined;
	const value = await draft.readFirmly(taskKey(place));
	if (value === undefined) return undefined;
	const record = readRecord(place, value, isRecord(place, value) ? {} : { id });
	return record.id === id ? record : undefined;
}

/** Whether a task that was found is one that cannot be read, and that no turn has kept aside yet. */
async function isDamaged(draft: Draft, { place }: TaskRecord): Promise<boolean> {
	return !isRecord(place, await draft.read(taskKey(place)));
}

async function findPlace(draft: Draft, id: string): Promise<string | undefined> {
	const place = await draft.read(["id", id]);
	if (typeof place === "string") return place;
	return id.startsWith("_") ? id.slice(1) : undefined;
}

/** Reads ahead what {@link findClaim} needs. */
export async function readClaims(draft: Draft, refs: readonly Ref[]): Promise<void> {
	await draft.readAhead(refs.map(({ token }) => taskKey(placeOf(token))));
}

/** The task of a claim, unless that is lost. */
export async function findClaim(draft: Draft, { id, token }: Ref): Promise<TaskRecord | undefined> {
	const place = placeOf(token);
	const record = await draft.read(taskKey(place));
	if (!isRecord(place, record) || record.state !== "running" || record.id !== id || record.token !== token) return;
	draft.check(taskKey(place));
	return record;
}

/** What tasks are added with. */
export interface AddTerms {
	readonly places: Places;
	readonly now: number;
	/** Whether an id in use makes the commit fail, as nobody can be told of it. */
	readonly isBlind: boolean;
}

/** Adds tasks in their order. Blind, and without ids and lanes, it has done so when it returns. */
export async function addTasks(draft: Draft, tasks: readonly NewTask[], terms: AddTerms): Promise<Added[]> {
	const { places, now, isBlind } = terms;
	let floor = "";
	const keys = tasks.flatMap(keysOfNew);
	if (keys.length > 0) await draft.readAhead(keys);
	if (!isBlind) {
		// Behind all that are there, whatever the clock of those who added them.
		const [last] = await draft.space.all(["task"], { reverse: true, limit: 1 });
		floor = String(last?.tail[1] ?? "");
	}
	const states = tasks.some(({ id }) => id !== undefined) ? await takeIds(draft, tasks, terms) : [];
	// Nothing is waited for from here on, so that tasks of one call stand together.
	return tasks.map((task, index) => {
		if (states[index] !== undefined) return { id: task.id!, added: false, state: states[index] };
		const spot = joinLane(draft, task.lane, (last) => places.next(last > floor ? last : floor));
		const { kind, payload, delay, priority, lane, id = "_" + spot.place } = task;
		const fields = { id, kind, ...withPayload(draft, id, payload), priority, lane, addedAt: now, dueAt: now + delay };
		write(draft, undefined, { ...fields, ...spot, state: "waiting", attempts: 0, crashes: 0, posted: 0, seen: 0 });
		return { id, added: true };
	});
}

/** For each task the state of the one that has its id; of two in one call it is the first. */
async function takeIds(
	draft: Draft,
	tasks: readonly NewTask[],
	terms: AddTerms,
): Promise<readonly (TaskState | undefined)[]> {
	const ids = [...new Set(tasks.flatMap(({ id }) => id ?? []))];
	await draft.readAhead(ids.flatMap((id) => placeIn(draft, id) ?? []).map((place) => taskKey(String(place))));
	const states = new Map<string | undefined, TaskState | undefined>();
	for (const id of ids) states.set(id, await takeId(draft, id, terms));
	return tasks.map(({ id }) => {
		const state = states.get(id);
		if (id !== undefined && state === undefined) states.set(id, "waiting");
		return state;
	});
}

/** Where the task is that has an id, whose key was read ahead. */
function placeIn(draft: Draft, id: string): string | undefined {
	return draft.recall(["id", id]) as string | undefined;
}

/** Takes an id that is free, or whose task is gone. If it is in use, the state of that task. */
async function takeId(draft: Draft, id: string, { now, isBlind }: AddTerms): Promise<TaskState | undefined> {
	const tail = ["id", id];
	const place = placeIn(draft, id);
	const value = place === undefined ? undefined : await draft.read(taskKey(String(place)));
	const before = value === undefined ? undefined : readRecord(String(place), value, { id });
	if (before?.id === id && !isExpired(before, now)) {
		if (!isBlind || draft.hasWritten(tail)) return stateOf(before);
		draft.expectNone(tail);
		return undefined;
	}
	// Whoever changes a done task changes the key of its id, too.
	draft.check(tail);
	if (before?.id === id) write(draft, before, undefined);
	return undefined;
}

function keysOfNew({ id, lane }: NewTask): Tail[] {
	return [...(id === undefined ? [] : [["id", id]]), ...(lane === undefined ? [] : [["tail", lane]])];
}

export async function settleClaim(draft: Draft, { ref, outcome }: Settlement, now: number): Promise<boolean> {
	const record = await findClaim(draft, ref);
	if (record !== undefined) await settle(draft, record, outcome, now);
	return record !== undefined;
}

export async function saveClaim(draft: Draft, { ref, payload, progress, seen = 0 }: Save): Promise<boolean> {
	const record = await findClaim(draft, ref);
	if (record === undefined) return false;
	const changed = { ...withPayload(draft, record.id, payload, record), ...forget(draft, record, seen) };
	write(draft, record, { ...record, ...changed, ...(progress !== undefined && { progress }) });
	return true;
}

export async function extendClaim(draft: Draft, ref: Ref, dueAt: number): Promise<"ok" | "lost" | "posted"> {
	const record = await findClaim(draft, ref);
	if (record === undefined) return "lost";
	write(draft, record, { ...record, dueAt });
	return record.posted > record.seen ? "posted" : "ok";
}

export async function deleteTask(draft: Draft, id: string, now: number): Promise<boolean> {
	const record = await findTask(draft, id, now);
	if (record === undefined) return false;
	const wasDamaged = await isDamaged(draft, record);
	await leaveLane(draft, record);
	write(draft, record, undefined);
	if (wasDamaged) await cleanUp(draft, record);
	// Whoever runs it can be told to end.
	if (record.state === "running") draft.ring("claims");
	return true;
}

export async function changeTask(
	draft: Draft,
	id: string,
	change: Change,
	{ places, now }: { readonly places: Places; readonly now: number },
): Promise<boolean> {
	const record = await findTask(draft, id, now);
	if (record === undefined) return false;
	if (change === "retry") return await retryTask(draft, record, places, now);
	const isHeld = change === "hold" ? true : undefined;
	if (isOver(record) || record.isHeld === isHeld) return false;
	write(draft, record, { ...record, isHeld });
	return true;
}

async function retryTask(draft: Draft, record: TaskRecord, places: Places, now: number): Promise<boolean> {
	if (stateOf(record) === "waiting") {
		write(draft, record, { ...record, dueAt: Math.min(record.dueAt ?? now, now) });
		return true;
	}
	if (record.state !== "dead") return false;
	const [last] = await draft.space.all(["task"], { reverse: true, limit: 1 });
	const floor = String(last?.tail[1] ?? "");
	const after = (last: string) => places.next(last > floor ? last : floor);
	if (record.lane !== undefined) await draft.readAhead([["tail", record.lane]]);
	const spot = joinLane(draft, record.lane, after);
	const { id, kind, payload, priority, lane, posted, seen } = record;
	const anew = { id, kind, payload, priority, lane, posted, seen, ...spot, addedAt: now, dueAt: now };
	const wasDamaged = await isDamaged(draft, record);
	write(draft, record, { ...anew, state: "waiting", attempts: 0, crashes: 0 });
	if (wasDamaged) await cleanUp(draft, record);
	return true;
}

export async function postTo(draft: Draft, id: string, data: Data, now: number): Promise<boolean> {
	const record = await findTask(draft, id, now);
	if (record === undefined || isOver(record)) return false;
	const posted = record.posted + 1;
	if (posted - record.seen > mostMessages) {
		throw new StoreError("full", `Task "${id}" has ${mostMessages} messages that it has not seen`);
	}
	draft.set(["inbox", id, posted], pack(data));
	const dueAt = record.state === "waiting" ? Math.min(record.dueAt ?? now, now) : record.dueAt;
	write(draft, record, { ...record, posted, dueAt });
	if (record.state === "running") draft.ring("claims");
	return true;
}

/** Reads ahead what {@link expireTask} and {@link hastenTask} need. */
export async function readEntries(draft: Draft, entries: readonly Entry[]): Promise<void> {
	await draft.readAhead(entries.map(({ tail }) => taskKey(String(tail.at(-1)))));
}

/** Removes a task that was kept long enough, or the key that only seemed to be one's. */
export async function expireTask(draft: Draft, { tail }: Entry): Promise<void> {
	const record = await readUnder(draft, tail);
	if (record === undefined) draft.delete(tail);
	else write(draft, record, undefined);
}

/** Lets a backoff end at another time. */
export async function hastenTask(draft: Draft, { tail }: Entry, dueAt: number): Promise<boolean> {
	const record = await readUnder(draft, tail);
	if (record === undefined) draft.delete(tail);
	else write(draft, record, { ...record, dueAt });
	return record !== undefined;
}

/** The record that stands behind one of its other keys, if that key is right. */
async function readUnder(draft: Draft, tail: Tail): Promise<TaskRecord | undefined> {
	const place = String(tail.at(-1));
	const value = await draft.readFirmly(taskKey(place));
	return isRecord(place, value) && isDueUnder(value, tail) ? value : undefined;
}

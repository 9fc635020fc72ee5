/**
 * What the members of the store do to one task within a commit.
 *
 * @module
 */

import type { Added, Change, Data, NewTask, Ref, Save, Settlement } from "../../basket/store.ts";
import { StoreError } from "../../platform/store-error.ts";
import { forget, joinLane, leaveLane, settle, withPayload, write } from "./change.ts";
import type { Draft } from "./draft.ts";
import { placeOf, type Places } from "./places.ts";
import { isDueUnder, isOver, isRecord, pack, readRecord, stateOf, taskKey, type TaskRecord } from "./record.ts";
import type { Entry, Tail } from "./space.ts";

/** Messages of one task that nobody has seen: one commit must be able to remove them. */
const mostMessages = 500;

/** Reads ahead what {@link findTask} needs. */
export async function readTasks(draft: Draft, ids: readonly string[]): Promise<void> {
	await draft.readAhead(ids.map((id) => ["id", id]));
	const places = await Promise.all(ids.map((id) => findPlace(draft, id)));
	await draft.readAhead(places.flatMap((place) => place === undefined ? [] : [taskKey(place)]));
}

/** A task by its id; what is then written is founded on this. */
export async function findTask(draft: Draft, id: string): Promise<TaskRecord | undefined> {
	const place = await findPlace(draft, id);
	if (place === undefined) return undefined;
	const value = await draft.readFirmly(taskKey(place));
	if (value === undefined) return undefined;
	const record = readRecord(place, value, isRecord(place, value) ? {} : { id });
	return record.id === id ? record : undefined;
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

/**
 * Adds tasks in their order.
 *
 * @param isBlind whether ids are taken without being asked for: then nothing is asked for, but for the sake of lanes
 */
export async function addTasks(
	draft: Draft,
	tasks: readonly NewTask[],
	{ places, now, isBlind }: { readonly places: Places; readonly now: number; readonly isBlind: boolean },
): Promise<Added[]> {
	let floor = "";
	if (!isBlind) {
		await draft.readAhead(tasks.flatMap(keysOfNew));
		// Behind all that are there, whatever the clock of those who added them.
		const [last] = await draft.space.all(["task"], { reverse: true, limit: 1 });
		floor = String(last?.tail[1] ?? "");
	}
	const added: Added[] = [];
	for (const task of tasks) {
		if (task.id !== undefined && !draft.take(["id", task.id])) {
			added.push({ id: task.id, added: false });
			continue;
		}
		const after = (last: string) => places.next(last > floor ? last : floor);
		const spot = task.lane === undefined ? { place: after("") } : await joinLane(draft, task.lane, after);
		const { kind, payload, delay, priority, lane, id = "_" + spot.place } = task;
		const fields = { id, kind, ...withPayload(draft, id, payload), priority, lane, addedAt: now, dueAt: now + delay };
		write(draft, undefined, { ...fields, ...spot, state: "waiting", attempts: 0, crashes: 0, posted: 0, seen: 0 });
		added.push({ id, added: true });
	}
	return added;
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

export async function deleteTask(draft: Draft, id: string): Promise<boolean> {
	const record = await findTask(draft, id);
	if (record === undefined) return false;
	await leaveLane(draft, record);
	write(draft, record, undefined);
	return true;
}

export async function changeTask(
	draft: Draft,
	id: string,
	change: Change,
	{ places, now }: { readonly places: Places; readonly now: number },
): Promise<boolean> {
	const record = await findTask(draft, id);
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
	const spot = await joinLane(draft, record.lane, after);
	const { id, kind, payload, priority, lane, posted, seen } = record;
	const anew = { id, kind, payload, priority, lane, posted, seen, ...spot, addedAt: now, dueAt: now };
	write(draft, record, { ...anew, state: "waiting", attempts: 0, crashes: 0 });
	return true;
}

export async function postTo(draft: Draft, id: string, data: Data, now: number): Promise<boolean> {
	const record = await findTask(draft, id);
	if (record === undefined || isOver(record)) return false;
	const posted = record.posted + 1;
	if (posted - record.seen > mostMessages) {
		throw new StoreError("full", `Task "${id}" has ${mostMessages} messages that it has not seen`);
	}
	draft.set(["inbox", id, posted], pack(data));
	const dueAt = record.state === "waiting" ? Math.min(record.dueAt ?? now, now) : record.dueAt;
	write(draft, record, { ...record, posted, dueAt });
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

/**
 * What is done with tasks from outside: they are added, looked at, changed and deleted.
 *
 * @module
 */

import type {
	Added,
	Change,
	Counts,
	Data,
	ListQuery,
	Message,
	NewTask,
	StoredTask,
	TaskState,
} from "../../basket/store.ts";
import { check } from "../../platform/check.ts";
import { idOf, isExpired, isReadable, own, sound, type TaskRecord, toDead, toRecord, toStored } from "./record.ts";
import { result } from "./request.ts";
import { keysOf, last, numberIn, type Session } from "./session.ts";

/** One read takes no more than this. */
const pageLength = 100;

/** Adds tasks. What must be known is asked for before anything is written, so that no request fails. */
export async function add(session: Session, tasks: readonly NewTask[]): Promise<readonly Added[]> {
	const [counter, states, lanes] = await Promise.all([
		session.counter(),
		statesOf(session, tasks.map(({ id }) => id)),
		present(session, "lanes", tasks.map(({ lane }) => lane)),
	]);
	const added = tasks.map((task): Added => {
		const state = states.get(task.id);
		if (state !== undefined) return { id: task.id!, added: false, state };
		if (task.id !== undefined) states.set(task.id, "waiting");
		const record = toRecord(session.basket, counter.next(), task, session.now);
		queueUp(record, lanes);
		session.setPayload(record, task.payload);
		session.put(record);
		return { id: idOf(record), added: true };
	});
	session.wakes = added.some(({ added }) => added);
	if (session.wakes) counter.save();
	return added;
}

/** The states of the tasks that have these ids. A task whose time is over is removed: its id is free. */
async function statesOf(
	session: Session,
	ids: readonly (string | undefined)[],
): Promise<Map<string | undefined, TaskState>> {
	const keys = [...await present(session, "ids", ids)];
	const records = await Promise.all(keys.map(([, key]) => session.read(numberIn(key))));
	const states = new Map<string | undefined, TaskState>();
	keys.forEach(([id], index) => {
		const record = sound(records[index], session.now);
		if (record && isExpired(record, session.now)) session.remove([record]);
		else states.set(id, record?.state ?? "dead");
	});
	return states;
}

/** Which of these are in an index, and the keys of the first tasks that are there under them. */
async function present(
	session: Session,
	name: string,
	values: readonly (string | undefined)[],
): Promise<Map<string, IDBValidKey>> {
	const names = [...new Set(values)].filter((value) => value !== undefined);
	const index = session.index(name);
	const keys = await Promise.all(names.map((value) => result(index.getKey([session.basket, value]))));
	return new Map(names.flatMap((value, at) => keys[at] === undefined ? [] : [[value, keys[at]]]));
}

/** Puts a record at the end of its lane. */
function queueUp(record: TaskRecord, lanes: Map<string, IDBValidKey>): void {
	const { lane } = record;
	if (lane === undefined) return;
	if (lanes.has(lane)) record.blocked = true;
	lanes.set(lane, record.seq);
}

/** One task and its inbox. */
export async function get(
	session: Session,
	id: string,
): Promise<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
	const record = await session.find(id);
	if (record === undefined) return undefined;
	const [task] = await show(session, [record]);
	return { ...task!, inbox: record.inbox ?? [] };
}

/** Tasks in the order of their numbers. */
export async function list(session: Session, query: ListQuery): Promise<readonly StoredTask[]> {
	const { state, kind, after, limit } = query;
	if (after !== undefined) check("after", after, "string", /^\d{16}$/.test(after), "the key of a task");
	const isAside = state !== undefined && state !== "waiting";
	const parts = isAside ? [session.basket, state] : [session.basket];
	const source = isAside ? session.index("aside") : session.tasks;
	const found: TaskRecord[] = [];
	let seen = Number(after ?? 0);
	while (found.length < limit) {
		const count = kind === undefined ? Math.min(limit - found.length, pageLength) : pageLength;
		const page = await session.readAll(source, IDBKeyRange.bound([...parts, seen], [...parts, last], true), count);
		for (const record of page.map((record) => sound(record, session.now))) {
			const isWanted = (kind ?? record.kind) === record.kind && (state ?? record.state) === record.state;
			if (isWanted && !isExpired(record, session.now)) found.push(record);
		}
		if (page.length < count) break;
		seen = page.at(-1)!.seq;
	}
	return await show(session, found.slice(0, limit));
}

/** What others may know of tasks. One whose payload is gone is dead. */
async function show(session: Session, records: readonly TaskRecord[]): Promise<StoredTask[]> {
	const payloads = await session.payloadsOf(records);
	return records.map((record, index) => {
		return payloads[index] === undefined
			? toStored(toDead(record, session.now), "")
			: toStored(record, payloads[index]);
	});
}

/** How many there are: of all, and of those that do not wait. */
export async function counts(session: Session): Promise<Counts> {
	const { basket, tasks } = session;
	const count = (state: TaskState): Promise<number> => result(session.index("aside").count(keysOf(basket, state)));
	const expired = IDBKeyRange.bound([basket], [basket, session.now]);
	const [all, running, held, dead, done, over] = await Promise.all([
		result(tasks.count(keysOf(basket))),
		count("running"),
		count("held"),
		count("dead"),
		count("done"),
		result(session.index("kept").count(expired)),
	]);
	return { waiting: all - running - held - dead - done, running, held, dead, done: done - over };
}

/** Removes tasks. */
export async function remove(session: Session, ids: readonly string[]): Promise<readonly boolean[]> {
	const records = await session.findAll(ids);
	const found = [...records.values()].filter((record) => record !== undefined);
	for (const { lane } of found) session.free(lane);
	session.remove(found);
	if (found.some(({ state }) => state === "running")) session.tellWorkers();
	await session.promote();
	return ids.map((id) => {
		const record = records.get(id);
		records.delete(id); // named twice, it is not there the second time
		return record !== undefined;
	});
}

/** Changes what tasks wait for. */
export async function change(session: Session, ids: readonly string[], change: Change): Promise<readonly boolean[]> {
	const records = await session.findAll(ids);
	if (change === "retry") await revive(session, [...records.values()]);
	const changed = ids.map((id) => {
		const record = records.get(id);
		if (record === undefined || !changes[change](record, session.now)) return false;
		session.put(record);
		return true;
	});
	if (change === "retry") {
		// One that could not be read may have been the head.
		for (const record of records.values()) session.free(record?.lane);
		await session.promote();
	}
	session.wakes ||= change !== "hold" && changed.includes(true);
	return changed;
}

/** Gives the dead ones new numbers, and places at the end of their lanes. */
async function revive(session: Session, records: readonly (TaskRecord | undefined)[]): Promise<void> {
	const dead = records.filter((record) => record?.state === "dead") as TaskRecord[];
	if (dead.length === 0) return;
	const [counter, lanes] = await Promise.all([
		session.counter(),
		present(session, "lanes", dead.map(({ lane }) => lane)),
	]);
	for (const record of dead) {
		session.tasks.delete([session.basket, record.seq]);
		record.id = idOf(record);
		record.seq = counter.next();
		record.addedAt = session.now;
		queueUp(record, lanes);
	}
	counter.save();
}

/** What a change does to a record that may be changed; whether it may. */
const changes: Readonly<Record<Change, (record: TaskRecord, now: number) => boolean>> = {
	retry(record, now) {
		if (record.state === "dead") {
			record.state = "waiting";
			record.attempts = record.crashes = 0;
			delete record.error;
			delete record.progress;
		} else if (record.state !== "waiting") return false;
		makeDue(record, now);
		delete record.backoff;
		return true;
	},
	hold(record) {
		if (record.hold || record.state !== "waiting" && record.state !== "running") return false;
		if (record.state === "running") record.hold = true;
		else record.state = "held";
		return true;
	},
	release(record) {
		if (!record.hold && record.state !== "held") return false;
		if (record.state === "held") record.state = "waiting";
		delete record.hold;
		return true;
	},
};

/** Ends backoffs early. Those that were changed are found no more: they are due before `within` is over. */
export async function hasten(session: Session, within: number): Promise<number> {
	const { basket, now } = session;
	const index = session.index("backoffs");
	const keys = IDBKeyRange.bound([basket, now + within], [basket, last], true);
	let changed = 0;
	for (let page = await session.readAll(index, keys, pageLength); page.length > 0;) {
		for (const record of page) {
			if (!isReadable(record)) {
				session.bury(record);
				continue;
			}
			record.dueAt = now + Math.random() * within;
			session.put(record);
			changed++;
		}
		page = await session.readAll(index, keys, pageLength);
	}
	await session.promote();
	session.wakes ||= changed > 0;
	return changed;
}

/** Puts a message into an inbox. */
export async function post(session: Session, id: string, data: Data): Promise<boolean> {
	const record = await session.find(id);
	if (record === undefined || record.state === "dead" || record.state === "done") return false;
	record.posted = (record.posted ?? 0) + 1;
	record.inbox = [...record.inbox ?? [], { n: record.posted, data: own(data) }];
	if (record.state === "running") session.tellWorkers();
	else makeDue(record, session.now);
	session.put(record);
	session.wakes = true;
	return true;
}

/** At once, but not behind those that became due later than it did. */
function makeDue(record: TaskRecord, now: number): void {
	record.dueAt = Math.min(record.dueAt ?? now, now);
}

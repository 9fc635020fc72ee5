/**
 * Changes of existing tasks by people and other tasks.
 *
 * @module
 */

import type { Change, Data, Restart } from "../basket/store.ts";
import { enterLanes, insert, type Join } from "./adding.ts";
import { deliver } from "./families.ts";
import { isSound, kept, lasting } from "./row.ts";
import type { Found, Session } from "./session.ts";
import type { Work } from "./space.ts";
import { idOf, isOver, stateOf, type TaskRow, tasks } from "./tables.ts";
import { ask, range } from "./work.ts";

/** Removes tasks. Returns which of them existed. */
export function* remove(session: Session, ids: readonly string[]): Work<boolean[]> {
	const found = yield* session.find(ids);
	return ids.map((id) => {
		const one = found.get(id);
		if (one === undefined) return false;
		found.delete(id);
		session.tallies.end(one.row, true);
		session.remove(one);
		// Lets the worker that runs it end the run.
		if (one.row.state === "running") session.tx.wake("claims");
		return true;
	});
}

/** Applies a change to tasks. Returns which of them were changed. */
export function* change(session: Session, ids: readonly string[], what: Change): Work<boolean[]> {
	const found = yield* session.find(ids);
	const isAnew = (row: TaskRow) =>
		what === "retry" ? row.state === "dead" : typeof what === "object" && mayRestart(session, row, what);
	const over = [...found.values()].map(({ row }) => row).filter(isAnew);
	const join = over.length > 0 ? yield* enterLanes(session, over) : undefined;
	return ids.map((id) => {
		const one = found.get(id);
		if (one === undefined) return false;
		const after = typeof what === "object"
			? over.includes(one.row) ? restart(session, one, what, join!) : undefined
			: what === "retry"
			? retry(session, one, join)
			: hold(session, one, what === "hold");
		if (after !== undefined) found.set(id, { before: after, row: after });
		return after !== undefined;
	});
}

function hold(session: Session, { before, row }: Found, isHeld: boolean): TaskRow | undefined {
	if (isOver(row) || (row.isHeld ?? false) === isHeld) return undefined;
	const after = { ...row, isHeld: isHeld || undefined };
	session.put(after, before);
	return after;
}

function retry(session: Session, { before, row }: Found, join: Join | undefined): TaskRow | undefined {
	if (stateOf(row) === "waiting") {
		const after = { ...row, dueAt: atOnce(session, row) };
		session.put(after, before);
		return after;
	}
	if (row.state !== "dead") return undefined;
	session.erase(before);
	const { home, posted, seen, payload, isCollected } = row;
	return insert(session, { ...row, payload: "", delay: 0 }, join!(row.lane), {
		home,
		posted,
		seen,
		payload,
		...lasting(row),
		...(isCollected && { isCollected }),
	});
}

function mayRestart({ settings }: Session, row: TaskRow, { key }: Restart): boolean {
	return isOver(row) && settings.orders.toKey(row.order) === key;
}

/** Its log stays where it is, or goes with the old row: under another home, no entry of it can appear. */
function restart(session: Session, found: Found, { payload, keepsLog }: Restart, join: Join): TaskRow {
	const { row } = found;
	const task = { ...row, id: idOf(row), payload, delay: 0 };
	if (keepsLog) return insert(session, task, join(row.lane), session.keepLog(found, payload));
	session.remove(found);
	const rank = join(row.lane);
	return insert(session, task, rank, { home: rank.order, ...session.withPayload(rank.order, payload), ...kept(row) });
}

/** Due now, but not after tasks that became due later. */
function atOnce({ now }: Session, { dueAt = now }: TaskRow): number {
	return Math.min(dueAt, now);
}

/** Lets backoffs end at random times within `within` milliseconds: as many as fit into one transaction. */
export function* hasten(session: Session, within: number): Work<{ looked: number; hastened: number }> {
	const { now, settings, most } = session;
	const latest = now + within;
	const [found] = yield* ask(range(tasks, "backoff", { prefix: [], above: [latest], limit: most }));
	let hastened = 0;
	for (const before of found) {
		if (!isSound(before)) session.bury(before);
		else {
			session.put({ ...before, dueAt: now + within * settings.random() }, before);
			hastened++;
		}
	}
	return { looked: found.length, hastened };
}

/** Adds a message to the inbox of a task. */
export function* post(session: Session, id: string, data: Data): Work<boolean> {
	const found = (yield* session.find([id])).get(id);
	if (found === undefined || isOver(found.row)) return false;
	session.checkInbox(id, found.row);
	deliver(session, found, data);
	return true;
}

/**
 * Adds tasks.
 *
 * @module
 */

import { checkPlaces, collectedMark } from "../basket/place.ts";
import type { Added, NewTask } from "../basket/store.ts";
import { fresh, isExpired, isSound, lasting, renewed } from "./row.ts";
import type { Found, Session } from "./session.ts";
import type { Work } from "./space.ts";
import { idOf, isOver, type Order, stateOf, type TaskRow } from "./tables.ts";

/** Adds tasks in order. In a blind transaction, tasks without ids and lanes need no reads. */
export function* add(session: Session, news: readonly NewTask[]): Work<Added[]> {
	const taken = yield* session.findStored(news.flatMap(({ id }) => id ?? []));
	if (news.some(({ ifPresent }) => ifPresent !== undefined)) {
		checkPlaces(news, (id) => {
			const { before, row } = taken.get(id) ?? {};
			// Anything can replace an unreadable task.
			const isStored = row && isSound(before) && !isExpired(row, session.now);
			// A long payload is not in the row.
			return isStored ? { ...row, payload: row.isCollected ? collectedMark : "" } : undefined;
		});
	}
	const join = yield* enterLanes(session, news);
	return news.map((task): Added => {
		const { id } = task;
		const found = id === undefined ? undefined : taken.get(id);
		const before = found && !isExpired(found.row, session.now) ? found : undefined;
		if (before !== undefined && task.ifPresent === undefined) return session.refuse(id!, before.row);
		const isReplaced = before !== undefined && !isOver(before.row);
		const isRestarted = before?.row.state === "dead" && task.item !== undefined && isSound(before.before);
		if (found !== undefined && !isReplaced && !isRestarted) session.remove(found);
		const row = isReplaced
			? replace(session, before, task)
			: isRestarted
			? restart(session, before, task, join(task.lane))
			: insert(session, task, join(task.lane));
		if (id !== undefined) taken.set(id, { before: row, row });
		const added = { id: idOf(row), added: true };
		return before === undefined ? added : { ...added, state: stateOf(before.row) };
	});
}

/** Replaces the payload of a task, now or when its claim ends. */
function replace(
	session: Session,
	{ before, row }: Found,
	{ payload, priority, limitKey, meta, delay, within = Infinity, item, most = Infinity }: NewTask,
): TaskRow {
	const { now } = session;
	const isRunning = row.state === "running";
	const hasFailed = !isRunning && row.attempts + row.crashes > 0;
	const first = isRunning ? row.next : hasFailed && item === undefined ? undefined : row;
	const addedAt = first?.addedAt ?? now;
	if (item !== undefined) session.checkInbox(idOf(row), row);
	const posted = item === undefined ? row.posted : session.post(row, item);
	const isFull = !isRunning && posted - row.seen >= most;
	const soon = isFull ? now : Math.min(now + delay, addedAt + within);
	const next = { priority, limitKey, meta, addedAt, dueAt: hasFailed && item !== undefined ? row.dueAt! : soon };
	const past = item === undefined ? renewed : {};
	const after = isRunning
		? { ...row, posted, next, ...session.withSpare(payload, row) }
		: { ...row, ...past, posted, ...next, ...session.withPayload(row.home, payload, row) };
	session.put(after, before);
	return after;
}

/** Lets a dead task begin anew with its old items and another one. */
function restart(session: Session, { before, row }: Found, task: NewTask, rank: Rank): TaskRow {
	session.erase(before);
	const { home, posted, seen } = row;
	const data = { home, posted, seen, ...lasting(row), ...session.withPayload(home, task.payload, row) };
	return insert(session, task, rank, data);
}

/** The place of a new task among all tasks. */
interface Rank {
	readonly order: Order;
	readonly isBlocked?: true | undefined;
}

/** Takes the next place, with or without a lane. */
export type Join = (lane: string | undefined) => Rank;

/** Checks which lanes are occupied. The returned function takes the next place, in one of these lanes or without a lane. */
export function* enterLanes(session: Session, news: readonly { readonly lane?: string | undefined }[]): Work<Join> {
	const names = [...new Set(news.flatMap(({ lane }) => lane ?? []))];
	const heads = yield* session.findHeads(names);
	const occupied = new Set<string | undefined>(names.filter((_, index) => heads[index] !== undefined));
	const next = yield* session.settings.orders.begin(session.tx, news.length);
	return (lane) => {
		const order = next();
		const isBlocked = occupied.has(lane) || undefined;
		if (lane !== undefined) {
			session.lanes?.join(lane, order);
			occupied.add(lane);
		}
		return { order, isBlocked };
	};
}

/** Puts a new task, or a restarted one, which keeps its old data. */
export function insert(
	session: Session,
	{ id, kind, payload, delay, priority, lane, limitKey, meta, item, most = Infinity }: NewTask,
	{ order, isBlocked }: Rank,
	data: Pick<TaskRow, "home" | "payload"> & Partial<TaskRow> = { home: order, ...session.withPayload(order, payload) },
): TaskRow {
	const { now } = session;
	const { posted = 0, seen = 0 } = data;
	const unseen = { home: data.home, posted, seen };
	if (item !== undefined) session.checkInbox(id!, unseen);
	const collected = item !== undefined && { isCollected: true, posted: session.post(unseen, item) };
	const row: TaskRow = {
		...fresh,
		order,
		id,
		kind,
		priority,
		lane,
		limitKey,
		addedAt: now,
		state: "waiting",
		isBlocked,
		dueAt: posted + 1 - seen >= most ? now : now + delay,
		...(meta !== undefined && { meta }),
		...data,
		...collected,
	};
	session.put(row);
	return row;
}

/**
 * Adds tasks.
 *
 * @module
 */

import type { Added, NewTask } from "../basket/store.ts";
import { fresh, isExpired } from "./row.ts";
import type { Session } from "./session.ts";
import type { Work } from "./space.ts";
import { idOf, type Order, type TaskRow } from "./tables.ts";

/** Adds tasks in order. In a blind transaction, tasks without ids and lanes need no reads. */
export function* add(session: Session, news: readonly NewTask[]): Work<Added[]> {
	const taken = yield* session.findStored(news.flatMap(({ id }) => id ?? []));
	const join = yield* enterLanes(session, news);
	return news.map((task): Added => {
		const { id } = task;
		const before = id === undefined ? undefined : taken.get(id);
		if (before !== undefined && !isExpired(before.row, session.now)) return session.refuse(id!, before.row);
		if (before !== undefined) session.remove(before);
		const row = insert(session, task, join(task.lane));
		if (id !== undefined) taken.set(id, { before: row, row });
		return { id: idOf(row), added: true };
	});
}

/** The place of a new task. */
interface Place {
	readonly order: Order;
	readonly isBlocked?: true | undefined;
}

/** Takes the next place, with or without a lane. */
export type Join = (lane: string | undefined) => Place;

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
	{ id, kind, payload, delay, priority, lane }: NewTask,
	{ order, isBlocked }: Place,
	old: Pick<TaskRow, "home" | "posted" | "seen" | "payload"> = {
		...fresh,
		home: order,
		...session.withPayload(order, payload),
	},
): TaskRow {
	const { now } = session;
	const { home, posted, seen } = old;
	const row: TaskRow = {
		...fresh,
		order,
		home,
		id,
		kind,
		priority,
		lane,
		addedAt: now,
		state: "waiting",
		isBlocked,
		dueAt: now + delay,
		posted,
		seen,
		payload: old.payload,
	};
	session.put(row);
	return row;
}

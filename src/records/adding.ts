/**
 * Adds tasks.
 *
 * @module
 */

import type { Added, NewTask } from "../basket/store.ts";
import { isExpired } from "./row.ts";
import type { Found, Session } from "./session.ts";
import type { Work } from "./space.ts";
import { type Order, type TaskRow, tasks } from "./tables.ts";
import { ask, range } from "./work.ts";

/** Adds tasks in their order. Blind, and without ids and lanes, it asks nothing. */
export function* add(session: Session, news: readonly NewTask[]): Work<Added[]> {
	const taken = yield* findTaken(session, news);
	const join = yield* enterLanes(session, news);
	const added = news.map((task): Added => {
		const before = task.id === undefined ? undefined : taken.get(task.id);
		if (before !== undefined && !isExpired(before.row, session.now)) return session.refuse(task.id!, before.row);
		if (before !== undefined) session.remove(before);
		const row = insert(session, task, join(task.lane));
		if (task.id !== undefined) taken.set(task.id, { before: row, row });
		return { id: task.id ?? `_${row.home}`, added: true };
	});
	return added;
}

/** The tasks that have the ids already, by id. */
function* findTaken(session: Session, news: readonly NewTask[]): Work<Map<string, Found>> {
	const ids = [...new Set(news.flatMap(({ id }) => id ?? []))];
	const found = yield* session.findStored(ids);
	return new Map(ids.flatMap((id, index) => found[index] === undefined ? [] : [[id, found[index]!]]));
}

/** Where a task comes to stand. */
interface Place {
	readonly order: Order;
	readonly isBlocked?: true;
}

/** Takes the next place, in a lane or in none. */
export type Join = (lane: string | undefined) => Place;

/** Looks which lanes have somebody in them. What it gives takes the next place, in one of these lanes or in none. */
export function* enterLanes(session: Session, news: readonly { readonly lane?: string | undefined }[]): Work<Join> {
	const names = [...new Set(news.flatMap(({ lane }) => lane ?? []))];
	if (names.length > 0) yield* session.lanes?.watch(names) ?? [];
	const firsts = names.map((lane) => range(tasks, "lane", { prefix: [lane], limit: 1 }));
	const found = yield* ask(...firsts);
	const occupied = new Set(names.filter((_, index) => found[index]!.length > 0));
	const next = yield* session.numbers();
	return (lane) => {
		const order = next();
		if (lane === undefined) return { order };
		session.lanes?.join(lane, order);
		const isBlocked = occupied.has(lane);
		occupied.add(lane);
		return isBlocked ? { order, isBlocked } : { order };
	};
}

/** Puts a task that begins, or begins anew. */
export function insert(
	session: Session,
	{ id, kind, payload, delay, priority, lane }: NewTask,
	{ order, isBlocked }: Place,
	old?: Pick<TaskRow, "home" | "posted" | "seen" | "payload">,
): TaskRow {
	const { home, posted, seen } = old ?? { home: order, posted: 0, seen: 0 };
	const row: TaskRow = {
		order,
		home,
		...(id !== undefined && { id }),
		kind,
		priority,
		...(lane !== undefined && { lane }),
		addedAt: session.now,
		state: "waiting",
		...(isBlocked && { isBlocked }),
		dueAt: session.now + delay,
		attempts: 0,
		crashes: 0,
		posted,
		seen,
		...(old === undefined ? session.withPayload(home, payload) : { payload: old.payload }),
	};
	session.put(row);
	return row;
}

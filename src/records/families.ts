/**
 * Families: the children of tasks, and the joins that count them.
 *
 * A row of a join is changed at most once in a transaction, however many of its children that one ends. Where transactions
 * are concurrent, two that change the same one conflict. So no end is lost, and one of them finds that it is the last.
 *
 * The children of a task that is gone are removed in parts, and a remnant takes the place of the task until then: see `remnants.ts`.
 *
 * @module
 */

import type { Data } from "../basket/store.ts";
import { isData, toTask } from "./row.ts";
import { type RecordTransaction, Stray, type Work } from "./space.ts";
import { isOver, type JoinRow, joins, keyOf, type Order, type TaskRow, tasks } from "./tables.ts";
import { ask, get, range } from "./work.ts";

/** A task: the row as found, and its interpretation. */
interface Found {
	readonly before: TaskRow | Stray;
	readonly row: TaskRow;
}

/** The part of a `Session` that families need. */
export interface FamilySession {
	readonly tx: RecordTransaction;
	readonly now: number;
	readonly most: number;
	find(ids: readonly string[]): Work<Map<string, Found>>;
	put(row: TaskRow, before: TaskRow | Stray): void;
	post(row: TaskRow, data: Data): number;
	remove(found: Found): void;
	erase(before: TaskRow): void;
	isElsewhere(found: Stray): boolean;
}

/** How many children of a join have ended. */
interface Tally extends Pick<JoinRow, "home" | "name"> {
	/** The id of the parent. */
	readonly parent: string;
	ended: number;
	bad: number;
}

/** What has become of families in a transaction, until it is written. */
export class Tallies {
	readonly #tallies = new Map<string, Tally>();
	/** The homes of tasks that have ended, and may have joins. */
	readonly #dissolved: Order[] = [];

	/** A task ends, or is removed before: the join of its parent counts that, and its own joins are gone. */
	end(row: TaskRow, isBad: boolean): void {
		const { parent, family, joined: name, isParent, home } = row;
		if (isOver(row)) return;
		if (isParent) this.#dissolved.push(home);
		if (parent === undefined || family === undefined || name === undefined) return;
		const key = JSON.stringify([family, name]);
		const tally = this.#tallies.get(key) ?? { parent, home: family, name, ended: 0, bad: 0 };
		tally.ended++;
		if (isBad) tally.bad++;
		this.#tallies.set(key, tally);
	}

	/** Writes all of it. */
	*settle(session: FamilySession): Work<void> {
		if (this.#dissolved.length > 0) yield* dissolve(session, this.#dissolved.splice(0));
		const tallies = [...this.#tallies.values()];
		this.#tallies.clear();
		if (tallies.length > 0) yield* count(session, tallies);
	}
}

/** Counts children that have ended, and posts the messages of joins that have counted enough. */
function* count(session: FamilySession, tallies: readonly Tally[]): Work<void> {
	const [rows] = yield* ask(get(joins, tallies.map(keyOf)));
	const told: { parent: string; home: Order; data: Data }[] = [];
	for (const [index, tally] of tallies.entries()) {
		const { parent, home, ended, bad } = tally;
		const before = rows[index];
		if (!isJoin(before) || before.isTold) {
			// A join that is made anew meanwhile must count this end: its parent may sleep until then.
			session.tx.guard?.(joins, keyOf(tally));
			continue;
		}
		const left = before.left - ended;
		const spare = before.spare === undefined ? undefined : before.spare - bad;
		const isTold = left <= 0 || (spare !== undefined && spare < 0);
		session.tx.put(joins, { ...before, left, spare, ...(isTold && { isTold, data: "" }) }, before);
		if (isTold) told.push({ parent, home, data: before.data });
	}
	if (told.length === 0) return;
	const found = yield* session.find(told.map(({ parent }) => parent));
	for (const { parent, home, data } of told) {
		const one = found.get(parent);
		if (one === undefined || one.row.home !== home || isOver(one.row)) continue;
		const row = deliver(session, one, data);
		found.set(parent, { before: row, row });
	}
}

/** Adds a message to a task that has not ended. Returns its row. */
export function deliver(session: FamilySession, { before, row }: Found, data: Data): TaskRow {
	const posted = session.post(row, data);
	const { dueAt = session.now, addedAt } = row;
	const after = { ...row, posted, dueAt: row.state === "waiting" ? Math.min(dueAt, addedAt, session.now) : row.dueAt };
	session.put(after, before);
	if (row.state === "running") session.tx.wake("claims");
	return after;
}

/** Removes the joins of tasks that have ended. */
function* dissolve(session: FamilySession, homes: readonly Order[]): Work<void> {
	const found = yield* ask(...homes.map((home) => range(joins, undefined, { prefix: [home], limit: session.most })));
	for (const row of found.flat()) session.tx.remove(joins, row);
}

/**
 * Removes children and joins of tasks that are gone, at most so many.
 *
 * @returns the remnants that may have more, or entries of logs
 */
export function* disperse(
	session: FamilySession,
	remnants: readonly TaskRow[],
	most: number,
): Work<readonly TaskRow[]> {
	const left: TaskRow[] = [];
	let room = most;
	for (const remnant of remnants) {
		let isParent = remnant.isParent === true;
		while (isParent && room > 0) {
			const prefix = [remnant.home];
			const [children, counters] = yield* ask(
				// The last ones first, so that only one of a lane may become its head.
				range(tasks, "child", { prefix, limit: room, reverse: true }),
				range(joins, undefined, { prefix, limit: room }),
			);
			for (const child of children) drop(session, child);
			for (const row of counters) session.tx.remove(joins, row);
			room -= children.length + counters.length;
			isParent = children.length + counters.length > 0;
		}
		if (isParent) left.push(remnant);
		else if (!remnant.isLogged) session.erase(remnant);
		else {
			const rest = { ...remnant, isParent: undefined };
			if (remnant.isParent) session.tx.put(tasks, rest, remnant);
			left.push(rest);
		}
	}
	return left;
}

function drop(session: FamilySession, before: TaskRow | Stray): void {
	const isNoTask = before instanceof Stray && (before.value === undefined || session.isElsewhere(before));
	if (isNoTask) return session.tx.drop?.(tasks, before);
	const row = toTask(before);
	if (row.state === "running") session.tx.wake("claims");
	session.remove({ before, row });
}

/** Whether a value is a readable join. Others count no more. */
function isJoin(value: unknown): value is JoinRow {
	const { left, spare, data } = Object(value) as JoinRow;
	return !(value instanceof Stray) && Number.isSafeInteger(left) && (spare === undefined || Number.isFinite(spare)) &&
		isData(data);
}

/**
 * Reads the due tasks of an index in the order of claims, a few at a time.
 *
 * @module
 */

import { isSound } from "./row.ts";
import type { Session } from "./session.ts";
import type { Key, Stray, Work } from "./space.ts";
import { rankOf, type TaskRow, tasks } from "./tables.ts";
import { ask, range } from "./work.ts";

/** The maximum number of rows per read. */
export const longestRead = 1000;

/** The due tasks under a prefix of an index, a few of which are in memory. */
export interface Shelf {
	readonly index: string;
	readonly prefix: Key;
	readonly rows: TaskRow[];
	/** All rows up to this key were read. */
	above: Key | undefined;
	isAtEnd: boolean;
	/** The earliest instant at which one of the others that were read is due. */
	nextAt: number;
}

/** A shelf of which nothing was read. */
export function toShelf(index: string, prefix: Key): Shelf {
	return { index, prefix, above: undefined, rows: [], isAtEnd: false, nextAt: Infinity };
}

/** Reads until each shelf has a row, or has no more. Unreadable tasks are buried. */
export function* fill(session: Session, shelves: readonly Shelf[], limit: number): Work<void> {
	for (let empty; (empty = shelves.filter(({ rows, isAtEnd }) => !rows.length && !isAtEnd)).length > 0;) {
		const found = yield* ask(
			...empty.map(({ index, prefix, above }) => range(tasks, index, { prefix, above, limit })),
		);
		empty.forEach((shelf, index) => {
			for (const one of found[index]!) put(session, shelf, one);
			shelf.isAtEnd = found[index]!.length < limit;
		});
	}
}

function put(session: Session, shelf: Shelf, one: TaskRow | Stray): void {
	if (!isSound(one)) return session.bury(one);
	const { index, prefix } = shelf;
	const isDue = one.dueAt! <= session.now;
	if (isDue) shelf.rows.push(one);
	else shelf.nextAt = Math.min(shelf.nextAt, one.dueAt!);
	// The rest of this priority is not due yet: continue with the next priority.
	shelf.above = isDue ? tasks.indexes[index]!.keyOf(one) : [...prefix, rankOf(one.priority)];
}

/** Whether a task is claimed before another one. */
export function isBefore(a: TaskRow, b: TaskRow): boolean {
	const difference = b.priority - a.priority || a.dueAt! - b.dueAt!;
	return difference < 0 || (difference === 0 && a.order < b.order);
}

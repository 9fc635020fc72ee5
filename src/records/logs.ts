/**
 * The logs of tasks: reading them, and removing those whose tasks are gone.
 *
 * An append checks the row of its task, and does not write it, so others do not see it. Therefore, where transactions
 * are concurrent, a log must not be removed together with its task: an append that commits in between would stay for
 * ever. A *remnant* takes the place of the task, and no append commits behind it.
 *
 * @module
 */

import type { LogEntry, LogRead, Ref } from "../basket/store.ts";
import { toMessages } from "./row.ts";
import type { Session } from "./session.ts";
import { type Range, Stray, type Work } from "./space.ts";
import { logs, type NumberedRow, type Order, type TaskRow } from "./tables.ts";
import { ask, range } from "./work.ts";

/** Reads logs. Returns for each its readable entries; `undefined` if there is no such task or claim. */
export function* readLogs(
	session: Session,
	reads: readonly LogRead[],
): Work<(readonly LogEntry[] | undefined)[]> {
	const [claimed] = yield* session.findClaims(reads.filter(({ token }) => token !== undefined) as Ref[]);
	const found = yield* session.find(reads.flatMap(({ id, token }) => token === undefined ? id : []));
	let next = 0;
	const rows = reads.map(({ id, token }) => token === undefined ? found.get(id)?.row : claimed[next++]);
	const lists = yield* ask(...rows.flatMap((row, index) => {
		const { after, limit } = reads[index]!;
		return row?.isLogged ? range(logs, undefined, { prefix: [row.home], above: [row.home, after], limit }) : [];
	}));
	next = 0;
	return rows.map((row) => row && (row.isLogged ? toMessages(lists[next++]!) : []));
}

/** Reads the last entry of a log. */
export function lastOf(home: Order): Range<NumberedRow> {
	return range(logs, undefined, { prefix: [home], upTo: [home, Number.MAX_SAFE_INTEGER], limit: 1, reverse: true });
}

/** The number of an entry, readable or not. */
export function numberOf(entry: NumberedRow | Stray | undefined): number | undefined {
	const n = entry instanceof Stray ? entry.key[1] : entry?.n;
	return typeof n === "number" ? Math.max(0, Math.floor(n)) : undefined;
}

/**
 * Removes the last entries of logs, at most so many, and the remnants that have none. Entries are removed by their
 * numbers, and not read, because they may be large.
 *
 * @returns the remnants that may have more
 */
export function* sweep(session: Session, remnants: readonly TaskRow[], most: number): Work<readonly TaskRow[]> {
	let left = remnants;
	let room = most;
	// The second round finds that short logs are gone.
	for (let round = 0; round < 2 && room > 0 && left.length > 0; round++) {
		const found = yield* ask(
			...left.map(({ home }) => range(logs, undefined, { prefix: [home], limit: 1, reverse: true })),
		);
		left = left.filter((remnant, index) => {
			const [last] = found[index]!;
			const count = last && removeLast(session, last, room);
			if (count === undefined) session.erase(remnant);
			else room -= count;
			return count !== undefined;
		});
	}
	return left;
}

/** Removes an entry and those with the numbers before it. Returns how many; `undefined` if its key is not that of an entry. */
function removeLast({ tx }: Session, last: NumberedRow | Stray, most: number): number | undefined {
	const { length, 0: home, 1: n } = last instanceof Stray ? last.key : logs.keyOf(last);
	if (length !== 2) return undefined;
	if (!Number.isSafeInteger(n) || (n as number) < 1) {
		tx.remove(logs, last);
		return 1;
	}
	const count = Math.min(n as number, most);
	for (let index = 0; index < count; index++) tx.remove(logs, { home: home!, n: (n as number) - index, data: "" });
	return count;
}

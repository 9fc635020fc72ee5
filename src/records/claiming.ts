/**
 * Finds due tasks of several kinds in one order, and claims them.
 *
 * @module
 */

import type { Claim, ClaimRequest } from "../basket/store.ts";
import { copy, isData, isSound, toInbox } from "./row.ts";
import type { Session } from "./session.ts";
import { readContents } from "./settling.ts";
import type { Key, Stray, Work } from "./space.ts";
import { idOf, rankOf, type TaskRow, tasks } from "./tables.ts";
import { mostInbox } from "../basket/claim.ts";
import { ask, range } from "./work.ts";

/** The maximum number of rows per read. */
const longestRead = 1000;

/** The claimed tasks, and the time until the next one is due. */
export interface Claimed {
	readonly claims: readonly Claim[];
	/** See {@link TurnResult.dueIn}. */
	readonly dueIn: number;
}

/** Claims due tasks. */
export function* claim(session: Session, { kinds, limit }: ClaimRequest, lease: number): Work<Claimed> {
	// One task more than requested: its existence decides when to ask again.
	const { due, nextIn } = yield* findDue(session, kinds, session.reach(limit));
	const found = session.choose(due, limit);
	// The claim of a crashed task has ended.
	const rows = found.map((row) => session.take(row));
	const contents = yield* readContents(rows, mostInbox);
	const claims: Claim[] = [];
	rows.forEach((row, index) => {
		const { payload, inbox } = contents[index]!;
		const before = found[index]!;
		if (isData(payload)) claims.push(begin(session, row, before, { payload, inbox: toInbox(inbox) }, lease));
		else session.bury(before);
	});
	yield* session.promote();
	// Tasks after an unreadable one may be due.
	if (due.length > found.length || session.buried > 0) return { claims, dueIn: 0 };
	return { claims, dueIn: Math.min(nextIn, claims.length > 0 ? lease : Infinity) };
}

/** The time until the first task of these kinds is due. */
export function* findNext(session: Session, kinds: readonly string[]): Work<number> {
	const { due, nextIn } = yield* findDue(session, kinds, 1);
	return due.length > 0 ? 0 : nextIn;
}

function begin(
	session: Session,
	row: TaskRow,
	before: TaskRow,
	{ payload, inbox }: Pick<Claim, "payload" | "inbox">,
	lease: number,
): Claim {
	const { now, settings } = session;
	const crashed = row.state === "running" ? 1 : 0;
	const [attempts, crashes] = [row.attempts + crashed, row.crashes + crashed];
	// The token begins with the order of the task, which saves a look-up.
	const token = `${row.order}.${settings.nextMark()}`;
	const { kind, lane, priority, error, addedAt } = row;
	const running = { ...row, state: "running", token, attempts, crashes, isBackingOff: undefined } as const;
	session.put({ ...running, dueAt: now + lease }, before);
	const age = now - addedAt;
	const id = idOf(row);
	return { id, token, lane, kind, payload: copy(payload), attempts, crashes, priority, error, addedAt, age, inbox };
}

/** The due tasks of one kind, a few of which are in memory. */
interface Shelf {
	readonly kind: string;
	readonly rows: TaskRow[];
	/** All rows up to this key were read. */
	above: Key | undefined;
	isAtEnd: boolean;
}

/** The due tasks, and the time until the next one is due, which is known only if no other task is due. */
interface Due {
	readonly due: TaskRow[];
	readonly nextIn: number;
}

/**
 * The first tasks of some kinds that are due, at most so many: highest priority first, then earliest due, then in the
 * order added. Unreadable tasks are buried.
 */
function* findDue(session: Session, kinds: readonly string[], most: number): Work<Due> {
	const { now } = session;
	const due: TaskRow[] = [];
	let nextIn = Infinity;
	const shelves = [...new Set(kinds)].map((kind): Shelf => ({ kind, above: undefined, rows: [], isAtEnd: false }));
	const put = (shelf: Shelf, one: TaskRow | Stray) => {
		if (!isSound(one)) return session.bury(one);
		const dueIn = one.dueAt! - now;
		if (dueIn <= 0) shelf.rows.push(one);
		else nextIn = Math.min(nextIn, dueIn);
		// The rest of this priority is not due yet: continue with the next priority.
		shelf.above = dueIn <= 0 ? tasks.indexes["due"]!.keyOf(one) : [shelf.kind, rankOf(one.priority)];
	};
	while (due.length < most) {
		const limit = Math.min(Math.ceil((most - due.length) / shelves.length), longestRead);
		for (let empty; (empty = shelves.filter(({ rows, isAtEnd }) => !rows.length && !isAtEnd)).length > 0;) {
			const found = yield* ask(
				...empty.map(({ kind, above }) => range(tasks, "due", { prefix: [kind], above, limit })),
			);
			empty.forEach((shelf, index) => {
				for (const one of found[index]!) put(shelf, one);
				shelf.isAtEnd = found[index]!.length < limit;
			});
		}
		let first: Shelf | undefined;
		for (const shelf of shelves) {
			if (shelf.rows.length && (!first || isBefore(shelf.rows[0]!, first.rows[0]!))) first = shelf;
		}
		if (first === undefined) break;
		due.push(first.rows.shift()!);
	}
	return { due, nextIn };
}

function isBefore(a: TaskRow, b: TaskRow): boolean {
	const difference = b.priority - a.priority || a.dueAt! - b.dueAt!;
	return difference < 0 || (difference === 0 && a.order < b.order);
}

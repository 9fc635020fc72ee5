/**
 * Finds due tasks of several kinds in one order, and claims them.
 *
 * @module
 */

import { type BasketLimit, type Claim, type ClaimRequest, mostInbox } from "../basket/store.ts";
import { copy, isData, toInbox } from "./row.ts";
import type { Limits } from "./gate-queue.ts";
import { closeBasket, openBasket } from "./overall.ts";
import { closeGates, findGated, findNextGate } from "./serving.ts";
import type { Session } from "./session.ts";
import { readContents } from "./settling.ts";
import { fill, isBefore, longestRead, type Shelf, toShelf } from "./shelf.ts";
import type { Work } from "./space.ts";
import { idOf, type TaskRow, tasks } from "./tables.ts";

/** The claimed tasks, and the time until the next one is due. */
export interface Claimed {
	readonly claims: readonly Claim[];
	/** See {@link TurnResult.dueIn}. */
	readonly dueIn: number;
	/** Whether there may be more behind gates that were not looked at. */
	readonly isCut?: boolean | undefined;
}

/**
 * Claims due tasks.
 *
 * @param limits the limits of the kinds that have gates
 * @param room the number of rows that it may write
 */
export function* claim(
	session: Session,
	{ kinds, limit }: ClaimRequest,
	lease: number,
	limits: Limits,
	room: number = session.room,
): Work<Claimed> {
	// One task more than requested: its existence decides when to ask again.
	const most = session.reach(limit);
	const { due, nextIn } = yield* findDue(session, kinds, most);
	const gated = yield* findGated(session, kinds, limits, most, room);
	const offered = gated?.due.slice(0, limit) ?? [];
	const all = gated === undefined ? due : [...due, ...offered].sort((a, b) => isBefore(a, b) ? -1 : 1);
	const found = session.choose(all, gated === undefined ? limit : Math.min(limit, Math.max(1, room - gated.weight)));
	// The claim of a crashed task has ended.
	const rows = found.map((row) => session.take(row));
	const contents = yield* readContents(rows, mostInbox);
	const claims: Claim[] = [];
	const begun = new Set<TaskRow>();
	rows.forEach((row, index) => {
		const { payload, inbox } = contents[index]!;
		const before = found[index]!;
		if (!isData(payload)) return session.bury(before);
		if (row.limitKey !== before.limitKey) return requeue(session, row, before);
		const start = gated?.startOf(before);
		claims.push(
			begin(session, start === undefined ? row : { ...row, start }, before, { payload, inbox: toInbox(inbox) }, lease),
		);
		begun.add(before);
	});
	if (gated !== undefined) closeGates(session, gated, { offered: new Set(offered), begun, lease });
	yield* session.promote();
	// Tasks after an unreadable one may be due.
	const isMore = due.length + (gated?.due.length ?? 0) > found.length;
	if (isMore || session.buried > 0) return { claims, dueIn: 0 };
	const next = Math.min(nextIn, gated?.nextIn ?? Infinity);
	return { claims, dueIn: Math.min(next, claims.length > 0 ? lease : Infinity), isCut: gated?.isCut };
}

/** The same under a limit of the basket, which is counted in this transaction. */
export function* claimWithin(
	session: Session,
	{ kinds, limit }: ClaimRequest,
	lease: number,
	limits: Limits,
	overall: BasketLimit,
): Work<Claimed> {
	session.isCounted = true;
	const gate = yield* openBasket(session, overall);
	const part = yield* claim(session, { kinds, limit: Math.min(limit, gate.left) }, lease, limits);
	const { claims } = part;
	const dueIn = closeBasket(session, gate, claims.length, part.dueIn, lease);
	return { claims, dueIn, isCut: part.isCut && claims.length < gate.left };
}

/** The time until the first task of these kinds is due. */
export function* findNext(session: Session, kinds: readonly string[], limits: Limits): Work<number> {
	const { due, nextIn } = yield* findDue(session, kinds, 1);
	return due.length > 0 ? 0 : Math.min(nextIn, yield* findNextGate(session, kinds, limits));
}

/** A crashed task whose new payload has another limit key waits at the gate of that key. */
function requeue(session: Session, row: TaskRow, before: TaskRow): void {
	const [attempts, crashes] = [row.attempts + 1, row.crashes + 1];
	const waiting = { ...row, state: "waiting", token: undefined, start: undefined, attempts, crashes } as const;
	session.put({ ...waiting, dueAt: session.now }, before);
	session.buried++;
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
	const { kind, lane, limitKey, priority, error, addedAt } = row;
	const running = { ...row, state: "running", token, attempts, crashes, isBackingOff: undefined } as const;
	const { isCounted: isTaken } = session;
	// Its gate is written by `closeGates`, and it wakes nobody.
	session.tx.put(tasks, { ...running, isTaken, dueAt: now + lease }, before);
	const [id, age] = [idOf(row), now - addedAt];
	const place = { id, token, lane, limitKey, kind };
	return { ...place, payload: copy(payload), attempts, crashes, priority, error, addedAt, age, inbox };
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
	const due: TaskRow[] = [];
	const shelves = [...new Set(kinds)].map((kind): Shelf => toShelf("due", [kind]));
	while (due.length < most) {
		yield* fill(session, shelves, Math.min(Math.ceil((most - due.length) / shelves.length), longestRead));
		let first: Shelf | undefined;
		for (const shelf of shelves) {
			if (shelf.rows.length && (!first || isBefore(shelf.rows[0]!, first.rows[0]!))) first = shelf;
		}
		if (first === undefined) break;
		due.push(first.rows.shift()!);
	}
	return { due, nextIn: shelves.reduce((least, { nextAt }) => Math.min(least, nextAt - session.now), Infinity) };
}

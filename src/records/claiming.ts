/**
 * Finds due tasks of several kinds in one order, and claims them.
 *
 * @module
 */

import { type BasketLimit, type Claim, type ClaimRequest, type Data, mostInbox, type Turn } from "../basket/store.ts";
import { copy, crashed, isData, isSound, originOf, toMessages } from "./row.ts";
import type { Limits } from "./gate-queue.ts";
import { closeBasket, openBasket } from "./overall.ts";
import { closeGates, findGated, findNextGate } from "./serving.ts";
import type { Session } from "./session.ts";
import { giveBackBehind, readContents } from "./settling.ts";
import { fill, isBefore, longestRead, type Shelf, toShelf } from "./shelf.ts";
import type { Work } from "./space.ts";
import { idOf, logs, type TaskRow, tasks } from "./tables.ts";
import { ask, range } from "./work.ts";

/** What holds for the claims of a turn. */
export interface Terms extends Pick<Turn, "lease" | "runs" | "worker"> {
	/** The number of tasks that the limit of the basket admits, with followers. */
	readonly left?: number | undefined;
}

/** The claimed tasks, and the time until the next one is due. */
export interface Claimed {
	readonly claims: readonly Claim[];
	/** The number of claims without the followers. */
	readonly heads: number;
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
	{ kinds, limit: requested }: ClaimRequest,
	terms: Terms,
	limits: Limits,
	room: number = session.room,
): Work<Claimed> {
	const { lease, left = Infinity } = terms;
	const wanted = Math.min(requested, left);
	const runs = runsOf(session, kinds, terms);
	// A run that begins has room for all of its tasks.
	const longest = [...runs.values()].reduce((most, one) => Math.max(most, one), 1);
	const limit = longest === 1 ? wanted : Math.min(wanted, Math.max(1, Math.floor(room / longest)));
	// One task more than requested: its existence decides when to ask again.
	const reach = session.reach(limit);
	const { due, nextIn } = yield* findDue(session, kinds, reach);
	const gated = yield* findGated(session, kinds, limits, reach, room);
	const offered = gated.due.slice(0, limit);
	const all = offered.length === 0 ? due : [...due, ...offered].sort((a, b) => isBefore(a, b) ? -1 : 1);
	const most = Math.max(1, room - gated.weight);
	const found = session.choose(all, Math.min(limit, most), most);
	// The claim of a crashed task has ended.
	const rows = found.map((row) => session.take(row));
	const followers = yield* findFollowers(session, found, runs, left - found.length);
	const taken = [...rows, ...followers.flat()];
	const contents = yield* readContents(taken, mostInbox, taken.filter(({ isLogged }) => isLogged));
	const claims: Claim[] = [];
	const begun = new Set<TaskRow>();
	let read = rows.length;
	rows.forEach((row, index) => {
		const { payload } = contents[index]!;
		const before = found[index]!;
		const behind = followers[index]!;
		const from = read;
		read += behind.length;
		if (!isData(payload)) return session.bury(before);
		if (row.limitKey !== before.limitKey) return requeue(session, row, before);
		const start = gated.startOf?.(before);
		const heading = start === undefined ? row : { ...row, start };
		const unreadable = behind.findIndex((_, at) => !isData(contents[from + at]!.payload));
		const run = [heading, ...behind.slice(0, unreadable < 0 ? Infinity : unreadable)];
		run.forEach((row, at) => {
			const { payload, inbox, logged } = contents[at === 0 ? index : from + at - 1]!;
			const content = { payload: payload as Data, inbox: toMessages(inbox), logged };
			const followers = run.length - 1 - at || undefined;
			// Most rows have none, and would become longer.
			const leading = row.followers === followers ? row : { ...row, followers };
			claims.push(begin(session, leading, at === 0 ? before : row, content, terms));
		});
		begun.add(before);
	});
	yield* giveBackBehind(session, found.filter(({ state }) => state === "running"), true);
	closeGates(session, gated, { offered: new Set(offered), begun, lease });
	yield* session.promote();
	// Tasks after an unreadable one may be due.
	const isMore = due.length + gated.due.length > found.length;
	const heads = begun.size;
	if (isMore || session.buried > 0) return { claims, heads, dueIn: 0 };
	const dueIn = Math.min(nextIn, gated.nextIn, claims.length > 0 ? lease : Infinity);
	return { claims, heads, dueIn, isCut: gated.isCut };
}

/** The same under a limit of the basket, which is counted in this transaction. */
export function* claimWithin(
	session: Session,
	request: ClaimRequest,
	terms: Terms,
	limits: Limits,
	overall: BasketLimit,
): Work<Claimed> {
	session.isCounted = true;
	const gate = yield* openBasket(session, overall);
	const part = yield* claim(session, request, { ...terms, left: gate.left }, limits);
	const { claims, heads } = part;
	const dueIn = closeBasket(session, gate, claims.length, part.dueIn, terms.lease);
	return { claims, heads, dueIn, isCut: part.isCut && claims.length < gate.left };
}

/** The time until the first task of these kinds is due. */
export function* findNext(session: Session, kinds: readonly string[], limits: Limits): Work<number> {
	const { due, nextIn } = yield* findDue(session, kinds, 1);
	return due.length > 0 ? 0 : Math.min(nextIn, yield* findNextGate(session, kinds, limits));
}

/** The maximum lengths of the runs of these kinds. What one of them can be given back in is one commit. */
function runsOf(
	session: Session,
	kinds: readonly string[],
	{ runs = [], left = Infinity }: Terms,
): ReadonlyMap<string, number> {
	const longest = Math.max(1, Math.min(left, Math.floor(session.room / 2)));
	return new Map(
		runs.filter(({ kind }) => kinds.includes(kind)).map(({ kind, most }) => [kind, Math.min(most, longest)]),
	);
}

/** The tasks that may be claimed with each of these, at most so many in all. */
function* findFollowers(
	session: Session,
	heads: readonly TaskRow[],
	runs: ReadonlyMap<string, number>,
	most: number,
): Work<TaskRow[][]> {
	const mostBehind = ({ kind, lane, attempts, state }: TaskRow) =>
		lane === undefined || attempts > 0 || state === "running" ? 0 : (runs.get(kind) ?? 1) - 1;
	const leaders = heads.filter((row) => mostBehind(row) > 0);
	if (leaders.length === 0 || most <= 0) return heads.map(() => []);
	const found = yield* ask(...leaders.map((row) => {
		const place = [row.lane!, row.order];
		return range(tasks, "lane", { prefix: [row.lane!], above: place, limit: mostBehind(row) });
	}));
	const behind = new Map(leaders.map((head, index) => [head, found[index]!]));
	let left = most;
	return heads.map((head) => {
		const rows = (behind.get(head) ?? []).slice(0, left);
		const end = rows.findIndex((row) => !isSound(row) || !mayFollow(row, head, session.now));
		const run = rows.slice(0, end < 0 ? Infinity : end) as TaskRow[];
		left -= run.length;
		return run;
	});
}

function mayFollow(row: TaskRow, { kind }: TaskRow, now: number): boolean {
	const { isHeld, attempts, limitKey, dueAt = Infinity } = row;
	return row.kind === kind && row.state === "waiting" && !isHeld && attempts === 0 && limitKey === undefined &&
		dueAt <= now;
}

/** A crashed task whose new payload has another limit key waits at the gate of that key. */
function requeue(session: Session, row: TaskRow, before: TaskRow): void {
	session.put({ ...crashed(row), dueAt: session.now }, before);
	session.buried++;
}

function begin(
	session: Session,
	row: TaskRow,
	before: TaskRow,
	{ payload, inbox, logged }: Pick<Claim, "payload" | "inbox" | "logged">,
	{ lease, worker: by }: Terms,
): Claim {
	const { now, settings } = session;
	// The token begins with the order of the task, which saves a look-up.
	const token = `${row.order}.${settings.nextMark()}`;
	const { attempts, crashes } = row.state === "running" ? crashed(row) : row;
	const { kind, lane, limitKey, priority, error, addedAt, meta, history } = row;
	const running = { ...row, state: "running", token, attempts, crashes, isBackingOff: undefined } as const;
	const { isCounted: isTaken } = session;
	// Its gate is written by `closeGates`, and it wakes nobody.
	session.tx.put(tasks, { ...running, isTaken, by, since: now, dueAt: now + lease }, before);
	// The former claim may append as long as this one is not committed.
	if (row.isLogged) session.tx.guard?.(logs, [row.home, (logged ?? 0) + 1]);
	const [id, age] = [idOf(row), now - addedAt];
	const place = { id, token, lane, limitKey, kind, ...(row.joined !== undefined && { isCounted: true }) };
	const late = Math.max(0, now - (before.dueAt ?? now));
	const past = { attempts, crashes, error, addedAt, age, late, history, lapsed: originOf(row) };
	return { ...place, payload: copy(payload), priority, meta, inbox, logged, ...past };
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

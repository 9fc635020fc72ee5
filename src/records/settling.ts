/**
 * The writes of a worker about its claims: settle, extend and save.
 *
 * @module
 */

import type { Done, Outcome, Ref, Save, Settlement } from "../basket/store.ts";
import { type Details, isExpired, isSound, renewed, settled } from "./row.ts";
import type { Ending, Session } from "./session.ts";
import type { Stray, Work } from "./space.ts";
import { type DataRow, messages, type Order, payloads, spares, type TaskRow, tasks } from "./tables.ts";
import { grow, type Growth, isGrowing } from "./growing.ts";
import { lastOf, numberOf } from "./logs.ts";
import { ask, get, range } from "./work.ts";

/**
 * Settles claims. Returns for each whether it was settled; `false` if it was lost. Promotes the lanes. It also
 * removes at most `most` expired tasks, and finds the pauses; both share one round of reads.
 */
export function* settle(session: Session, settlements: readonly Settlement[], most?: number): Work<boolean[]> {
	const refs = settlements.map(({ ref }) => ref);
	const [rows, kept] = yield* session.findClaims(
		refs,
		...(most === undefined ? [] : [range(tasks, "kept", { prefix: [], upTo: [session.now], limit: most })]),
	);
	if (kept !== undefined) clear(session, kept);
	const ended = new Map<string, TaskRow>();
	const growths: Growth[] = [];
	const settled = rows.map((row, index) => {
		// If a claim has two outcomes, the first one counts; for the second one the claim is lost.
		if (row === undefined || ended.has(row.token!)) return false;
		ended.set(row.token!, row);
		const growth = end(session, row, settlements[index]!);
		if (growth !== undefined) growths.push(growth);
		return true;
	});
	yield* giveBackBehind(session, [...ended.values()]);
	yield* grow(session, growths);
	yield* session.tallies.settle(session);
	return settled;
}

/** Gives the followers behind tasks back whose claims have ended, unless the tasks have left their lanes. */
export function* giveBackBehind(session: Session, ended: readonly TaskRow[], haveCrashed = false): Work<void> {
	const heads = ended.filter(({ followers }) => followers);
	if (heads.length === 0) return;
	const [now, ...lists] = yield* ask(
		get(tasks, heads.map(({ order }) => [order])),
		...heads.map(({ lane, order, followers }) =>
			range(tasks, "lane", { prefix: [lane!], above: [lane!, order], limit: followers! })
		),
	);
	const given = new Set<Order>();
	for (const [index, list] of lists.entries()) {
		const head = now[index];
		if (!haveCrashed && (!isSound(head) || head.state !== "waiting")) continue;
		for (const row of list) {
			if (!isSound(row) || row.state !== "running" || given.has(row.order)) break;
			given.add(row.order);
			if (haveCrashed) crash(session, row);
			else end(session, row, { outcome: release });
		}
	}
}

const release: Outcome = { type: "release" };

/** Gives a task back whose claim has ended without a settlement. */
function crash(session: Session, row: TaskRow): void {
	const { attempts, crashes, by, since } = row;
	const crashed = { ...row, attempts: attempts + 1, crashes: crashes + 1, by: undefined, since: undefined };
	end(session, crashed, { outcome: release }, row, { by, since });
}

/**
 * @param before the row as it was found
 * @param rest what else is in the row then
 * @returns what must be added to the task
 */
function end(
	session: Session,
	row: TaskRow,
	given: Ending,
	before: TaskRow = row,
	rest?: Partial<TaskRow>,
): Growth | undefined {
	const { now } = session;
	const { outcome, log, ...offspring } = session.fit(row, given);
	const { type, payload } = outcome;
	const isEnd = type === "done" || type === "dead";
	amend(session, row, outcome);
	const { seen, most = Infinity }: Pick<Done, "seen" | "most"> = type === "done" ? outcome : {};
	const last = seen === undefined ? row.seen : Math.max(row.seen, Math.min(seen, row.posted));
	const left = seen === undefined ? 0 : row.posted - last;
	const isAgain = isEnd && (row.next !== undefined || left > 0);
	const read = { ...row, seen: last };
	const stays = isAgain
		? settled({ ...read, ...renewed }, { ...release, history: outcome.history }, now)
		: settled(read, outcome, now);
	const isOver = isEnd && !isAgain;
	if (isOver) session.tallies.end(row, type === "dead" || (type === "done" && outcome.isBad === true));
	if (stays === undefined) return void session.remove({ before, row });
	const logged = log === undefined ? stays : session.append(stays, log);
	const isParent = !isOver && isGrowing(offspring);
	const after = isParent ? { ...logged, isParent } : rest === undefined ? logged : { ...logged, ...rest };
	session.forget(row, after.seen);
	if (isOver) session.free(row.lane);
	const keepsTime = row.isCollected && !isEnd || left >= most;
	const result = type === "done" ? outcome.result : undefined;
	const data = () => ({ ...session.withPayload(row.home, payload, row), ...session.withSpare(result, row) });
	session.put(
		row.next !== undefined ? session.take(after, keepsTime) : isAgain ? after : { ...after, ...data() },
		before,
	);
	return isParent ? { parent: row, ...offspring } : undefined;
}

/** A release that has run nothing takes its start back. An outcome can shut the key. */
function amend({ marks, now }: Session, { kind, limitKey, start }: TaskRow, outcome: Outcome): void {
	if (limitKey === undefined) return;
	const { type, delay, isKeyShut }: Details & Pick<Outcome, "type"> = outcome;
	if (start !== undefined && type === "release" && delay === undefined) marks.of(kind, limitKey).starts.push(start);
	if (isKeyShut) marks.shut(kind, limitKey, now + (delay ?? 0));
}

/** Extends leases. */
export function* extend(session: Session, refs: readonly Ref[], lease: number): Work<("ok" | "lost" | "posted")[]> {
	const [rows] = yield* session.findClaims(refs);
	return rows.map((row) => {
		if (row === undefined) return "lost";
		session.put({ ...row, dueAt: session.now + lease }, row);
		return row.posted > row.seen ? "posted" : "ok";
	});
}

/** Saves data of claims. The row of a task is written only if it changes, so that an append is cheap. */
export function* save(session: Session, saves: readonly Save[]): Work<boolean[]> {
	const [rows] = yield* session.findClaims(saves.map(({ ref }) => ref));
	// By token, as a space may give another object each time.
	const latest = new Map<string, TaskRow>();
	const growths: Growth[] = [];
	const saved = rows.map((row, index) => {
		if (row === undefined) return false;
		const before = latest.get(row.token!) ?? row;
		const { payload, progress = before.progress, seen: until = 0, log, ...offspring } = saves[index]!;
		if (isGrowing(offspring)) growths.push({ parent: row, ...offspring });
		const seen = Math.max(before.seen, Math.min(until, before.posted));
		const appended = log === undefined ? before : session.append(before, log);
		const logged = appended.isParent || !isGrowing(offspring) ? appended : { ...appended, isParent: true };
		// A task that gets a join is written, too: it conflicts with its own end, which removes the joins that it finds.
		const isSame = logged === before && payload === undefined && progress === before.progress && seen === before.seen;
		if (isSame && !isGrowing(offspring)) {
			session.tx.guard?.(tasks, [row.order]);
			return true;
		}
		session.forget(before, until);
		const after = { ...logged, progress, seen, ...session.withPayload(row.home, payload, before) };
		session.put(after, before);
		latest.set(row.token!, after);
		return true;
	});
	yield* grow(session, growths);
	return saved;
}

function clear(session: Session, kept: readonly (TaskRow | Stray)[]): void {
	for (const before of kept) {
		if (!isSound(before) || !isExpired(before, session.now)) session.bury(before);
		else if (before.order === session.settings.orders.parse("")) {
			session.paused = before.paused ?? [];
			session.gated = before.gated ?? [];
		} else session.remove({ before, row: before });
	}
}

/** The data of a task besides its row. */
export interface Contents {
	/** The stored value, readable or not. */
	readonly payload: unknown;
	/** Likewise: the result of a done task. */
	readonly result: unknown;
	/** The rows of messages, readable or not. */
	readonly inbox: readonly object[];
	/** The number of the last entry of its log, if it has any, and if this was asked for. */
	readonly logged?: number | undefined;
}

/** Reads the data and the unseen messages of tasks, at most so many of each, and how long the logs of some of them are. */
export function* readContents(
	rows: readonly TaskRow[],
	most: number,
	logged: readonly TaskRow[] = [],
): Work<Contents[]> {
	const apart = rows.filter(({ payload, spare }) => payload === undefined || spare === true);
	const others = apart.filter(({ isSwapped, spare }) => isSwapped || spare === true);
	const posted = rows.filter(({ seen, posted }) => most > 0 && posted > seen);
	const inboxes = posted.map(({ home, seen, posted }) => {
		return range(messages, undefined, { prefix: [home], above: [home, seen], limit: Math.min(posted - seen, most) });
	});
	const keysOf = (rows: readonly TaskRow[]) => rows.map(({ home }) => [home]);
	const [data, spare, ...lists] = yield* ask(
		get(payloads, keysOf(apart)),
		get(spares, keysOf(others)),
		...inboxes,
		...logged.map(({ home }) => lastOf(home)),
	);
	const found = toMap(apart, data);
	const foundSpare = toMap(others, spare);
	const messagesOf = new Map(posted.map((row, index) => [row, lists[index]!]));
	const lastEntryOf = new Map(logged.map((row, index) => [row, lists[posted.length + index]![0]]));
	return rows.map((row) => {
		const [one, other] = row.isSwapped ? [foundSpare, found] : [found, foundSpare];
		const result = row.state !== "done" ? undefined : row.spare === true ? other.get(row) ?? null : row.spare;
		const logged = numberOf(lastEntryOf.get(row));
		return { payload: row.payload ?? one.get(row), result, inbox: messagesOf.get(row) ?? [], logged };
	});
}

function toMap(rows: readonly TaskRow[], found: readonly (DataRow | Stray | undefined)[]): Map<TaskRow, unknown> {
	return new Map(rows.map((row, index) => [row, (found[index] as Partial<DataRow>)?.data]));
}

/**
 * The writes of a worker about its claims: settle, extend and save.
 *
 * @module
 */

import type { Outcome, Ref, Save, Settlement } from "../basket/store.ts";
import { isExpired, isSound, settled } from "./row.ts";
import type { Session } from "./session.ts";
import type { Stray, Work } from "./space.ts";
import { type DataRow, messages, payloads, type TaskRow, tasks } from "./tables.ts";
import { ask, get, range } from "./work.ts";

/**
 * Settles claims. Returns for each whether it was settled; `false` if it was lost. Promotes the lanes. It also
 * removes at most `most` expired tasks; both share one round of reads.
 */
export function* settle(session: Session, settlements: readonly Settlement[], most?: number): Work<boolean[]> {
	const refs = settlements.map(({ ref }) => ref);
	const [rows, kept] = yield* session.findClaims(
		refs,
		...(most === undefined ? [] : [range(tasks, "kept", { prefix: [], upTo: [session.now], limit: most })]),
	);
	if (kept !== undefined) clear(session, kept);
	const ended = new Set<string>();
	return rows.map((row, index) => {
		// If a claim has two outcomes, the first one counts; for the second one the claim is lost.
		if (row === undefined || ended.has(row.token!)) return false;
		ended.add(row.token!);
		end(session, row, settlements[index]!.outcome);
		return true;
	});
}

function end(session: Session, row: TaskRow, given: Outcome): void {
	const outcome = session.fit(row, given);
	const { type, payload } = outcome;
	const after = settled(row, outcome, session.now);
	if (after === undefined) return session.remove({ before: row, row });
	if (type === "done" || type === "dead") session.free(row.lane);
	session.forget(row, after.seen);
	session.put({ ...after, ...session.withPayload(row.home, payload, row) }, row);
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

/** Saves data of claims. */
export function* save(session: Session, saves: readonly Save[]): Work<boolean[]> {
	const [rows] = yield* session.findClaims(saves.map(({ ref }) => ref));
	// By token, as a space may give another object each time.
	const latest = new Map<string, TaskRow>();
	return rows.map((row, index) => {
		if (row === undefined) return false;
		const before = latest.get(row.token!) ?? row;
		const { payload, progress = before.progress, seen: until = 0 } = saves[index]!;
		session.forget(before, until);
		const seen = Math.max(before.seen, Math.min(until, before.posted));
		const after = { ...before, progress, seen, ...session.withPayload(row.home, payload, before) };
		session.put(after, before);
		latest.set(row.token!, after);
		return true;
	});
}

function clear(session: Session, kept: readonly (TaskRow | Stray)[]): void {
	for (const before of kept) {
		if (isSound(before) && isExpired(before, session.now)) session.remove({ before, row: before });
		else session.bury(before);
	}
}

/** The data of a task besides its row. */
export interface Contents {
	/** The stored value, readable or not. */
	readonly payload: unknown;
	/** The rows of messages, readable or not. */
	readonly inbox: readonly object[];
}

/** Reads the payloads and the unseen messages of tasks. */
export function* readContents(rows: readonly TaskRow[], withInbox = true): Work<Contents[]> {
	const apart = rows.filter(({ payload }) => payload === undefined);
	const posted = rows.filter(({ seen, posted }) => withInbox && posted > seen);
	const inboxes = posted.map(({ home, seen, posted }) => {
		return range(messages, undefined, { prefix: [home], above: [home, seen], limit: posted - seen });
	});
	const [data, ...lists] = yield* ask(get(payloads, apart.map(({ home }) => [home])), ...inboxes);
	const found = new Map<TaskRow, unknown>(apart.map((row, index) => [row, (data[index] as Partial<DataRow>)?.data]));
	const messagesOf = new Map(posted.map((row, index) => [row, lists[index]!]));
	return rows.map((row) => ({ payload: row.payload ?? found.get(row), inbox: messagesOf.get(row) ?? [] }));
}

/**
 * What a worker says of its claims: ends them, extends them, saves to them.
 *
 * @module
 */

import type { Outcome, Ref, Save, Settlement } from "../basket/store.ts";
import { isExpired, isSound, settled } from "./row.ts";
import type { Session } from "./session.ts";
import type { Work } from "./space.ts";
import { type DataRow, messages, payloads, type TaskRow, tasks } from "./tables.ts";
import { ask, get, range } from "./work.ts";

/** Ends claims; says of each whether it was not lost. The lanes get their next heads. */
export function* settle(session: Session, settlements: readonly Settlement[]): Work<boolean[]> {
	const rows = yield* session.findClaims(settlements.map(({ ref }) => ref));
	const results = rows.map((row, index) => row !== undefined && end(session, row, settlements[index]!.outcome));
	return results;
}

/** Ends a claim inside the caller's transaction; one that is lost must not come about. */
export function* complete(session: Session, settlement: Settlement): Work<boolean> {
	const [isEnded] = yield* settle(session, [settlement]);
	return orFail(session, isEnded!);
}

function end(session: Session, row: TaskRow, given: Outcome): true {
	const outcome = fitting(session, row, given);
	const { type, payload } = outcome;
	const after = settled(row, outcome, session.now, session.settings.limits.error);
	if (after === undefined) {
		session.remove({ before: row, row });
		return true;
	}
	if (type === "done" || type === "dead") session.free(row.lane);
	session.forget(row, after.seen);
	session.put({ ...after, ...session.withPayload(row.home, payload, row) }, row);
	return true;
}

/** One whose payload cannot be stored is dead, so that it keeps no other from being settled. */
function fitting({ settings: { limits } }: Session, { attempts }: TaskRow, outcome: Outcome): Outcome {
	const { payload } = outcome;
	if (payload === undefined || limits.payload === undefined) return outcome;
	const size = limits.sizeOf!(payload);
	if (size <= limits.payload) return outcome;
	const error = `A payload of ${size} bytes cannot be stored: ${limits.payload} is the most`;
	return { type: "dead", attempts, error };
}

/** Makes leases end later. */
export function* extend(session: Session, refs: readonly Ref[], lease: number): Work<("ok" | "lost" | "posted")[]> {
	const rows = yield* session.findClaims(refs);
	return rows.map((row) => {
		if (row === undefined) return "lost";
		session.put({ ...row, dueAt: session.now + lease }, row);
		return row.posted > row.seen ? "posted" : "ok";
	});
}

/** Stores what claims want to be remembered. */
export function* save(session: Session, saves: readonly Save[]): Work<boolean[]> {
	const rows = yield* session.findClaims(saves.map(({ ref }) => ref));
	const latest = new Map<TaskRow, TaskRow>();
	return rows.map((row, index) => {
		if (row === undefined) return orFail(session, false);
		const before = latest.get(row) ?? row;
		const { payload, progress = before.progress, seen: until = 0 } = saves[index]!;
		session.forget(before, until);
		const seen = Math.max(before.seen, Math.min(until, before.posted));
		const after = { ...before, progress, seen, ...session.withPayload(row.home, payload, before) };
		session.put(after, before);
		latest.set(row, after);
		return true;
	});
}

/** Removes tasks that were kept long enough, at most `limit`. Says how many were looked at. */
export function* removeKept(session: Session, limit: number): Work<number> {
	const [found] = yield* ask(range(tasks, "kept", { prefix: [], upTo: [session.now], limit }));
	for (const before of found) {
		if (isSound(before) && isExpired(before, session.now)) session.remove({ before, row: before });
		else session.bury(before);
	}
	return found.length;
}

/** A claim that is known to be lost must not let the rest of a list of changes come about. */
function orFail({ tx }: Session, isDone: boolean): boolean {
	if (!isDone && tx.isBlind) tx.fail();
	return isDone;
}

/** What belongs to a task besides its row. */
export interface Contents {
	/** What is there, whether or not it can be read. */
	readonly payload: unknown;
	/** Rows of messages, whether or not they can be read. */
	readonly inbox: readonly object[];
}

/** The payloads of tasks, and what was posted to them and not seen. */
export function* readContents(rows: readonly TaskRow[], withInbox = true): Work<Contents[]> {
	const apart = rows.filter(({ payload }) => payload === undefined);
	const posted = withInbox ? rows.filter(({ seen, posted }) => posted > seen) : [];
	if (apart.length + posted.length === 0) return rows.map(({ payload }) => ({ payload, inbox: [] }));
	const inboxes = posted.map(({ home, seen, posted }) => {
		return range(messages, undefined, { prefix: [home], above: [home, seen], limit: posted - seen });
	});
	const [data, ...lists] = yield* ask(get(payloads, apart.map(({ home }) => [home])), ...inboxes);
	let [nextData, nextList] = [0, 0];
	return rows.map(({ payload, seen, posted }) => ({
		payload: payload ?? (data[nextData++] as DataRow | undefined)?.data,
		inbox: withInbox && posted > seen ? lists[nextList++] as readonly object[] : [],
	}));
}

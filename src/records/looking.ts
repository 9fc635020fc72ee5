/**
 * Reads tasks without changing them.
 *
 * @module
 */

import type { Counts, ListQuery, Message, StoredTask, TaskState } from "../basket/store.ts";
import { copy, isData, isExpired, show, toInbox, toTask, unreadable } from "./row.ts";
import type { Session } from "./session.ts";
import { type Contents, readContents } from "./settling.ts";
import { type Key, Stray, type Work } from "./space.ts";
import { type Order, stateOf, type TaskRow, tasks } from "./tables.ts";
import { ask, count, range } from "./work.ts";

/** Reads one task and its inbox. */
export function* look(
	session: Session,
	id: string,
): Work<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
	const found = (yield* session.find([id])).get(id);
	if (found === undefined) return undefined;
	const [contents] = yield* readContents([found.row]);
	return { ...reveal(session, found.row, contents!), inbox: toInbox(contents!.inbox) };
}

/** The number of rows per read if some of them may not match. */
const page = 200;

/** One part of a list, and where the next part begins. */
export interface ListedPart {
	readonly found: readonly StoredTask[];
	/** Absent after the last part. */
	readonly above?: Order | undefined;
}

/** Lists tasks in order, after `above`. It may return fewer tasks than exist, and then returns where to continue. */
export function* listPart(
	session: Session,
	{ state, kind, limit }: ListQuery,
	above: Order | undefined,
): Work<ListedPart> {
	const isAside = state !== undefined && state !== "waiting" && !session.isSparse;
	const prefix: Key = isAside ? [state] : [];
	const isFiltered = kind !== undefined || (state !== undefined && !isAside);
	const most = Math.min(isFiltered ? Math.max(page, limit) : limit, 1000);
	const [found] = yield* ask(range(tasks, isAside ? "aside" : undefined, {
		prefix,
		above: above === undefined ? undefined : [...prefix, above],
		limit: most,
	}));
	const rows = found.map(toListed);
	const wanted = rows.filter((row) => isWanted(row, session.now, state, kind)).slice(0, limit);
	const last = wanted.length === limit ? wanted.at(-1) : found.length === most ? rows.at(-1) : undefined;
	const contents = yield* readContents(wanted, false);
	return { found: wanted.map((row, index) => reveal(session, row, contents[index]!)), above: last?.order };
}

/** A damaged task is identified by its place and not by its id. */
function toListed(found: TaskRow | Stray): TaskRow {
	const task = toTask(found);
	return found instanceof Stray && found.isDamaged ? { ...task, id: undefined, home: task.order } : task;
}

function isWanted(row: TaskRow, now: number, state: TaskState | undefined, kind: string | undefined): boolean {
	return (state ?? stateOf(row)) === stateOf(row) && (kind ?? row.kind) === row.kind && !isExpired(row, now);
}

function reveal({ settings: { orders } }: Session, row: TaskRow, { payload }: Contents): StoredTask {
	const key = orders.toKey(row.order);
	if (isData(payload)) return show(row, key, copy(payload));
	return show({ ...row, state: "dead", error: unreadable }, key, "");
}

/** Counts tasks with the index `aside`. */
export function* countAside({ now }: Session): Work<Counts> {
	const [all, expired, ...others] = yield* ask(
		count(tasks, undefined, []),
		count(tasks, "kept", [], [now]),
		...["running", "held", "dead", "done"].map((state) => count(tasks, "aside", [state])),
	);
	const [running = 0, held = 0, dead = 0, done = 0] = others;
	return { waiting: all - running - held - dead - done, running, held, dead, done: done - expired };
}

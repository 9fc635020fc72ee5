/**
 * Reads tasks without changing them.
 *
 * @module
 */

import { type Counts, isOfKind, type ListQuery, type Message, type StoredTask } from "../basket/store.ts";
import { copy, ended, isData, isExpired, show, toMessages, toTask } from "./row.ts";
import type { Session } from "./session.ts";
import { type Contents, readContents } from "./settling.ts";
import { type Key, Stray, type Work } from "./space.ts";
import { type Order, stateOf, type TaskRow, tasks } from "./tables.ts";
import { ask, count, get, range } from "./work.ts";

/** Reads one task and its inbox. */
export function* look(
	session: Session,
	id: string,
): Work<(StoredTask & { readonly inbox: readonly Message[] }) | undefined> {
	const found = (yield* session.find([id])).get(id);
	if (found === undefined) return undefined;
	const [contents] = yield* readContents([found.row], Infinity);
	return { ...reveal(session, found.row, contents!), inbox: toMessages(contents!.inbox) };
}

/** The number of rows per read if some of them may not match. */
const page = 200;

/** The maximum number of rows per read. */
const longestRead = 1000;

/** One part of a list, and where the next part begins. */
export interface ListedPart {
	readonly found: readonly StoredTask[];
	/** Absent after the last part. */
	readonly behind?: Order | undefined;
}

/** Lists tasks in order, behind an order. It may return fewer tasks than exist, and then returns where to continue. */
export function* listPart(
	session: Session,
	query: ListQuery,
	behind: Order | undefined,
	isMore: boolean,
): Work<ListedPart> {
	const { lane, prefix, parent, limit, isReverse = false } = query;
	const family = parent === undefined ? undefined : (yield* session.find([parent])).get(parent)?.row.home;
	if (parent !== undefined && family === undefined) return { found: [] };
	const isBefore = (one: Order, other: Order) => isReverse ? one > other : one < other;
	const select: Select = (rows, end) =>
		rows.filter((row) => isWanted(row, session.now, query))
			.filter(({ order }) =>
				(behind === undefined || isBefore(behind, order)) && (end === undefined || !isBefore(end, order))
			)
			.sort((a, b) => isBefore(a.order, b.order) ? -1 : 1)
			.slice(0, limit);
	const { rows, end } = prefix === undefined || lane !== undefined || family !== undefined
		? yield* readInOrder(session, query, behind, select, family, isMore)
		: { rows: yield* readByPrefix(session, prefix, select), end: undefined };
	const contents = yield* readContents(rows, 0);
	const found = rows.map((row, index) => reveal(session, row, contents[index]!));
	return { found, behind: rows.length === limit ? rows.at(-1)!.order : end };
}

/** Selects the first matching rows, up to an order. */
type Select = (rows: readonly TaskRow[], end?: Order) => readonly TaskRow[];

/** Reads the next tasks in order: in one index, or in the two that share the tasks of a lane. */
function* readInOrder(
	session: Session,
	{ state, kind, lane, prefix, limit, isReverse = false }: ListQuery,
	behind: Order | undefined,
	select: Select,
	family: Order | undefined,
	isMore: boolean,
): Work<{ rows: readonly TaskRow[]; end: Order | undefined }> {
	const isWhole = lane === undefined && family === undefined;
	const isAside = isWhole && state !== undefined && state !== "waiting" && !session.isSparse;
	const indexes = isWhole ? [isAside ? "aside" : undefined] : family === undefined ? ["lane", "past"] : ["child"];
	const lead: Key = isWhole ? isAside ? [state] : [] : [family ?? lane!];
	// If there are children among the rows, the next part takes more of them.
	const isFiltered = kind !== undefined || prefix !== undefined || isMore || (state !== undefined && !isAside);
	// A bound from above includes its task.
	const most = Math.min((isFiltered ? Math.max(page, limit) : limit) + Number(isReverse), longestRead);
	const bound = behind === undefined ? undefined : [...lead, behind];
	const bounds = { prefix: lead, [isReverse ? "upTo" : "above"]: bound, limit: most, reverse: isReverse };
	const found = yield* ask(...indexes.map((index) => range(tasks, index, bounds)));
	// If an index has more tasks, those of the other one behind them must wait.
	const ends = found.flatMap((rows) => rows.length === most ? orderOf(rows.at(-1)!) : []);
	const end = ends.reduce<Order | undefined>((a, b) => a === undefined || a > b !== isReverse ? b : a, undefined);
	const rows = found.flat().filter((one) => isWhole || !isLost(session, one));
	return { rows: select(rows.map(toListed), end), end };
}

/** Reads all tasks whose ids begin with a text, because the order of ids is another one. */
function* readByPrefix(session: Session, text: string, select: Select): Work<readonly TaskRow[]> {
	// Databases disagree about what comes behind these characters.
	const start = text.replace(/[\ud7ff-\uffff]+$/, "");
	const last = start.length - 1;
	const upTo = start === "" ? undefined : [start.slice(0, last) + String.fromCharCode(start.charCodeAt(last) + 1)];
	let above: Key | undefined = start === "" ? undefined : [start];
	let rows: readonly TaskRow[] = [];
	const add = (found: readonly (TaskRow | Stray | undefined)[]) => {
		rows = select([...rows, ...found.flatMap((one) => one === undefined || isLost(session, one) ? [] : toListed(one))]);
	};
	// A range does not include its lower bound.
	const [exact] = yield* ask(get(tasks, [[start]], "id"));
	add(exact);
	for (let count = longestRead; count === longestRead;) {
		const [found]: readonly (readonly (TaskRow | Stray)[])[] = yield* ask(
			range(tasks, "id", { prefix: [], above, upTo, limit: longestRead }),
		);
		add(found!);
		const newest = found!.at(-1);
		above = newest instanceof Stray ? newest.entry!.key : newest && tasks.indexes["id"]!.keyOf(newest);
		count = found!.length;
	}
	return rows;
}

/** Whether only an index key is left, or the task has another place. */
function isLost(session: Session, found: TaskRow | Stray): boolean {
	return found instanceof Stray && (found.value === undefined || session.isElsewhere(found));
}

function orderOf(found: TaskRow | Stray): Order {
	return found instanceof Stray ? (found.entry ?? found).key.at(-1)! : found.order;
}

/** A damaged task is identified by its place and not by its id. */
function toListed(found: TaskRow | Stray): TaskRow {
	const task = toTask(found);
	return found instanceof Stray && found.isDamaged ? { ...task, id: undefined, home: task.order } : task;
}

function isWanted(row: TaskRow, now: number, { state, kind, lane, prefix, parent }: ListQuery): boolean {
	return (state ?? stateOf(row)) === stateOf(row) && (kind === undefined || isOfKind(row.kind, kind)) &&
		(lane ?? row.lane) === row.lane &&
		(prefix === undefined || row.id?.startsWith(prefix) === true) &&
		(row.family === undefined) === (parent === undefined) &&
		!isExpired(row, now);
}

function reveal({ settings: { orders } }: Session, row: TaskRow, { payload, result }: Contents): StoredTask {
	const key = orders.toKey(row.order);
	const isReadable = isData(payload) && (result === undefined || isData(result));
	return isReadable ? show(row, key, copy(payload), result && copy(result)) : show({ ...row, ...ended }, key, "");
}

/** Counts tasks with the index `aside`. */
export function* countAside({ now }: Session): Work<Counts> {
	const [all, expired, ...others] = yield* ask(
		count(tasks, undefined, []),
		range(tasks, "kept", { prefix: [], upTo: [now], limit: Infinity }),
		...["running", "held", "dead", "done"].map((state) => count(tasks, "aside", [state])),
	);
	const [running = 0, held = 0, dead = 0, done = 0] = others;
	const counts = { waiting: all - running - held - dead - done, running, held, dead, done };
	for (const row of expired.map(toTask)) counts[stateOf(row)]--;
	return counts;
}

/**
 * `upkeep ls` and `upkeep counts`.
 *
 * @module
 */

import type { ListQuery, Store, StoredTask } from "../basket/store.ts";
import { describeTask } from "./job.ts";
import { pauseLines } from "./pause.ts";
import { type Column, type Squeeze, stateStyles, toTable } from "./table.ts";
import { JobReader } from "./job-reader.ts";
import { longTable } from "./long.ts";
import { filter, matcherOf, stateOf } from "./select.ts";
import { describeDue, describeKind, summarize } from "./task.ts";
import { type ExitCode, quote, type Request, type Terminal } from "./terminal.ts";
import { clean, count, distance, toJson } from "./text.ts";

/** The number of tasks in one request to the store, and in one change. */
export const pageSize = 250;
/** The number of tasks in one request for those that the store cannot select. */
const searchSize = 1_000;

const columns: readonly Column[] = [
	{ title: "ID" },
	{ title: "KIND" },
	{ title: "STATE", styles: stateStyles },
	{ title: "FAILED", isRight: true },
	{ title: "NEXT" },
	{ title: "ADDED" },
	{ title: "LANE" },
	{ title: "ERROR OR PAYLOAD" },
];

/** It is shown if a task has one. */
const limitColumn: Column = { title: "LIMIT" };

/** Ids of the usual length are cut last, because an id that is cut cannot be used. */
const squeeze: Squeeze = [
	...[[7, 24], [6, 12], [1, 16], [5, 0], [6, 0], [7, 12], [1, 10], [0, 36]] as const,
	...[[4, 0], [3, 0], [7, 0], [1, 0], [0, 8]] as const,
];

/** The part of a request that selects tasks. */
export type Pages = Pick<
	Request,
	"basket" | "state" | "outcome" | "kind" | "lane" | "prefix" | "parent" | "text" | "isNewest" | "after"
>;

/** Tasks in the order in which they were added, or the other way round, a page at a time. */
export async function* pages(
	store: Store,
	request: Pages,
	limit = Infinity,
): AsyncGenerator<readonly StoredTask[], void, undefined> {
	const { basket, kind, lane, prefix, parent, isNewest: isReverse, after } = request;
	const matches = matcherOf(request);
	let query: ListQuery = { state: stateOf(request), kind, lane, prefix, parent, isReverse, after, limit: 0 };
	for (let left = limit; left > 0;) {
		query = { ...query, limit: matches === undefined ? Math.min(left, pageSize) : searchSize };
		const tasks = await store.list(basket, query);
		const found = matches === undefined ? tasks : (await filter(tasks, matches)).slice(0, left);
		if (found.length > 0) yield found;
		if (tasks.length < query.limit) return;
		left -= found.length;
		query = { ...query, after: tasks.at(-1)!.key };
	}
}

/** Lists tasks. */
export async function list(store: Store, request: Request, terminal: Terminal): Promise<ExitCode> {
	const { limit } = request;
	const jobs = new JobReader(store, request.basket);
	let shown = 0;
	let last: string | undefined;
	for await (const tasks of pages(store, request, limit)) {
		if (terminal.closed.aborted) return 0;
		await terminal.print(await toText(tasks, jobs, request, terminal, shown > 0));
		shown += tasks.length;
		last = tasks.at(-1)!.key;
	}
	if (shown === 0) return nothingFound(request, terminal);
	if (terminal.isTable && shown === limit) terminal.note(`${count(shown, "task")} shown; --after ${last} shows more`);
	return 0;
}

/** A pipe needs no note: it has got nothing, and the exit code says so. */
function nothingFound(request: Request, terminal: Terminal): 3 {
	const { basket, state, outcome, kind, lane, prefix, parent, text, after } = request;
	const isFiltered = [state, outcome, kind, lane, prefix, parent, text, after].some((value) => value !== undefined);
	if (terminal.isTable) terminal.note(`No tasks${isFiltered ? " like that" : ""} in the basket ${quote(basket)}`);
	return 3;
}

async function toText(
	tasks: readonly StoredTask[],
	jobs: JobReader,
	{ isLong }: Request,
	terminal: Terminal,
	isMore: boolean,
): Promise<string> {
	if (!terminal.isTable) {
		const records = tasks.map(async (task) => toJson(describeTask(task, await jobs.whole(task))));
		return (await Promise.all(records)).join("\n");
	}
	const lines = isLong ? await longTable(tasks, jobs, terminal) : await taskTable(tasks, jobs, terminal);
	return lines.slice(isMore ? 1 : 0).join("\n");
}

/** Tasks as a table. */
export async function taskTable(
	tasks: readonly StoredTask[],
	jobs: JobReader,
	{ columns: width, paint, clock }: Pick<Terminal, "columns" | "paint" | "clock">,
): Promise<string[]> {
	const now = clock.now();
	const rows = await Promise.all(tasks.map(async (task) => {
		const job = await jobs.position(task);
		return [
			clean(task.id),
			describeKind(task.kind),
			task.state,
			String(job?.attempts ?? task.attempts),
			describeDue(task, now),
			distance(task.addedAt, now),
			clean(task.lane ?? ""),
			summarize(task, job),
			clean(task.limitKey ?? ""),
		];
	}));
	const limits = tasks.some(({ limitKey = "" }) => limitKey !== "") ? [limitColumn] : [];
	// An empty column takes no room.
	const empty = rows.every((row) => row[6] === "") ? [[6, 0] as const] : [];
	const cuts = [...empty, ...limits.map(() => [columns.length, 12] as const), ...squeeze];
	return toTable([...columns, ...limits], rows, cuts, width, paint);
}

/** Shows how many tasks are in each state, and what is paused. */
export async function counts(store: Store, request: Request, terminal: Terminal): Promise<ExitCode> {
	const found = await store.counts(request.basket);
	const pauses = await store.pauses(request.basket);
	if (!terminal.isTable) await terminal.print(toJson({ ...found, pauses }));
	else await terminal.print([...countTable(found, terminal), ...pauseLines(pauses)].join("\n"));
	// A basket consists of its tasks, so an empty basket looks like a misspelled name.
	return Object.values(found).every((number) => number === 0) ? 3 : 0;
}

function countTable(found: object, { paint }: Terminal): string[] {
	const rows = Object.entries(found).map(([state, number]) => [state, Number(number).toLocaleString("en-US")]);
	const titles = [{ title: "STATE", styles: stateStyles }, { title: "TASKS", isRight: true }];
	return toTable(titles, rows, [], Infinity, paint);
}

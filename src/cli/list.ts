/**
 * `upkeep ls` and `upkeep counts`.
 *
 * @module
 */

import type { ListQuery, Store, StoredTask, TaskState } from "../basket/store.ts";
import { describeTask } from "./job.ts";
import { pauseLines } from "./pause.ts";
import { type Column, type Squeeze, toTable } from "./table.ts";
import { JobReader } from "./job-reader.ts";
import { describeDue, describeKind, summarize } from "./task.ts";
import { quote, type Request, type Terminal } from "./terminal.ts";
import { clean, count, distance, type Style, toJson } from "./text.ts";

/** The number of tasks in one request to the store, and in one change. */
export const pageSize = 250;

/** The colors of the states. */
export const stateStyles: Readonly<Record<TaskState, Style>> = {
	waiting: "yellow",
	running: "cyan",
	held: "dim",
	dead: "red",
	done: "green",
};

const columns: readonly Column[] = [
	{ title: "ID" },
	{ title: "KIND" },
	{ title: "STATE", styles: stateStyles },
	{ title: "TRIES", isRight: true },
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
export type Pages = Pick<Request, "basket" | "state" | "kind" | "lane" | "prefix" | "parent" | "isNewest" | "after">;

/** Tasks in the order in which they were added, or the other way round, a page at a time. */
export async function* pages(
	store: Store,
	{ basket, state, kind, lane, prefix, parent, isNewest: isReverse, after }: Pages,
	limit = Infinity,
): AsyncGenerator<readonly StoredTask[], void, undefined> {
	let query: ListQuery = { state, kind, lane, prefix, parent, isReverse, after, limit: 0 };
	for (let left = limit; left > 0; left -= pageSize) {
		query = { ...query, limit: Math.min(left, pageSize) };
		const tasks = await store.list(basket, query);
		if (tasks.length > 0) yield tasks;
		if (tasks.length < query.limit) return;
		query = { ...query, after: tasks.at(-1)!.key };
	}
}

/** Lists tasks. */
export async function list(store: Store, request: Request, terminal: Terminal): Promise<0> {
	const { limit } = request;
	const jobs = new JobReader(store, request.basket);
	let shown = 0;
	let last: string | undefined;
	for await (const tasks of pages(store, request, limit)) {
		if (terminal.closed.aborted) return 0;
		await terminal.print(await toText(tasks, jobs, terminal, shown > 0));
		shown += tasks.length;
		last = tasks.at(-1)!.key;
	}
	if (terminal.isTable && shown === 0) nothingFound(request, terminal);
	if (terminal.isTable && shown === limit) terminal.note(`${count(shown, "task")} shown; --after ${last} shows more`);
	return 0;
}

function nothingFound({ basket, state, kind, lane, prefix, parent, after }: Request, terminal: Terminal): void {
	const isFiltered = [state, kind, lane, prefix, parent, after].some((value) => value !== undefined);
	terminal.note(
		`No tasks${isFiltered ? " like that" : ""} in the basket ${quote(basket)}; --basket NAME selects another`,
	);
}

async function toText(
	tasks: readonly StoredTask[],
	jobs: JobReader,
	terminal: Terminal,
	isMore: boolean,
): Promise<string> {
	if (!terminal.isTable) {
		const records = tasks.map(async (task) => toJson(describeTask(task, await jobs.whole(task))));
		return (await Promise.all(records)).join("\n");
	}
	const lines = await taskTable(tasks, jobs, terminal);
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
export async function counts(store: Store, request: Request, terminal: Terminal): Promise<0> {
	const found = await store.counts(request.basket);
	const pauses = await store.pauses(request.basket);
	// A basket consists of its tasks, so an empty basket looks like a misspelled name.
	if (terminal.isTable && Object.values(found).every((number) => number === 0)) nothingFound(request, terminal);
	if (!terminal.isTable) await terminal.print(toJson({ ...found, pauses }));
	else await terminal.print([...countTable(found, terminal), ...pauseLines(pauses)].join("\n"));
	return 0;
}

function countTable(found: object, { paint }: Terminal): string[] {
	const rows = Object.entries(found).map(([state, number]) => [state, Number(number).toLocaleString("en-US")]);
	const titles = [{ title: "STATE", styles: stateStyles }, { title: "TASKS", isRight: true }];
	return toTable(titles, rows, [], Infinity, paint);
}

/**
 * `upkeep baskets`: the baskets of a database.
 *
 * @module
 */

import { baseOf, type Counts, type Store, taskStates } from "../basket/store.ts";
import { headOf } from "./job-reader.ts";
import { countsIn, oldestIn } from "./survey.ts";
import { type Column, type Squeeze, toTable } from "./table.ts";
import {
	type Catalog,
	databaseName,
	type ExitCode,
	quote,
	type Request,
	type Survey,
	type Terminal,
} from "./terminal.ts";
import { clean, distance, toJson } from "./text.ts";

/** A basket, as it is shown. */
interface BasketRecord {
	readonly basket: string;
	readonly counts: Counts;
	/** Since when the task has been due that has been so for the longest time; absent if none is due. */
	readonly oldestDueAt?: number | undefined;
	/** The kinds of its tasks, sorted. */
	readonly kinds: readonly { readonly kind: string; readonly isJob: boolean }[];
	/** Whether some of them are jobs. */
	readonly hasJobs: boolean;
}

/** The maximum number of kinds that are looked at, to find out whether they are jobs. */
const mostKinds = 100;
/** The maximum number of names in a note. */
const mostNames = 10;
/** The maximum number of baskets in which an id is looked for. */
const mostSearched = 100;

const columns: readonly Column[] = [
	{ title: "BASKET" },
	...taskStates.map((state): Column => ({ title: state.toUpperCase(), isRight: true })),
	{ title: "OLDEST DUE" },
	{ title: "JOBS" },
	{ title: "KINDS" },
];
const squeeze: Squeeze = [[8, 12], [0, 24], [8, 0], [6, 0], [5, 0], [3, 0], [0, 8]];

/** Lists the baskets that have tasks. */
export async function baskets(
	store: Store,
	request: Request,
	terminal: Terminal,
	catalog: Catalog,
): Promise<ExitCode> {
	const survey = await catalog.survey();
	const records = await Promise.all(namesIn(survey).map((name) => toBasket(store, name, survey)));
	if (!terminal.isTable) {
		if (records.length > 0) await terminal.print(records.map((record) => toJson(record)).join("\n"));
	} else if (records.length > 0) {
		const rows = records.map((record) => toRow(record, survey.at));
		await terminal.print(toTable(columns, rows, squeeze, terminal.columns, terminal.paint).join("\n"));
	}
	if (records.length > 0) return 0;
	terminal.note(`There are no tasks in ${databaseName(request.db)}`);
	return 3;
}

function namesIn({ tasks }: Survey): string[] {
	return [...new Set(tasks.map(({ basket }) => basket))].sort();
}

async function toBasket(store: Store, basket: string, { at, tasks }: Survey): Promise<BasketRecord> {
	const own = tasks.filter((each) => each.basket === basket);
	const kinds = [];
	for (const kind of [...new Set(own.map(({ kind }) => baseOf(kind)))].sort().slice(0, mostKinds)) {
		kinds.push({ kind, isJob: await isJob(store, basket, kind) });
	}
	return {
		basket,
		counts: countsIn(own),
		oldestDueAt: oldestIn(own, at),
		kinds,
		hasJobs: kinds.some(({ isJob }) => isJob),
	};
}

async function isJob(store: Store, basket: string, kind: string): Promise<boolean> {
	const [task] = await store.list(basket, { kind, limit: 1 });
	return task !== undefined && await headOf(task.payload) !== undefined;
}

function toRow({ basket, counts, oldestDueAt, kinds, hasJobs }: BasketRecord, at: number): string[] {
	return [
		clean(basket),
		...taskStates.map((state) => counts[state].toLocaleString("en-US")),
		oldestDueAt === undefined ? "" : distance(oldestDueAt, at),
		hasJobs ? "yes" : "",
		kinds.map(({ kind }) => clean(kind)).join(", "),
	];
}

/** Says where else to look for what was not found. */
export async function noteBaskets(
	store: Store,
	catalog: Catalog,
	request: Pick<Request, "basket" | "db" | "command" | "ids">,
	terminal: Terminal,
): Promise<void> {
	if (request.command === "baskets") return;
	for (const text of await elsewhere(store, catalog, request)) terminal.note(text);
}

/**
 * Which baskets there are, if that of the request has no tasks, because its name may be misspelled; otherwise, which others
 * have a task with this id.
 */
export async function elsewhere(
	store: Store,
	catalog: Catalog,
	{ basket, db, ids: [id] }: Pick<Request, "basket" | "db" | "ids">,
): Promise<readonly string[]> {
	const names = namesIn(await catalog.survey());
	if (!names.includes(basket)) return [othersIn(names, basket, db)];
	if (id === undefined || await store.get(basket, id) !== undefined) return [];
	const texts: string[] = [];
	for (const name of names.slice(0, mostSearched)) {
		if (await store.get(name, id) === undefined) continue;
		texts.push(`There is a task ${quote(id)} in the basket ${quote(name)}; --basket NAME selects it`);
	}
	return texts;
}

function othersIn(names: readonly string[], basket: string, db: string): string {
	if (names.length === 0) {
		return `There are no tasks in ${databaseName(db)}. Done tasks are removed at once, unless their kind has "retain"`;
	}
	const shown = names.slice(0, mostNames).map(quote).join(", ");
	const rest = names.length > mostNames ? ` and ${names.length - mostNames} more (upkeep baskets)` : "";
	const others = `there are ${shown}${rest}`;
	return `The basket ${quote(basket)} has no tasks; in ${databaseName(db)}, ${others}; --basket NAME selects one`;
}

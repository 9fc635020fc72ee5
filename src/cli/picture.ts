/**
 * The picture that `upkeep watch` draws.
 *
 * @module
 */

import { type Counts, type Pauses, taskStates } from "../basket/store.ts";
import type { Peer } from "./around.ts";
import type { TaskFailed } from "./failures.ts";
import { pauseLines } from "./pause.ts";
import type { FailingKind, Rates } from "./rates.ts";
import { type Column, type Squeeze, stateStyles, toTable } from "./table.ts";
import { databaseName, type Request, type Terminal } from "./terminal.ts";
import { clean, cut, distance, duration, instant, type Paint, widthOf } from "./text.ts";

/** What is shown. Absent until the first look has ended. */
export interface Shown {
	/** The time of the last look, in milliseconds since 1970 on the store's clock. */
	readonly at?: number | undefined;
	readonly counts?: Counts | undefined;
	/** What is paused in the store. */
	readonly pauses?: Pauses | undefined;
	/** The earliest due time that has passed. */
	readonly oldestDueAt?: number | undefined;
	/** The tasks that have been running for the longest time. */
	readonly running?: readonly Peer[] | undefined;
	readonly rates?: Rates | undefined;
	readonly failing?: readonly FailingKind[] | undefined;
	/** The failures, the latest first. */
	readonly failures: readonly TaskFailed[];
	/** Why the store cannot be read now. */
	readonly problem?: string | undefined;
	/** Which baskets there are, if this one had no tasks at first and has none now. */
	readonly hint?: string | undefined;
	/** When the current look began, on the monotonic clock; absent between two looks. */
	readonly askedAt?: number | undefined;
}

interface Size {
	readonly columns: number;
	readonly rows: number;
}

/** The time after which a look that has no answer is shown, in milliseconds. */
const patience = 1_500;
/** The maximum number of running tasks and of failing kinds that are shown. */
const mostRunning = 5;
const mostKinds = 3;
/** The height from which the running tasks are shown. */
const roomy = 12;
const day = 86_400_000;

/** Returns lines that fit. */
export function picture(
	shown: Shown,
	request: Pick<Request, "basket" | "db">,
	{ paint, clock }: Pick<Terminal, "paint" | "clock">,
	{ columns, rows }: Size,
): string[] {
	const { counts, pauses, failures, running = [] } = shown;
	const warnings = [...pauseLines(pauses ?? { all: false, kinds: [] })].map((line) => [line, "yellow"] as const);
	const trouble = troubleOf(shown, request, clock.monotonic());
	const head = [
		titleLine(request.basket, clock.now(), columns, paint),
		...countLines(counts, columns, paint),
		...factLines(shown).map((line) => cut(clean(line), columns)),
		...warnings.map(([line, style]) => paint(style, cut(clean(line), columns))),
		...(trouble === undefined ? [] : [paint("red", cut(clean(trouble), columns))]),
	];
	const shownRunning = running.slice(0, rows < roomy ? 0 : mostRunning);
	const runs = runningTable(shownRunning, shown.at ?? clock.now(), columns, paint);
	const top = shownRunning.length === 0 ? head : [...head, "", ...runs];
	const room = Math.max(0, rows - top.length - 2);
	const none = counts === undefined ? "" : "No failures";
	if (failures.length === 0) return [...top, "", paint("dim", cut(none, columns))].slice(0, rows);
	return [...top, "", ...failureTable(failures.slice(0, room), clock.now(), columns, paint)].slice(0, rows);
}

function titleLine(basket: string, now: number, columns: number, paint: Paint): string {
	const time = columns < 20 ? "" : instant(now).slice(11);
	const title = cut(clean(basket), time === "" ? columns : columns - time.length - 2);
	const gap = time === "" ? "" : " ".repeat(columns - widthOf(title) - time.length);
	return `${paint("bold", title)}${gap}${paint("dim", time)}`;
}

function troubleOf({ problem, askedAt }: Shown, { db }: Pick<Request, "db">, now: number): string | undefined {
	if (problem !== undefined) return problem;
	if (askedAt === undefined || now - askedAt < patience) return undefined;
	return `Waiting ${duration(now - askedAt)} for ${databaseName(db)} to answer`;
}

/** Rates and waits. */
function factLines({ at = 0, hint, oldestDueAt, rates, failing = [] }: Shown): string[] {
	const lines = hint === undefined ? [] : [hint];
	if (oldestDueAt !== undefined) lines.push(`oldest due task: ${distance(oldestDueAt, at)}`);
	if (rates !== undefined) lines.push(rateLine(rates));
	if (failing.length > 0) {
		const kinds = failing.slice(0, mostKinds).map(({ kind, dead, failed }) => {
			const numbers = [
				...dead > 0 ? [`${dead.toLocaleString("en-US")} dead`] : [],
				...failed > 0 ? [`${failed.toLocaleString("en-US")} seen to fail`] : [],
			];
			return `${clean(kind)} ${numbers.join(", ")}`;
		});
		lines.push(`most failures: ${kinds.join("; ")}`);
	}
	return lines;
}

function rateLine({ over, changes, begun, failed }: Rates): string {
	const sign = (number: number) => `${number > 0 ? "+" : ""}${number.toLocaleString("en-US")}`;
	const changed = taskStates.filter((state) => changes[state] !== 0).map((state) => `${state} ${sign(changes[state])}`);
	const seen = `at least ${begun.toLocaleString("en-US")} attempts began, ${failed.toLocaleString("en-US")} failed`;
	return `per minute (last ${duration(over)}): ${[...changed, seen].join(", ")}`;
}

const runningColumns: readonly Column[] = ["RUNNING", "KIND", "SINCE", "WORKER"].map((title) => ({ title }));
const runningSqueeze: Squeeze = [[3, 12], [1, 10], [0, 36], [3, 0], [1, 0], [0, 8], [2, 0]];

function runningTable(running: readonly Peer[], now: number, columns: number, paint: Paint): string[] {
	const rows = running.map(({ id, kind, worker, at }) => [
		clean(id),
		clean(kind),
		duration(Math.max(0, now - at)),
		clean(worker ?? ""),
	]);
	return toTable(runningColumns, rows, runningSqueeze, columns, paint);
}

const titles: readonly Column[] = [
	{ title: "FAILED" },
	{ title: "ID" },
	{ title: "KIND" },
	{ title: "STATE", styles: stateStyles },
	{ title: "FAILED", isRight: true },
	{ title: "ERROR" },
];
const squeeze: Squeeze = [
	...[[5, 24], [2, 10], [4, 0], [5, 12], [1, 36]] as const,
	...[[2, 0], [3, 0], [1, 12], [0, 0], [5, 0], [1, 8]] as const,
];

function failureTable(failures: readonly TaskFailed[], now: number, columns: number, paint: Paint): string[] {
	const rows = failures.map(({ at, id, kind, state, attempts, error }) => [
		at === undefined ? "before" : now - at < day ? instant(at).slice(11) : instant(at).slice(0, 16),
		clean(id),
		clean(kind),
		state,
		String(attempts),
		error,
	]);
	return toTable(titles, rows, squeeze, columns, paint);
}

/** The counts on as few lines as possible. */
function countLines(counts: Counts | undefined, columns: number, paint: Paint): string[] {
	const lines: { width: number; texts: string[] }[] = [];
	for (const [state, number] of Object.entries(counts ?? {})) {
		const text = cut(`${state} ${number.toLocaleString("en-US")}`, columns);
		const last = lines.at(-1);
		const line = last !== undefined && last.width + 3 + text.length <= columns ? last : { width: -3, texts: [] };
		if (line !== last) lines.push(line);
		line.width += 3 + text.length;
		line.texts.push(paint(number === 0 ? "dim" : stateStyles[state as keyof Counts], text));
	}
	return lines.map(({ texts }) => texts.join("   "));
}

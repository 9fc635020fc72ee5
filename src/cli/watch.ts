/**
 * `upkeep watch`: shows the counts and the failures live.
 *
 * @module
 */

import type { Counts, Pauses, Store } from "../basket/store.ts";
import { sleep } from "../platform/clock.ts";
import { StoreError } from "../platform/store-error.ts";
import { Failures, type TaskFailed } from "./failures.ts";
import { pauseLines } from "./pause.ts";
import { type Column, type Squeeze, stateStyles, toTable } from "./table.ts";
import type { Request, Terminal } from "./terminal.ts";
import { clean, cut, instant, type Paint, toJson, widthOf } from "./text.ts";

/** The part of the time that looking may take, because it loads the store. */
const share = 0.1;
/** The number of failures to remember: no terminal shows more. */
const remembered = 200;

interface Shown {
	counts: Counts | undefined;
	/** What is paused in the store. */
	pauses: Pauses | undefined;
	/** The failures, the latest first. */
	failures: TaskFailed[];
	/** Why the store cannot be read now. */
	problem: string | undefined;
}

/**
 * Shows changes until the terminal is closed. It polls, because a store tells its watchers which tasks may be due, but not
 * which have failed.
 */
export async function watch(store: Store, request: Request, terminal: Terminal): Promise<0> {
	const { clock, closed } = terminal;
	const failures = new Failures(store, request);
	const shown: Shown = { counts: undefined, pauses: undefined, failures: [], problem: undefined };
	while (!closed.aborted) {
		const since = clock.monotonic();
		await look(store, request, failures, shown, terminal);
		const pause = Math.max(request.interval, (clock.monotonic() - since) / share);
		await sleep(pause, { signal: closed, clock }).catch(() => {});
	}
	return 0;
}

async function look(
	store: Store,
	request: Request,
	failures: Failures,
	shown: Shown,
	terminal: Terminal,
): Promise<void> {
	const { basket } = request;
	try {
		const counts = await store.counts(basket);
		const pauses = await store.pauses(basket);
		const news = await failures.next(terminal.clock.now());
		const isSame = toJson({ counts, pauses }) === toJson({ counts: shown.counts, pauses: shown.pauses });
		const isNews = !isSame || news.length > 0 || shown.problem !== undefined;
		Object.assign(shown, { counts, pauses });
		shown.failures = [...news.toReversed(), ...shown.failures].slice(0, remembered);
		shown.problem = undefined;
		if (!terminal.isTable && isNews) {
			await terminal.print(toJson({ at: terminal.clock.now(), counts, pauses, failures: news }));
		}
	} catch (error) {
		// A database that restarts comes back.
		if (!(error instanceof StoreError && error.isTransient)) throw error;
		if (!terminal.isTable && shown.problem === undefined) terminal.note(error.message);
		shown.problem = error.message;
	}
	if (terminal.isTable) terminal.draw((columns, rows) => render(shown, request, terminal, columns, rows));
}

function render(
	{ counts, pauses, failures, problem }: Shown,
	{ basket }: Request,
	terminal: Terminal,
	columns: number,
	rows: number,
): string[] {
	const { paint, clock } = terminal;
	const time = columns < 20 ? "" : instant(clock.now()).slice(11);
	const title = cut(clean(basket), time === "" ? columns : columns - time.length - 2);
	const gap = time === "" ? "" : " ".repeat(columns - widthOf(title) - time.length);
	const head = [`${paint("bold", title)}${gap}${paint("dim", time)}`, ...countLines(counts, columns, paint)];
	for (const line of pauseLines(pauses ?? { all: false, kinds: [] })) {
		head.push(paint("yellow", cut(clean(line), columns)));
	}
	if (problem !== undefined) head.push(paint("red", cut(clean(problem), columns)));
	const room = Math.max(0, rows - head.length - 2);
	if (failures.length === 0) return [...head, "", paint("dim", cut("No failures", columns))].slice(0, rows);
	return [...head, "", ...failureTable(failures.slice(0, room), columns, paint)].slice(0, rows);
}

const titles: readonly Column[] = [
	{ title: "FAILED" },
	{ title: "ID" },
	{ title: "KIND" },
	{ title: "STATE", styles: stateStyles },
	{ title: "TRIES", isRight: true },
	{ title: "ERROR" },
];
const squeeze: Squeeze = [
	...[[5, 24], [2, 10], [4, 0], [5, 12], [1, 36]] as const,
	...[[2, 0], [3, 0], [1, 12], [0, 0], [5, 0], [1, 8]] as const,
];

function failureTable(failures: readonly TaskFailed[], columns: number, paint: Paint): string[] {
	const rows = failures.map(({ at, id, kind, state, attempts, error }) => [
		at === undefined ? "before" : instant(at).slice(11),
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

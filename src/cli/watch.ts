/**
 * `upkeep watch`: shows live what happens in a basket.
 *
 * @module
 */

import type { Store } from "../basket/store.ts";
import { sleep } from "../platform/clock.ts";
import { StoreError } from "../platform/store-error.ts";
import { longestRunning } from "./around.ts";
import { elsewhere } from "./baskets.ts";
import { Failures } from "./failures.ts";
import { picture, type Shown } from "./picture.ts";
import { RateMeter } from "./rates.ts";
import { countsIn, deadKinds, oldestIn } from "./survey.ts";
import type { Catalog, Request, Terminal } from "./terminal.ts";
import { toJson } from "./text.ts";

/** The part of the time that looking may take, because it loads the store. */
const share = 0.1;
/** The number of failures to remember: no terminal shows more. */
const remembered = 200;
/** The number of running tasks that are told. */
const mostRunning = 20;

/** What the looks share. */
interface Watching {
	readonly store: Store;
	readonly catalog: Catalog;
	readonly request: Request;
	readonly terminal: Terminal;
	readonly failures: Failures;
	readonly meter: RateMeter;
	shown: Shown;
}

/**
 * Shows changes until the terminal is closed. It polls, because a store tells its watchers which tasks may be due, but not
 * which have failed.
 */
export async function watch(store: Store, request: Request, terminal: Terminal, catalog: Catalog): Promise<0> {
	const { clock, closed } = terminal;
	const [failures, meter] = [new Failures(store, request), new RateMeter()];
	const watching: Watching = { store, catalog, request, terminal, failures, meter, shown: { failures: [] } };
	while (!closed.aborted) {
		const since = clock.monotonic();
		watching.shown = { ...watching.shown, askedAt: since };
		draw(watching);
		await look(watching);
		watching.shown = { ...watching.shown, askedAt: undefined };
		draw(watching);
		const pause = Math.max(request.interval, (clock.monotonic() - since) / share);
		await sleep(pause, { signal: closed, clock }).catch(() => {});
	}
	return 0;
}

function draw(watching: Watching): void {
	const { request, terminal } = watching;
	if (!terminal.isTable) return;
	terminal.draw((columns, rows) => picture(watching.shown, request, terminal, { columns, rows }));
}

async function look(watching: Watching): Promise<void> {
	const { terminal } = watching;
	try {
		await take(watching);
	} catch (error) {
		// A database that restarts comes back.
		if (!(error instanceof StoreError && error.isTransient)) throw error;
		if (!terminal.isTable && watching.shown.problem === undefined) terminal.note(error.message);
		watching.shown = { ...watching.shown, problem: error.message };
	}
}

async function take(watching: Watching): Promise<void> {
	const { store, catalog, request, terminal, failures, meter, shown } = watching;
	const { basket, kind } = request;
	const { at, tasks } = await catalog.survey(basket);
	const counts = countsIn(tasks);
	const isFirst = shown.counts === undefined;
	// A misspelled name looks like an empty basket.
	const [hint] = tasks.length > 0 ? [] : isFirst ? await elsewhere(store, catalog, request) : [shown.hint];
	if (isFirst && hint !== undefined && !terminal.isTable) terminal.note(hint);
	const pauses = await store.pauses(basket);
	const running = await longestRunning(store, basket, kind);
	const news = await failures.next(at);
	meter.note(at, counts, running, news);
	const now: Shown = {
		...{
			at,
			counts,
			pauses,
			running: running.slice(0, mostRunning),
			rates: meter.rates,
			failing: meter.failing(deadKinds(tasks)),
		},
		oldestDueAt: oldestIn(tasks, at),
		failures: [...news.toReversed(), ...shown.failures].slice(0, remembered),
		problem: undefined,
		hint,
	};
	const isSame = shown.problem === undefined && news.length === 0 && essenceOf(now) === essenceOf(shown);
	watching.shown = now;
	if (terminal.isTable || isSame) return;
	const { failures: _1, problem: _2, hint: _3, rates, failing, ...facts } = now;
	await terminal.print(toJson({ ...facts, perMinute: rates, failing, failures: news }));
}

/** What is a change if it changes: not the rates, which always do. */
function essenceOf({ counts, pauses, running }: Shown): string {
	return toJson({ counts, pauses, running });
}

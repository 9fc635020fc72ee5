/**
 * `upkeep watch`: how many tasks there are, and what fails, as it happens.
 *
 * @module
 */

import type { Counts, Store } from "../basket/store.ts";
import { sleep } from "../platform/clock.ts";
import { StoreError } from "../platform/store-error.ts";
import { Failures, type TaskFailed } from "./failures.ts";
import { stateStyles } from "./list.ts";
import { toTable } from "./table.ts";
import type { Request, Terminal } from "./terminal.ts";
import { clean, cut, instant, toJson, widthOf } from "./text.ts";

/** To look takes the store's time: at most this part of it. */
const share = 0.1;
/** What a terminal has no room for is not remembered. */
const remembered = 200;

interface Shown {
	counts: Counts | undefined;
	/** The latest first. */
	failures: TaskFailed[];
	/** Why the store cannot be looked at now. */
	problem: string | undefined;
}

/** Shows changes until the terminal is closed. */
export async function watch(store: Store, request: Request, terminal: Terminal): Promise<0> {
	const { basket, interval } = request;
	const failures = new Failures(store, request);
	const shown: Shown = { counts: undefined, failures: [], problem: undefined };
	const hints = new Hints(store, basket, terminal.closed);
	try {
		while (!terminal.closed.aborted) {
			const since = performance.now();
			await look(store, request, failures, shown, terminal);
			const cost = performance.now() - since;
			await rest(Math.max(interval, cost / share), terminal.closed);
			await hints.next(60 * interval);
		}
	} finally {
		hints.end();
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
		const news = await failures.next(terminal.now());
		const isNews = toJson(counts) !== toJson(shown.counts ?? {}) || news.length > 0 || shown.problem !== undefined;
		shown.counts = counts;
		shown.failures = [...news.toReversed(), ...shown.failures].slice(0, remembered);
		shown.problem = undefined;
		if (!terminal.isTable && isNews) await terminal.print(toJson({ at: terminal.now(), counts, failures: news }));
	} catch (error) {
		// A database that is restarted comes back.
		if (!(error instanceof StoreError && error.isTransient)) throw error;
		if (!terminal.isTable && shown.problem === undefined) terminal.note(error.message);
		shown.problem = error.message;
	}
	if (terminal.isTable) terminal.draw((columns, rows) => render(shown, request, terminal, columns, rows));
}

async function rest(time: number, signal: AbortSignal): Promise<void> {
	await sleep(time, { signal }).catch(() => {});
}

/** Wakes the watching when something may have changed; where the store cannot know, it looks again and again. */
class Hints {
	readonly #end: (() => void) | undefined;
	readonly #signal: AbortSignal;
	#isDue = false;
	#wake: () => void = () => {};

	constructor(store: Store, basket: string, signal: AbortSignal) {
		this.#signal = signal;
		const hint = () => {
			this.#isDue = true;
			this.#wake();
		};
		this.#end = store.watch?.(basket, hint, () => {});
	}

	/** Resolves at the next hint, or after a time, since leases and retentions end without one. */
	async next(longest: number): Promise<void> {
		if (this.#end !== undefined && !this.#isDue) {
			const woken = new AbortController();
			this.#wake = () => woken.abort();
			const stop = () => woken.abort();
			this.#signal.addEventListener("abort", stop);
			await rest(longest, woken.signal);
			this.#signal.removeEventListener("abort", stop);
		}
		this.#isDue = false;
	}

	end(): void {
		this.#end?.();
	}
}

function render(
	{ counts, failures, problem }: Shown,
	{ basket }: Request,
	terminal: Terminal,
	columns: number,
	rows: number,
): string[] {
	const { paint, now } = terminal;
	const time = instant(now()).slice(11);
	const title = cut(clean(basket), columns - time.length - 2);
	const gap = " ".repeat(Math.max(1, columns - widthOf(title) - time.length));
	const head = [`${paint("bold", title)}${gap}${paint("dim", time)}`, ...countLines(counts, terminal, columns)];
	if (problem !== undefined) head.push(paint("red", cut(clean(problem), columns)));
	const room = Math.max(0, rows - head.length - 4);
	const shown = failures.slice(0, room);
	const table = shown.length === 0 ? [paint("dim", "No failures")] : toTable(
		["FAILED", "ID", "KIND", "STATE", "TRIES", "ERROR"].map((title) => ({
			title,
			...(title === "STATE" ? { styles: stateStyles } : {}),
			isRight: title === "TRIES",
		})),
		shown.map(({ at, id, kind, state, attempts, error }) => [
			at === undefined ? "before" : instant(at).slice(11),
			clean(id),
			clean(kind),
			state,
			String(attempts),
			error,
		]),
		[[5, 24], [2, 10], [4, 0], [5, 12], [2, 0], [3, 0], [0, 0], [5, 0], [1, 8]],
		columns,
		paint,
	);
	return [...head, "", ...table].slice(0, rows);
}

/** On one line if there is room. */
function countLines(counts: Counts | undefined, { paint }: Terminal, columns: number): string[] {
	const parts = Object.entries(counts ?? {}).map(([state, number]) => {
		const text = `${state} ${number.toLocaleString("en-US")}`;
		return {
			width: text.length,
			text: number === 0 ? paint("dim", text) : paint(stateStyles[state as keyof Counts], text),
		};
	});
	const width = parts.reduce((sum, part) => sum + part.width + 3, -3);
	const texts = parts.map(({ text }) => text);
	return width <= columns ? [texts.join("   ")] : texts;
}

/**
 * Rates from successive looks at a basket. A store keeps neither what was done nor how often, so these are lower bounds, or
 * changes of numbers, and are named so.
 *
 * @module
 */

import { type Counts, taskStates } from "../basket/store.ts";
import type { TaskFailed } from "./failures.ts";
import type { Peer } from "./around.ts";

/** Rates per minute. */
export interface Rates {
	/** The time in which they were measured, in milliseconds. */
	readonly over: number;
	/** By how much the number of tasks in each state has changed. */
	readonly changes: Counts;
	/** How many attempts were seen to begin: at least so many have. */
	readonly begun: number;
	/** How many attempts were seen to fail: at least so many have. */
	readonly failed: number;
}

/** A kind with its failures. */
export interface FailingKind {
	readonly kind: string;
	/** The number of its dead tasks. */
	readonly dead: number;
	/** The number of its failures that were seen since the watch began. */
	readonly failed: number;
}

/** The time to look back, and the least time for a rate, in milliseconds. */
const window = 60_000;
const least = 5_000;
/** The maximum number of remembered events. */
const most = 10_000;

/** Remembers the looks of the last minute. */
export class RateMeter {
	#looks: { readonly at: number; readonly counts: Counts }[] = [];
	/** When each attempt was seen to begin or to fail. */
	readonly #begun = new Map<string, number>();
	#failed: number[] = [];
	readonly #failedKinds = new Map<string, number>();

	/** Counts what a look at this time has found. The first look finds also what was before. */
	note(at: number, counts: Counts, running: readonly Peer[], news: readonly TaskFailed[]): void {
		const isFirst = this.#looks.length === 0;
		for (const { id, at: begunAt } of running) {
			const mark = `${begunAt} ${id}`;
			if (!this.#begun.has(mark)) this.#begun.set(mark, isFirst ? -Infinity : at);
		}
		if (!isFirst) {
			for (const { kind } of news) {
				this.#failedKinds.set(kind, (this.#failedKinds.get(kind) ?? 0) + 1);
				this.#failed.push(at);
			}
		}
		this.#looks.push({ at, counts });
		this.#forget(at, running);
	}

	#forget(at: number, running: readonly Peer[]): void {
		// The last look before the window is where it begins.
		while (this.#looks.length > 2 && at - this.#looks[1]!.at >= window) this.#looks.shift();
		const from = this.#looks[0]!.at;
		this.#failed = this.#failed.filter((each) => each > from).slice(-most);
		const current = new Set(running.map(({ id, at }) => `${at} ${id}`));
		for (const [mark, seen] of this.#begun) if (seen <= from && !current.has(mark)) this.#begun.delete(mark);
	}

	/** The rates; `undefined` as long as the time is too short for any. */
	get rates(): Rates | undefined {
		const [first, last] = [this.#looks[0], this.#looks.at(-1)];
		if (first === undefined || last === undefined || last.at - first.at < least) return undefined;
		const over = last.at - first.at;
		const perMinute = (number: number) => Math.round(number * 600_000 / over) / 10;
		const changes = Object.fromEntries(
			taskStates.map((state) => [state, perMinute(last.counts[state] - first.counts[state])]),
		) as unknown as Counts;
		const begun = [...this.#begun.values()].filter((seen) => seen > first.at).length;
		return { over, changes, begun: perMinute(begun), failed: perMinute(this.#failed.length) };
	}

	/** The kinds with failures, those with most first. */
	failing(dead: ReadonlyMap<string, number>): FailingKind[] {
		const kinds = [...new Set([...dead.keys(), ...this.#failedKinds.keys()])];
		const all = kinds.map((kind): FailingKind => ({
			kind,
			dead: dead.get(kind) ?? 0,
			failed: this.#failedKinds.get(kind) ?? 0,
		}));
		return all.sort((a, b) => b.dead + b.failed - a.dead - a.failed || (a.kind < b.kind ? -1 : 1));
	}
}

/**
 * A list of tasks that stays up to date, for user interfaces.
 *
 * @module
 */

import type { TaskQuery, TaskRecord } from "./reading.ts";
import { findLoss } from "./json-loss.ts";
import { check, checkLimit, checkMethods } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";
import { whileSubscribed } from "../platform/while-subscribed.ts";

/** The part of a basket or a processor that {@link live} needs. */
export interface ListableBasket<Item = TaskRecord, Query = TaskQuery> {
	/** See {@link Basket.list}. */
	list(query?: Query): AsyncIterable<Item>;
	/** See {@link Basket.subscribe}. */
	readonly subscribe: (listener: () => void) => () => void;
}

/** Options for {@link live}. */
export interface LiveOptions {
	/** The minimum time between two reads, in milliseconds, more than 0. @default 200 */
	pace?: number | undefined;
	/**
	 * The maximum time between two reads, in milliseconds, more than 0. Stores tell of tasks that other processes or tabs
	 * have added, and not of those that they have done. `Infinity`: only changes that are told. @default 2_000
	 */
	refresh?: number | undefined;
	/** Called with errors of reads, which are repeated: after a second, or at the next change. */
	onError?: OnError | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/** The wait after a failed read, in milliseconds. */
const pause = 1_000;

/**
 * Returns the tasks or jobs that a query selects, as a state that frameworks can subscribe to. In React:
 * `const tasks = useSyncExternalStore(list.subscribe, list.getSnapshot)`.
 *
 * While there are subscribers, it reads the tasks again after changes of the basket, at most once per `pace`, and every
 * `refresh` milliseconds, because another process may have done a task. The list is `undefined` until the first read has
 * succeeded. It is a new array only if something in it has changed, and records that have not changed stay the same
 * objects. While the basket runs, it hears at once of what other processes add.
 *
 * @param basket a basket or a processor
 * @param query what to list; `limit` is 100 if it is absent, as a user interface shows no more at once
 * @param options how often to read, and hooks
 * @throws {TypeError | RangeError} for options of the wrong type or out of range; errors of the query go to `onError`
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, live, memoryStore } from "upkeep";
 *
 * const basket = new Basket({ store: memoryStore(), tasks: { send: (_to: string) => {} } });
 * const list = live(basket, { state: "waiting", order: "newest" }, { pace: 10 });
 * await basket.add("send", "ada@example.org");
 * const stop = await new Promise<() => void>((resolve) => {
 * 	const stop = list.subscribe(() => resolve(stop));
 * });
 * assert.equal(list.getSnapshot()?.[0]?.payload, "ada@example.org");
 * stop();
 * ```
 */
export function live<
	Item extends { readonly key: string } = TaskRecord,
	Query extends Pick<TaskQuery, "limit"> = TaskQuery,
>(
	basket: ListableBasket<Item, Query>,
	query: Query = {} as Query,
	options: LiveOptions = {},
): Subscribable<readonly Item[] | undefined> {
	checkMethods("basket", basket, "list", "subscribe");
	const { limit = 100, ...rest } = check("query", query, "object");
	const { pace = 200, refresh = 2_000, onError, clock } = check("options", options, "object");
	checkLimit("pace", pace);
	checkLimit("refresh", refresh);
	if (onError !== undefined) check("onError", onError, "function");
	return new LiveTasks(
		() => basket.list({ ...rest, limit } as Query),
		(listener) => basket.subscribe(listener),
		pace,
		refresh,
		onError,
		checkClock(clock),
	);
}

/** A record, and a text that differs if the record does. */
interface Shown<Item> {
	readonly record: Item;
	readonly text: string;
}

class LiveTasks<Item extends { readonly key: string }> implements Subscribable<readonly Item[] | undefined> {
	readonly #list: () => AsyncIterable<Item>;
	readonly #pace: number;
	readonly #refresh: number;
	readonly #onError: OnError | undefined;
	readonly #clock: Clock;
	readonly #timer = new CallbackTimer(() => void this.#wake());
	readonly #snapshot: Snapshot<readonly Item[] | undefined>;
	#records: readonly Item[] | undefined;
	#shown: ReadonlyMap<string, Shown<Item>> = new Map();
	/** The current round of subscribers. A read of an earlier round is ignored. */
	#round: object | undefined;
	/** `resting` → (a change, or `refresh` is over) → `reading` → `pausing`, and back; a change meanwhile makes it read again. */
	#state: "resting" | "reading" | "pausing" = "resting";
	#isStale = false;

	readonly subscribe: (listener: () => void) => () => void;
	readonly getSnapshot: () => readonly Item[] | undefined;

	constructor(
		list: () => AsyncIterable<Item>,
		subscribe: ListableBasket["subscribe"],
		pace: number,
		refresh: number,
		onError: OnError | undefined,
		clock: Clock,
	) {
		this.#list = list;
		this.#pace = pace;
		this.#refresh = refresh;
		this.#onError = onError;
		this.#clock = clock;
		this.#snapshot = new Snapshot(() => this.#records, onError);
		this.getSnapshot = this.#snapshot.getSnapshot;
		this.subscribe = whileSubscribed(this.#snapshot.subscribe, () => this.#begin(subscribe));
	}

	#begin(subscribe: ListableBasket["subscribe"]): () => void {
		this.#round = {};
		this.#state = "resting";
		const unsubscribe = subscribe(() => this.#look());
		this.#look();
		return () => {
			this.#round = undefined;
			this.#clock.clear(this.#timer);
			unsubscribe();
		};
	}

	#look(): void {
		this.#isStale = true;
		if (this.#state === "resting") void this.#read();
	}

	#wake(): void {
		if (this.#state === "resting" || this.#isStale) return void this.#read();
		this.#state = "resting";
		this.#clock.set(this.#timer, Math.max(this.#refresh - this.#pace, 0));
	}

	async #read(): Promise<void> {
		const round = this.#round;
		this.#state = "reading";
		this.#clock.clear(this.#timer);
		this.#isStale = false;
		let delay = this.#pace;
		try {
			const records: Item[] = [];
			for await (const record of this.#list()) records.push(record);
			if (round === this.#round) this.#show(records);
		} catch (error) {
			report(this.#onError, error);
			delay = Math.max(delay, pause);
			this.#isStale = true;
		}
		if (round === undefined || round !== this.#round) return;
		this.#state = "pausing";
		this.#clock.set(this.#timer, delay);
	}

	#show(found: readonly Item[]): void {
		const shown = new Map<string, Shown<Item>>();
		const records = found.map((record) => {
			const text = textOf(record);
			const before = this.#shown.get(record.key);
			const one = before !== undefined && text !== "" && before.text === text ? before : { record, text };
			shown.set(record.key, one);
			return one.record;
		});
		this.#shown = shown;
		const before = this.#records;
		if (before?.length === records.length && records.every((record, index) => record === before[index])) return;
		this.#records = records;
		this.#snapshot.changed();
	}
}

/** The record as text; an empty one if its payload has none. */
function textOf(record: unknown): string {
	try {
		return findLoss(record) === undefined ? JSON.stringify(record) : "";
	} catch {
		return "";
	}
}

/**
 * Makes rows in tables of an ordered map: texts in order, in a transaction.
 *
 * A row stands under `basket, table, key`, and under each of its keys in an index, `basket, table.index, key`, stands the key of the row.
 * The row alone is the truth: a key of an index that leads to nothing, or to a row that has another one, is given as a `Stray`.
 *
 * @module
 */

import type { WakeReason } from "../basket/store.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { endOf, keyOf, textOf } from "./key-text.ts";
import {
	type Count,
	type Entry,
	type Key,
	type Part,
	type Range,
	type Read,
	type RecordSpace,
	type RecordTransaction,
	Stray,
	type Table,
	type TransactOptions,
	type Work,
} from "./space.ts";
import { drive, isSame } from "./work.ts";

/** A part of an ordered map. */
export interface MapRange {
	/** The first text that is part of it. */
	readonly start: string;
	/** The first text behind it. */
	readonly end: string;
	/** At most this many; absent: all. */
	readonly limit?: number | undefined;
	/** From the end. */
	readonly reverse?: boolean | undefined;
}

/** What stands under a key. */
export type MapEntry = readonly [key: string, value: unknown];

/** One transaction of an ordered map. Reads see its own writes. They may answer at once, or with promises. */
export interface MapTransaction {
	/** The value of each key; `undefined` if there is none. */
	get(keys: readonly string[]): readonly unknown[] | Promise<readonly unknown[]>;
	/** Keys and values in the order of the keys. */
	list(range: MapRange): readonly MapEntry[] | Promise<readonly MapEntry[]>;
	/** Stores plain data: numbers, booleans, texts, `Uint8Array`s, and arrays and objects of them. */
	set(key: string, value: unknown): void;
	/** Removes what stands under a key, if anything does. */
	delete(key: string): void;
	/** Where the map is optimistic: lets the commit fail if the key has changed since {@link get}, or, if it was not got, is there. */
	check?(key: string): void;
	/** Where a caller's transaction is only a list of changes: lets the commit fail. */
	fail?(): void;
	/** Where a caller's transaction is only a list of changes: whether it is one, and has set this key. */
	hasSet?(key: string): boolean;
}

/** What a store over an ordered map brings along. Keys are ASCII without control characters. */
export interface OrderedMap<Tx = never> extends
	Pick<
		RecordSpace<Tx>,
		"capabilities" | "isSparse" | "perCommit" | "limits" | "mark" | "random" | "open" | "watch" | "close"
	> {
	/** Whether several transactions may be under way at once, of which one is then undone. @default false */
	readonly isOptimistic?: boolean | undefined;
	/** See {@link RecordSpace.inline}. @default 1000 */
	readonly inline?: number | undefined;
	/** The clock to use. @default systemClock */
	readonly clock?: Clock | undefined;
	/**
	 * Does something in a transaction: commits when it is over, undoes all when it throws or rejects, and does it again, with a higher
	 * `attempt`, when others were faster. With `tx` it is part of the caller's.
	 */
	transaction<R>(
		work: (map: MapTransaction, attempt: number) => R | Promise<R>,
		options: TransactOptions<Tx> & { readonly basket: string },
	): Promise<R>;
	/** Called at most once in a transaction, at its end: those who watch the basket are to be told once it is committed. */
	wake?(basket: string, reason: WakeReason | undefined, map: MapTransaction): void;
}

/**
 * Makes a {@link RecordSpace} of an {@link OrderedMap}.
 *
 * @param map the map, in transactions
 * @throws {TypeError} if its clock is none
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { overMap } from "upkeep/store";
 *
 * const space = overMap({
 * 	capabilities: { durable: false, shared: false, tx: false, clock: "machine" },
 * 	async open() {},
 * 	async transaction(work) {
 * 		return await work({ get: (keys) => keys.map(() => undefined), list: () => [], set() {}, delete() {} }, 0);
 * 	},
 * });
 * assert.equal(space.isOptimistic, false);
 * ```
 */
export function overMap<Tx = never>(map: OrderedMap<Tx>): RecordSpace<Tx> {
	const clock = checkClock(map.clock);
	const { capabilities, isSparse, perCommit, limits, isOptimistic = false, inline = 1000 } = map;
	const space: RecordSpace<Tx> = {
		capabilities,
		isOptimistic,
		isSparse,
		inline,
		perCommit,
		limits,
		open: () => map.open(),
		transact(basket, work, options) {
			return map.transaction((one, attempt) => {
				const tx = new MappedTransaction(one, { basket, now: clock.now(), attempt, isSparse: isSparse ?? false });
				return tx.do(work, (reason) => map.wake?.(basket, reason, one));
			}, { ...options, basket });
		},
	};
	const { mark, random, watch, close } = map;
	if (mark !== undefined) space.mark = () => mark.call(map);
	if (random !== undefined) space.random = () => random.call(map);
	if (watch !== undefined) space.watch = (...given) => watch.call(map, ...given);
	if (close !== undefined) space.close = () => close.call(map);
	return space;
}

/** What a transaction is about. */
interface Terms {
	readonly basket: string;
	readonly now: number;
	readonly attempt: number;
	readonly isSparse: boolean;
}

class MappedTransaction implements RecordTransaction {
	readonly now: number;
	readonly attempt: number;
	readonly isBlind: boolean;
	readonly #map: MapTransaction;
	readonly #base: string;
	readonly #isSparse: boolean;
	#isAwake = false;
	#reason: WakeReason | undefined;

	constructor(map: MapTransaction, { basket, now, attempt, isSparse }: Terms) {
		this.now = now;
		this.attempt = attempt;
		this.isBlind = map.fail !== undefined;
		this.#map = map;
		this.#base = textOf([basket]);
		this.#isSparse = isSparse;
	}

	do<R>(work: (tx: RecordTransaction) => Work<R>, wake: (reason?: WakeReason) => void): R | Promise<R> {
		const end = (result: R): R => {
			if (this.#isAwake) wake(this.#reason);
			return result;
		};
		const result = drive(work(this), (read) => this.#answer(read));
		return result instanceof Promise ? result.then(end) : end(result);
	}

	put<Row extends object>(table: Table<Row>, row: Row, before?: Row | Stray): void {
		const key = table.keyOf(row);
		const text = this.#textOf(table, key);
		if (before !== undefined || table.isShared) this.#map.check?.(text);
		const old = this.#indexTextsOf(table, before);
		for (const [indexText, { isUnique, hint }] of this.#indexTextsOf(table, row)) {
			if (old.delete(indexText)) continue;
			if (isUnique) this.#map.check?.(indexText);
			this.#map.set(indexText, hint === undefined ? key : { key, hint });
		}
		for (const indexText of old.keys()) this.#map.delete(indexText);
		this.#map.set(text, row);
	}

	remove<Row extends object>(table: Table<Row>, row: Row | Stray): void {
		const text = this.#textOf(table, row instanceof Stray ? row.key : table.keyOf(row));
		const keys = this.#indexTextsOf(table, row);
		// Of a table without indexes a row may be removed that was never read.
		if (table.isShared || Object.keys(table.indexes).length > 0) this.#map.check?.(text);
		for (const indexText of keys.keys()) this.#map.delete(indexText);
		this.#map.delete(text);
	}

	drop(_table: Table, stray: Stray): void {
		if (stray instanceof IndexedStray) this.#map.delete(stray.text);
	}

	guard(table: Table, key: Key): void {
		this.#map.check?.(this.#textOf(table, key));
	}

	fail(): void {
		this.#map.fail!();
	}

	hasPut<Row extends object>(table: Table<Row>, row: Row): boolean {
		return this.#map.hasSet!(this.#textOf(table, table.keyOf(row)));
	}

	wake(reason?: WakeReason): void {
		this.#isAwake = true;
		this.#reason ??= reason;
	}

	#answer(read: Read): unknown {
		switch (read.type) {
			case "get":
				return read.index === undefined
					? this.#get(read.table, read.keys)
					: this.#getByIndex(read.table, read.index, read.keys);
			case "range":
				return read.index === undefined ? this.#range(read) : this.#rangeByIndex(read, read.index);
			case "count":
				return then(this.#map.list(this.#boundsOf(read)), (entries) => entries.length);
		}
	}

	#get(table: Table, keys: readonly Key[]): Answer<(object | undefined)[]> {
		const texts = keys.map((key) => this.#textOf(table, key));
		return then(this.#map.get(texts), (values) => values.map((value, index) => toRow(table, keys[index]!, value)));
	}

	#getByIndex(table: Table, index: string, keys: readonly Key[]): Answer<(object | undefined)[]> {
		const texts = keys.map((key) => this.#textOf(table, key, index));
		return then(this.#map.get(texts), (found) => {
			const targets = found.map(toTarget);
			return then(this.#get(table, targets.flatMap(({ key }) => key === undefined ? [] : [key])), (rows) => {
				let next = 0;
				return targets.map(({ key }, place) => {
					const row = key === undefined ? undefined : rows[next++];
					const found = { index, key: keys[place]!, text: texts[place]! };
					return row === undefined ? undefined : agreeing(table, row, key!, found);
				});
			});
		});
	}

	#range(read: Range): Answer<object[]> {
		const start = this.#textOf(read.table, []);
		return then(this.#map.list(this.#boundsOf(read)), (entries) => {
			return entries.map(([text, value]) => toRow(read.table, keyOf(text.slice(start.length)), value)!);
		});
	}

	#rangeByIndex(read: Range, index: string): Answer<object[]> {
		const { table } = read;
		const start = this.#textOf(table, [], index);
		return then(this.#map.list(this.#boundsOf(read)), (entries) => {
			const targets = entries.map(([, value]) => toTarget(value));
			return then(this.#get(table, targets.map(({ key = [] }) => key)), (rows) => {
				return rows.map((row, place) => {
					const { key = [], hint } = targets[place]!;
					const [text] = entries[place]!;
					return agreeing(table, row, key, { index, key: keyOf(text.slice(start.length)), text, hint });
				});
			});
		});
	}

	#boundsOf(read: Range | Count): MapRange {
		const { table, index, prefix, upTo } = read;
		const { above, limit, reverse }: Partial<Pick<Range, "above" | "limit" | "reverse">> = read.type === "range"
			? read
			: {};
		const start = this.#textOf(table, above ?? prefix, index);
		return {
			start: above === undefined ? start : endOf(start),
			end: endOf(this.#textOf(table, upTo ?? prefix, index)),
			limit,
			reverse,
		};
	}

	#textOf(table: Table, key: Key, index?: string): string {
		return `${this.#base}${table.name}${index === undefined ? "" : `.${index}`}!${textOf(key)}`;
	}

	/** Under which texts a row can be found besides its own, and whether these must be its own. */
	#indexTextsOf<Row extends object>(table: Table<Row>, row: Row | Stray | undefined): Map<string, IndexValue> {
		const texts = new Map<string, IndexValue>();
		const value = row instanceof Stray ? row.value : row;
		if (row instanceof IndexedStray) texts.set(row.text, {});
		if (value === null || typeof value !== "object") return texts;
		for (const [name, { keyOf, hintOf, isUnique, isOptional }] of Object.entries(table.indexes)) {
			const key = this.#isSparse && isOptional ? undefined : keyOf(value as Row);
			if (key !== undefined) texts.set(this.#textOf(table, key, name), { isUnique, hint: hintOf?.(value as Row) });
		}
		return texts;
	}
}

type Answer<T> = T | Promise<T>;

/** What is to be known of a key of an index when it is written. */
interface IndexValue {
	readonly isUnique?: boolean | undefined;
	readonly hint?: Part | undefined;
}

function then<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
	return value instanceof Promise ? value.then(next) : next(value);
}

/** What stands under a key. */
function toRow(table: Table, key: Key, value: unknown): object | undefined {
	if (value === undefined) return undefined;
	const isRow = value !== null && typeof value === "object" && isSame(table.keyOf(value), key);
	return isRow ? value : new Stray(key, value);
}

/** One that was found under a key of an index. */
class IndexedStray extends Stray {
	/** That key, as it stands in the map: it may be none that was made here. */
	readonly text: string;

	constructor(key: Key, value: unknown, { text, ...entry }: FoundEntry) {
		super(key, value, entry);
		this.text = text;
	}
}

interface FoundEntry extends Entry {
	readonly text: string;
}

/** What an index leads to, if the row says so, too. */
function agreeing(table: Table, row: object | undefined, key: Key, found: FoundEntry): object {
	if (row === undefined) return new IndexedStray(key, undefined, found);
	if (row instanceof Stray) return new IndexedStray(key, row.value, found);
	const own = table.indexes[found.index]!.keyOf(row);
	return own !== undefined && isSame(own, found.key) ? row : new IndexedStray(key, row, found);
}

/** Where a key of an index leads to. */
function toTarget(value: unknown): { readonly key?: Key; readonly hint?: Part | undefined } {
	const { key, hint }: { key?: unknown; hint?: unknown } = Array.isArray(value) ? { key: value } : Object(value);
	if (!Array.isArray(key) || !key.every(isPart)) return {};
	return { key, hint: isPart(hint) ? hint : undefined };
}

function isPart(value: unknown): value is Part {
	return typeof value === "string" || typeof value === "number";
}

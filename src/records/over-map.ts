/**
 * Stores rows of tables in an ordered map with transactions.
 *
 * A row is stored under `basket, table, key`. Under each of its index keys, `basket, table.index, key`, the key of
 * the row is stored. Only the row is authoritative: an index key whose row is missing or does not match is returned
 * as a `Stray`.
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

/** A range of an ordered map. */
export interface MapRange {
	/** The first key of the range. */
	readonly start: string;
	/** The first key after the range. */
	readonly end: string;
	/** The maximum number of entries. Absent: all. */
	readonly limit?: number | undefined;
	/** Whether to read from the end. */
	readonly reverse?: boolean | undefined;
}

/** A stored key with its value. */
export type MapEntry = readonly [key: string, value: unknown];

/** A transaction of an ordered map. Reads see its own writes. They may return values or promises. */
export interface MapTransaction {
	/** Returns the value of each key, or `undefined`. */
	get(keys: readonly string[]): readonly unknown[] | Promise<readonly unknown[]>;
	/** Returns the entries of a range in the order of the keys. */
	list(range: MapRange): readonly MapEntry[] | Promise<readonly MapEntry[]>;
	/** Stores plain data: numbers, booleans, strings, `Uint8Array`s, and arrays and objects of these. */
	set(key: string, value: unknown): void;
	/** Removes a key, if it exists. */
	delete(key: string): void;
	/**
	 * For an optimistic map: makes the commit fail if the key has changed since {@link get}, or, without a `get`, if
	 * the key exists.
	 */
	check?(key: string): void;
	/** If a caller's transaction is only a list of changes: makes the commit fail. */
	fail?(): void;
	/** If a caller's transaction is only a list of changes: whether this transaction has set the key. */
	hasSet?(key: string): boolean;
}

/**
 * An ordered map with transactions, which {@link overMap} turns into a {@link RecordSpace}. Keys contain no control
 * characters.
 */
export interface OrderedMap<Tx = never> extends
	Pick<
		RecordSpace<Tx>,
		"capabilities" | "isSparse" | "perCommit" | "limits" | "mark" | "random" | "open" | "watch" | "close"
	> {
	/** Whether transactions may run concurrently, so that one of them may be rolled back. @default false */
	readonly isOptimistic?: boolean | undefined;
	/** See {@link RecordSpace.inline}. @default 1000 */
	readonly inline?: number | undefined;
	/** The clock to use. @default systemClock */
	readonly clock?: Clock | undefined;
	/**
	 * Runs a work in a transaction: commits when it returns or resolves, and rolls back when it throws or rejects. If
	 * other transactions were faster, it repeats the work with a higher `attempt`. With `tx`, the work is part of the
	 * caller's transaction.
	 */
	transaction<R>(
		work: (map: MapTransaction, attempt: number) => R | Promise<R>,
		options: TransactOptions<Tx> & { readonly basket: string },
	): Promise<R>;
	/** Called at most once per transaction, at its end: the watchers of the basket must be notified when it has committed. */
	wake?(basket: string, reason: WakeReason | undefined, map: MapTransaction): void;
}

/**
 * Creates a {@link RecordSpace} over an {@link OrderedMap}.
 *
 * @param map the map
 * @throws {TypeError} if its clock is invalid
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
			const run = (whole: Terms["whole"]) =>
				map.transaction((one, attempt) => {
					const tx = new MappedTransaction(one, {
						basket,
						now: clock.now(),
						attempt,
						isSparse: isSparse ?? false,
						whole,
					});
					return tx.do(work, (reason) => map.wake?.(basket, reason, one));
				}, { ...options, basket });
			if (!isOptimistic || options.tx !== undefined) return run(0);
			return run(options.purpose === "read" ? 2 : 1).catch((error) => {
				if (error === torn) return run(0);
				throw error;
			});
		},
	};
	const { mark, random, watch, close } = map;
	if (mark !== undefined) space.mark = () => mark.call(map);
	if (random !== undefined) space.random = () => random.call(map);
	if (watch !== undefined) space.watch = (...given) => watch.call(map, ...given);
	if (close !== undefined) space.close = () => close.call(map);
	return space;
}

/** The settings of a transaction. */
interface Terms {
	readonly basket: string;
	readonly now: number;
	readonly attempt: number;
	readonly isSparse: boolean;
	/** Whether index keys that do not match their rows make it begin anew: 0 none, 1 those that were asked for, 2 all. */
	readonly whole: 0 | 1 | 2;
}

/**
 * An index key and its row were read at different times, and the row was moved in between: a transaction that only reads,
 * or finds that there is nothing to do, would not notice it at its commit. What a damaged database contains looks the
 * same, so a transaction begins anew only once.
 */
const torn: Error = /* @__PURE__ */ new Error("Torn");

class MappedTransaction implements RecordTransaction {
	readonly now: number;
	readonly attempt: number;
	readonly isBlind: boolean;
	readonly #map: MapTransaction;
	readonly #base: string;
	readonly #isSparse: boolean;
	readonly #whole: Terms["whole"];
	/** The unique index keys of removed rows: the checks of these rows are enough. */
	readonly #freed = new Set<string>();
	#isAwake = false;
	#reason: WakeReason | undefined;

	constructor(map: MapTransaction, { basket, now, attempt, isSparse, whole }: Terms) {
		this.now = now;
		this.attempt = attempt;
		this.isBlind = map.fail !== undefined;
		this.#map = map;
		this.#base = textOf([basket]);
		this.#isSparse = isSparse;
		this.#whole = whole;
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
			if (isUnique && !this.#freed.has(indexText)) this.#map.check?.(indexText);
			this.#map.set(indexText, hint === undefined ? key : { key, hint });
		}
		for (const indexText of old.keys()) this.#map.delete(indexText);
		this.#map.set(text, row);
	}

	remove<Row extends object>(table: Table<Row>, row: Row | Stray): void {
		const text = this.#textOf(table, row instanceof Stray ? row.key : table.keyOf(row));
		const keys = this.#indexTextsOf(table, row);
		// In a table without indexes, a row can be removed without having been read.
		if (table.isShared || Object.keys(table.indexes).length > 0) this.#map.check?.(text);
		for (const indexText of keys.keys()) {
			this.#map.delete(indexText);
			this.#freed.add(indexText);
		}
		this.#map.delete(text);
	}

	drop(table: Table, stray: Stray): void {
		if (!(stray instanceof IndexedStray)) return;
		// The row may have been read before somebody wrote it together with this index key.
		this.#map.check?.(this.#textOf(table, stray.key));
		this.#map.delete(stray.text);
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
					if (key === undefined) return undefined;
					const row = rows[next++];
					const found = agreeing(table, row, key, { index, key: keys[place]!, text: texts[place]! });
					this.#checkWhole(found, 1);
					return row === undefined ? undefined : found;
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
					const found = agreeing(table, row, key, { index, key: keyOf(text.slice(start.length)), text, hint });
					this.#checkWhole(found, 2);
					return found;
				});
			});
		});
	}

	#checkWhole(found: object, least: number): void {
		if (this.#whole >= least && found instanceof IndexedStray) throw torn;
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

	/** The index texts of a row, and whether each must be unique. */
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

/** The value of an index key. */
interface IndexValue {
	readonly isUnique?: boolean | undefined;
	readonly hint?: Part | undefined;
}

function then<T, R>(value: T | Promise<T>, next: (value: T) => R | Promise<R>): R | Promise<R> {
	return value instanceof Promise ? value.then(next) : next(value);
}

/** A stored key with its value. */
function toRow(table: Table, key: Key, value: unknown): object | undefined {
	if (value === undefined) return undefined;
	const isRow = value !== null && typeof value === "object" && isSame(table.keyOf(value), key);
	return isRow ? value : new Stray(key, value);
}

/** A stray that was found under an index key. */
class IndexedStray extends Stray {
	/** The index key as stored in the map, which may be foreign. */
	readonly text: string;

	constructor(key: Key, value: unknown, { text, ...entry }: FoundEntry) {
		super(key, value, entry);
		this.text = text;
	}
}

interface FoundEntry extends Entry {
	readonly text: string;
}

/** The row that an index key leads to, if the row matches. */
function agreeing(table: Table, row: object | undefined, key: Key, found: FoundEntry): object {
	if (row === undefined) return new IndexedStray(key, undefined, found);
	if (row instanceof Stray) return new IndexedStray(key, row.value, found);
	const own = table.indexes[found.index]!.keyOf(row);
	return own !== undefined && isSame(own, found.key) ? row : new IndexedStray(key, row, found);
}

/** The target of an index key. */
function toTarget(value: unknown): { readonly key?: Key; readonly hint?: Part | undefined } {
	const { key, hint }: { key?: unknown; hint?: unknown } = Array.isArray(value) ? { key: value } : Object(value);
	if (!Array.isArray(key) || !key.every(isPart)) return {};
	return { key, hint: isPart(hint) ? hint : undefined };
}

function isPart(value: unknown): value is Part {
	return typeof value === "string" || typeof value === "number";
}

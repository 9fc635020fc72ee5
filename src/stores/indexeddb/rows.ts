/**
 * Rows in IndexedDB. One object store has the rows of all tables, and one index has the keys of all indexes, so that
 * a new table or index needs no new version of the database.
 *
 * A record has the `row`, its `key` (`[basket, table, …key]`), and the list `in` of its index keys
 * (`[basket, table.index, …key]`).
 *
 * @module
 */

import type { Data, WakeReason } from "../../basket/store.ts";
import {
	type Count,
	type Get,
	isSame,
	type Key,
	type Range,
	type Read,
	type RecordTransaction,
	Stray,
	type Table,
} from "../../records/records.ts";
import { result } from "./request.ts";
import { indexName, rowsName } from "./schema.ts";

/** Sorts after all numbers and strings in a key. */
const last: never[] = [];

/** The maximum gap between the numbers of two rows that are read together. */
const longestGap = 4;

/** A stored row. */
interface Stored {
	readonly key: readonly IDBValidKey[];
	readonly in: readonly IDBValidKey[][];
	readonly row: object;
}

/** Reads and writes rows inside one transaction. Writes are not awaited: if one fails, the transaction fails. */
export class Rows implements RecordTransaction {
	readonly now: number;
	readonly attempt = 0;
	/** Whether the watchers must be woken after the commit. */
	isAwake = false;
	reason: WakeReason | undefined;
	/** The size of all written data, in code units or bytes. */
	size = 0;
	/** The last write. */
	write: IDBRequest | undefined;
	readonly #store: IDBObjectStore;
	readonly #index: IDBIndex;
	readonly #basket: string;
	/** Pending removals by table: removing many together costs less. */
	#removed = new Map<string, Set<number>>();

	constructor(transaction: IDBTransaction, basket: string, now: number) {
		this.#store = transaction.objectStore(rowsName);
		this.#index = this.#store.index(indexName);
		this.#basket = basket;
		this.now = now;
	}

	put<Row extends object>(table: Table<Row>, row: Row): void {
		const key = table.keyOf(row);
		this.#removed.get(table.name)?.delete(key[0] as number);
		const { payload, data = payload } = row as { payload?: Data; data?: Data };
		this.size += data?.length ?? 0;
		const given = Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined));
		const stored: Stored = { key: this.#keyOf(table, key), in: keysIn(table, row, this.#basket), row: given };
		this.write = this.#store.put(stored);
	}

	remove<Row extends object>(table: Table<Row>, row: Row | Stray): void {
		const key = row instanceof Stray ? row.key : table.keyOf(row);
		const [part] = key;
		if (key.length !== 1 || typeof part !== "number") {
			this.write = this.#store.delete(this.#keyOf(table, key));
			return;
		}
		const removed = this.#removed.get(table.name) ?? new Set();
		this.#removed.set(table.name, removed.add(part));
	}

	wake(reason?: WakeReason): void {
		this.isAwake = true;
		this.reason ??= reason;
	}

	/** Answers a read. */
	readonly answer = (read: Read): Promise<unknown> => {
		this.flush();
		if (read.type === "get") return this.#get(read);
		return read.type === "range" ? this.#range(read) : result(this.#sourceOf(read).count(this.#boundsOf(read)));
	};

	/** Executes the pending removals. */
	flush(): void {
		const all = this.#removed;
		this.#removed = new Map();
		for (const [name, parts] of all) {
			for (const [first, last] of toRuns([...parts], 1)) {
				this.write = this.#store.delete(IDBKeyRange.bound([this.#basket, name, first], [this.#basket, name, last]));
			}
		}
	}

	/**
	 * Rows that were written together are mostly adjacent, and one large read is several times faster than many small
	 * ones.
	 */
	async #get(read: Get): Promise<(object | undefined)[]> {
		const { table, index, keys } = read;
		const numbers = keys.map(([part]) => part);
		if (index === undefined && keys.length > 1 && keys.every((key) => key.length === 1 && typeof key[0] === "number")) {
			const runs = toRuns(numbers as number[], longestGap);
			const found = await Promise.all(runs.map((run) => {
				const [first, last] = run.map((number) => this.#keyOf(table, [number]));
				return this.#getAll(read, IDBKeyRange.bound(first, last));
			}));
			const rows = new Map(found.flat().map((row) => [(row instanceof Stray ? row.key : table.keyOf(row))[0], row]));
			return numbers.map((part) => rows.get(part!));
		}
		return await Promise.all(keys.map(async (key) => {
			return (await this.#getAll(read, IDBKeyRange.only(this.#keyOf(table, key, index)), 1))[0];
		}));
	}

	async #range(read: Range): Promise<object[]> {
		const { limit, reverse } = read;
		// This store uses a counter and never reads from the end.
		const rows = await this.#getAll(read, this.#boundsOf(read), reverse || limit === Infinity ? undefined : limit);
		return reverse ? rows.reverse().slice(0, limit) : rows;
	}

	async #getAll(read: Get | Range, keys: IDBKeyRange, limit?: number): Promise<object[]> {
		const { table, index } = read;
		const source = this.#sourceOf(read);
		const found = await result(source.getAll(keys, limit), true) as object[] | undefined;
		if (found?.every(Boolean)) return found.map((one) => toRow(table, one, this.#basket, index));
		// The browser has lost the values of some rows (large values are separate files), but still has their keys.
		const primary = await result(source.getAllKeys(keys, limit));
		return await Promise.all(primary.map(async (key) => {
			const found = await result(this.#store.get(key), true);
			return found ? toRow(table, found, this.#basket, index) : await this.#salvage(table, keyIn(key));
		}));
	}

	/** Recovers what the index still knows of an unreadable row, by a walk through the index. This is rare. */
	async #salvage(table: Table, key: Key): Promise<Stray> {
		const value: object = {};
		const request = this.#index.openKeyCursor(IDBKeyRange.bound([this.#basket], [this.#basket, last]));
		for (let cursor = await result(request); cursor !== null; cursor = await result(request)) {
			const [, name, ...entry] = cursor.key as [string, string, ...Key];
			const [of, index] = name.split(".");
			const isOwn = of === table.name && isSame(keyIn(cursor.primaryKey), key);
			if (isOwn) Object.assign(value, table.salvage?.(index!, entry));
			cursor.continue();
		}
		return new Stray(key, value);
	}

	#sourceOf({ index }: Read): IDBObjectStore | IDBIndex {
		return index === undefined ? this.#store : this.#index;
	}

	#boundsOf(read: Range | Count): IDBKeyRange {
		const { table, index, prefix, upTo = prefix, above }: Count & { above?: Key | undefined } = read as Count;
		const lower = this.#keyOf(table, above ?? prefix, index);
		if (above !== undefined) lower.push(last);
		return IDBKeyRange.bound(lower, [...this.#keyOf(table, upTo, index), last]);
	}

	#keyOf(table: Table, key: Key, index?: string): IDBValidKey[] {
		return [this.#basket, index === undefined ? table.name : `${table.name}.${index}`, ...key];
	}
}

function keysIn<Row extends object>(table: Table<Row>, row: Row, basket: string): IDBValidKey[][] {
	const keys: IDBValidKey[][] = [];
	for (const [name, { keyOf }] of Object.entries(table.indexes)) {
		const key = keyOf(row);
		if (key !== undefined) keys.push([basket, `${table.name}.${name}`, ...key]);
	}
	return keys;
}

/** Converts a found record to a row, or to a stray if its keys do not match its content. */
function toRow(table: Table, found: unknown, basket: string, index?: string): object {
	const { key, in: keys, row } = found as Stored;
	if (row !== null && typeof row === "object") {
		if (isSame(table.keyOf(row), keyIn(key)) && isSameList(keysIn(table, row, basket), keys)) return row;
	}
	const entry = Array.isArray(keys) ? keys.find((key) => key?.[1] === `${table.name}.${index}`) : undefined;
	return new Stray(keyIn(key), row ?? null, entry && { index: index!, key: keyIn(entry) }, true);
}

function isSameList(wanted: readonly IDBValidKey[][], found: unknown): boolean {
	return Array.isArray(found) && found.length === wanted.length &&
		wanted.every((key, index) => Array.isArray(found[index]) && isSame(key as Key, found[index]));
}

/** The part of a stored key that belongs to the row. */
function keyIn(key: IDBValidKey | readonly IDBValidKey[]): Key {
	return (key as Key).slice(2);
}

/** The ranges of numbers whose distances are at most `gap`. */
function toRuns(numbers: readonly number[], gap: number): [first: number, last: number][] {
	const runs: [first: number, last: number][] = [];
	for (const number of [...numbers].sort((a, b) => a - b)) {
		const run = runs.at(-1);
		if (run !== undefined && number <= run[1] + gap) run[1] = number;
		else runs.push([number, number]);
	}
	return runs;
}

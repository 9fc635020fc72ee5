/**
 * Rows in IndexedDB: one object store has those of all tables, and one index all keys of all indexes, so that a new table or index needs
 * no new version of the database.
 *
 * What is stored is the `row`, its `key` (`[basket, table, …key]`), and the list `in` of its keys in indexes
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

/** Comes after all numbers and texts in a key, and is below nothing. */
const last: never[] = [];

/** How far apart the numbers of two rows may be that are read in one go. */
const longestGap = 4;

/** A row as it is stored. */
interface Stored {
	readonly key: readonly IDBValidKey[];
	readonly in: readonly IDBValidKey[][];
	readonly row: object;
}

/** Reads and writes rows inside one transaction. Writes are not waited for: the transaction fails with them. */
export class Rows implements RecordTransaction {
	readonly now: number;
	readonly attempt = 0;
	/** Whether those who watch are to be called once this is committed. */
	isAwake = false;
	reason: WakeReason | undefined;
	/** How much was put, in units of text or bytes. */
	size = 0;
	/** The last write. */
	write: IDBRequest | undefined;
	readonly #store: IDBObjectStore;
	readonly #index: IDBIndex;
	readonly #basket: string;
	/** What is to be removed, by table: many at once cost less than each by itself. */
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

	/** What a read comes to. */
	readonly answer = (read: Read): Promise<unknown> => {
		this.flush();
		if (read.type === "get") return this.#get(read);
		return read.type === "range" ? this.#range(read) : result(this.#sourceOf(read).count(this.#boundsOf(read)));
	};

	/** Makes the removals that were put off. */
	flush(): void {
		const all = this.#removed;
		this.#removed = new Map();
		for (const [name, parts] of all) {
			for (const [first, last] of toRuns([...parts], 1)) {
				this.write = this.#store.delete(IDBKeyRange.bound([this.#basket, name, first], [this.#basket, name, last]));
			}
		}
	}

	/** Rows that were written together mostly stand together, and one large read is several times as fast as many. */
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
		// A store with a counter never reads from the end.
		const rows = await this.#getAll(read, this.#boundsOf(read), reverse || limit === Infinity ? undefined : limit);
		return reverse ? rows.reverse().slice(0, limit) : rows;
	}

	async #getAll(read: Get | Range, keys: IDBKeyRange, limit?: number): Promise<object[]> {
		const { table, index } = read;
		const source = this.#sourceOf(read);
		const found = await result(source.getAll(keys, limit), true) as object[] | undefined;
		if (found?.every(Boolean)) return found.map((one) => toRow(table, one, this.#basket, index));
		// The browser has lost what some of the rows hold (large values are files of their own), but has their keys.
		const primary = await result(source.getAllKeys(keys, limit));
		return await Promise.all(primary.map(async (key) => {
			const found = await result(this.#store.get(key), true);
			return found ? toRow(table, found, this.#basket, index) : await this.#salvage(table, keyIn(key));
		}));
	}

	/** What the index still knows of a row that cannot be read: it is walked through, which is rare. */
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

/** What was found, or a stray if it is not what was put there: its keys follow from it. */
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

/** The part of a stored key that is a row's own. */
function keyIn(key: IDBValidKey | readonly IDBValidKey[]): Key {
	return (key as Key).slice(2);
}

/** From the first to the last of numbers that are no further apart than `gap`. */
function toRuns(numbers: readonly number[], gap: number): [first: number, last: number][] {
	const runs: [first: number, last: number][] = [];
	for (const number of [...numbers].sort((a, b) => a - b)) {
		const run = runs.at(-1);
		if (run !== undefined && number <= run[1] + gap) run[1] = number;
		else runs.push([number, number]);
	}
	return runs;
}

/**
 * Rows in IndexedDB. One object store has the rows of all tables, and one index has the keys of all indexes, so that
 * a new table or index needs no new version of the database.
 *
 * A record has the members of a row, its `$key` (`["table basket", …key]`), and the list `$in` of its index keys
 * (`["table.index basket", …key]`). Nested objects and longer keys cost a tenth of each write.
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

/** The first and the last number of a range. */
type Run = [first: number, last: number];

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
	#removed = new Map<Table, Set<number>>();

	constructor(transaction: IDBTransaction, basket: string, now: number) {
		this.#store = transaction.objectStore(rowsName);
		this.#index = this.#store.index(indexName);
		this.#basket = basket;
		this.now = now;
	}

	put<Row extends object>(table: Table<Row>, row: Row): void {
		const key = table.keyOf(row);
		this.#removed.get(table)?.delete(key[0] as number);
		const { payload, data = payload } = row as { payload?: Data; data?: Data };
		this.size += data?.length ?? 0;
		const given = Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined));
		this.write = this.#store.put({ ...given, $key: this.#keyOf(table, key), $in: this.#keysIn(table, row) });
	}

	remove<Row extends object>(table: Table<Row>, row: Row | Stray): void {
		const key = row instanceof Stray ? row.key : table.keyOf(row);
		const [part] = key;
		if (key.length !== 1 || typeof part !== "number") {
			this.write = this.#store.delete(this.#keyOf(table, key));
			return;
		}
		const removed = this.#removed.get(table) ?? new Set();
		this.#removed.set(table, removed.add(part));
	}

	clear(table: Table, prefix: Key): void {
		this.write = this.#store.delete(this.#boundsOf({ type: "count", table, prefix }));
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
		for (const [table, numbers] of all) {
			for (const run of toRuns([...numbers], 1)) this.write = this.#store.delete(this.#boundsOfRun(table, run));
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
			const found = await Promise.all(runs.map((run) => this.#getAll(read, this.#boundsOfRun(table, run))));
			const rows = new Map(found.flat().map((row) => [(row instanceof Stray ? row.key : table.keyOf(row))[0], row]));
			return numbers.map((part) => rows.get(part!));
		}
		return await Promise.all(keys.map(async (key) => {
			return (await this.#getAll(read, IDBKeyRange.only(this.#keyOf(table, key, index)), 1))[0];
		}));
	}

	async #range(read: Range): Promise<object[]> {
		const { limit } = read;
		return await this.#getAll(read, this.#boundsOf(read), limit === Infinity ? undefined : limit);
	}

	async #getAll(read: Get | Range, keys: IDBKeyRange, limit?: number): Promise<object[]> {
		const { table, index, reverse }: Pick<Range, "table" | "index" | "reverse"> = read;
		const source = this.#sourceOf(read);
		const found = reverse ? undefined : await result(source.getAll(keys, limit), true) as object[] | undefined;
		if (found?.every(Boolean)) return found.map((one) => this.#toRow(table, one, index));
		// The browser has lost the values of some rows (large values are separate files), but still has their keys.
		const primary = reverse ? await lastKeys(source, keys, limit) : await result(source.getAllKeys(keys, limit));
		return await Promise.all(primary.map(async (key) => {
			const found = await result(this.#store.get(key), true);
			return found ? this.#toRow(table, found, index) : await this.#salvage(table, keyIn(key));
		}));
	}

	/** Recovers what the indexes still know of an unreadable row, by a walk through them. This is rare. */
	async #salvage(table: Table, key: Key): Promise<Stray> {
		const value: object = {};
		for (const index of Object.keys(table.indexes)) {
			const request = this.#index.openKeyCursor(this.#boundsOf({ type: "count", table, index, prefix: [] }));
			for (let cursor = await result(request); cursor !== null; cursor = await result(request)) {
				if (isSame(keyIn(cursor.primaryKey), key)) Object.assign(value, table.salvage?.(index, keyIn(cursor.key)));
				cursor.continue();
			}
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

	#boundsOfRun(table: Table, [first, last]: Run): IDBKeyRange {
		return IDBKeyRange.bound(this.#keyOf(table, [first]), this.#keyOf(table, [last]));
	}

	/** The names of tables and indexes are letters, so no other basket has the same first part. */
	#keyOf({ name }: Table, key: Key, index?: string): IDBValidKey[] {
		return [`${name}${index === undefined ? "" : `.${index}`} ${this.#basket}`, ...key];
	}

	#keysIn<Row extends object>(table: Table<Row>, row: Row): IDBValidKey[][] {
		return Object.entries(table.indexes).flatMap(([name, { keyOf }]) => {
			const key = keyOf(row);
			return key === undefined ? [] : [this.#keyOf(table, key, name)];
		});
	}

	/** Converts found members to a row, or to a stray if its keys do not match its content. */
	#toRow(table: Table, found: object, index?: string): object {
		const { $key, $in: keys, ...row } = found as { $key: IDBValidKey[]; $in: unknown };
		const key = keyIn($key);
		if (isSame(table.keyOf(row), key) && isSameList(this.#keysIn(table, row), keys)) return row;
		const [name] = this.#keyOf(table, [], index);
		const entry = Array.isArray(keys) ? keys.find((key) => key?.[0] === name) : undefined;
		return new Stray(key, row, entry && { index: index!, key: keyIn(entry) }, true);
	}
}

/** The last primary keys of a range, backwards. */
async function lastKeys(
	source: IDBObjectStore | IDBIndex,
	keys: IDBKeyRange,
	limit = Infinity,
): Promise<IDBValidKey[]> {
	const found: IDBValidKey[] = [];
	const request = source.openKeyCursor(keys, "prev");
	for (let cursor = await result(request); cursor !== null; cursor = await result(request)) {
		found.push(cursor.primaryKey);
		if (found.length >= limit) break;
		cursor.continue();
	}
	return found;
}

function isSameList(wanted: readonly IDBValidKey[][], found: unknown): boolean {
	return Array.isArray(found) && found.length === wanted.length &&
		wanted.every((key, index) => Array.isArray(found[index]) && isSame(key as Key, found[index]));
}

/** The part of a stored key that belongs to the row. */
function keyIn(key: IDBValidKey | readonly IDBValidKey[]): Key {
	return (key as Key).slice(1);
}

/** The ranges of numbers whose distances are at most `gap`. */
function toRuns(numbers: readonly number[], gap: number): Run[] {
	const runs: Run[] = [];
	for (const number of [...numbers].sort((a, b) => a - b)) {
		const run = runs.at(-1);
		if (run !== undefined && number <= run[1] + gap) run[1] = number;
		else runs.push([number, number]);
	}
	return runs;
}

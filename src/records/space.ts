/**
 * The interface below `Store`: rows in tables, with transactions.
 *
 * A database with indexes of its own (IndexedDB) implements {@link RecordSpace}. An ordered map implements
 * `OrderedMap`, which `overMap` converts to a `RecordSpace`. `recordStore` makes a complete store of it.
 *
 * @module
 */

import type { Child, NewTask, StoreCapabilities, TurnResult, WakeReason } from "../basket/store.ts";

/** A part of a key. Parts that are compared have the same type. */
export type Part = string | number;

/** A key. Keys are compared part by part. */
export type Key = readonly Part[];

/** An index of a {@link Table}. */
export interface Index<Row> {
	/** Returns the key of a row in this index, or `undefined` if the row is not in it. It is pure and never throws. */
	keyOf(row: Row): Key | undefined;
	/** Whether no two rows may have the same key. */
	readonly isUnique?: boolean | undefined;
	/** Returns the data that must survive if only the index key of a row is left. A space need not store it. */
	hintOf?(row: Row): Part | undefined;
	/** Whether a space may omit the index: see {@link RecordSpace.isSparse}. */
	readonly isOptional?: boolean | undefined;
}

/** The definition of a table, as data: a space may create its indexes from it, or maintain none. */
export interface Table<Row extends object = object> {
	/** The name, letters only. */
	readonly name: string;
	/** Returns the key of a row. It is pure and never throws. */
	keyOf(row: Row): Key;
	/** Whether two callers may create the same new key. If not, a new row needs no check. @default false */
	readonly isShared?: boolean | undefined;
	/** The indexes by name; letters only. */
	readonly indexes: Readonly<Record<string, Index<Row>>>;
	/** Returns what an index key says about an unreadable row. */
	salvage?(index: string, key: Key): object;
}

/** An index key. */
export interface Entry {
	/** The name of the index. */
	readonly index: string;
	/** The key in the index. */
	readonly key: Key;
	/** See {@link Index.hintOf}. */
	readonly hint?: Part | undefined;
}

/**
 * A value under a key or an index key that is not the expected row, because of a manual edit or data loss.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Stray } from "upkeep/store";
 *
 * // The index contains a task 7 in the lane "ada", but there is none.
 * const stray = new Stray([7], undefined, { index: "lane", key: ["ada", 7] });
 * assert.equal(stray.value, undefined);
 * ```
 */
export class Stray {
	/** The actual key in the table. */
	readonly key: Key;
	/** The found value, if any. */
	readonly value: unknown;
	/** The index key under which it was found, if any. */
	readonly entry: Entry | undefined;
	/** Whether the value itself is known to be damaged, and not only the index key. */
	readonly isDamaged: boolean;

	/** Created by a space. */
	constructor(key: Key, value: unknown, entry?: Entry, isDamaged = false) {
		this.key = key;
		this.value = value;
		this.entry = entry;
		this.isDamaged = isDamaged;
	}
}

/**
 * Reads rows by their keys, or by their keys in a unique index. The answer has one element per key. O(log N) each.
 *
 * In an optimistic space, a row that gets another key meanwhile is found under the old or the new one: a work that finds
 * nothing may write nothing, and then no commit tells it that it was wrong.
 */
export interface Get<Row extends object = object> {
	/** Discriminates a {@link Read}. */
	readonly type: "get";
	/** The table. */
	readonly table: Table<Row>;
	/** The name of a unique index. */
	readonly index?: string | undefined;
	/** The keys. */
	readonly keys: readonly Key[];
	/** The type of the answer; never present. */
	readonly answer?: readonly (Row | Stray | undefined)[];
}

/**
 * Reads rows in the order of their keys (texts by their UTF-16 code units or by their code points, lone surrogates anywhere): keys that begin with `prefix`, after `above` (and after all keys that begin
 * with it), and not after `upTo` (or after keys that begin with it). O(log N + answer): it reads nothing beyond
 * `limit`.
 *
 * In an optimistic space, the answer is a hint: rows may be slightly outdated, and only rows that are then put,
 * removed or guarded are checked.
 */
export interface Range<Row extends object = object> {
	/** Discriminates a {@link Read}. */
	readonly type: "range";
	/** The table. */
	readonly table: Table<Row>;
	/** The name of an index. Absent: by the keys of the rows. */
	readonly index?: string | undefined;
	/** The common prefix of the keys. */
	readonly prefix: Key;
	/** Begins with `prefix`. */
	readonly above?: Key | undefined;
	/** Begins with `prefix`. */
	readonly upTo?: Key | undefined;
	/** The maximum number of rows. */
	readonly limit: number;
	/** Whether to read from the end. */
	readonly reverse?: boolean | undefined;
	/** The type of the answer; never present. */
	readonly answer?: readonly (Row | Stray)[];
}

/** Counts the rows of a {@link Range} without a limit. May take O(answer). */
export interface Count {
	/** Discriminates a {@link Read}. */
	readonly type: "count";
	/** The table. */
	readonly table: Table;
	/** The name of an index. Absent: by the keys of the rows. */
	readonly index?: string | undefined;
	/** The common prefix of the keys. */
	readonly prefix: Key;
	/** Begins with `prefix`. */
	readonly upTo?: Key | undefined;
	/** The type of the answer; never present. */
	readonly answer?: number;
}

/** A read of a {@link Work}. */
export type Read = Get | Range | Count;

/**
 * The work of one transaction: a generator that yields reads, gets their answers, and writes in between. The reads of
 * one `yield` are made together. A work has no effects outside its transaction, because it may be repeated from the
 * start.
 */
export type Work<R> = Generator<readonly Read[], R, readonly unknown[]>;

/** The transaction of a work. Writes are not awaited: if one fails, the transaction fails. */
export interface RecordTransaction {
	/** The clock of the store at the start of the transaction, in milliseconds since 1970. */
	readonly now: number;
	/**
	 * The number of earlier tries of this work that conflicts have rolled back: 0, 1, 2 … After a rollback, it should
	 * take less, or begin elsewhere.
	 */
	readonly attempt: number;
	/**
	 * Whether it is a caller's transaction that is only a list of changes, whose outcome is not reported: a work then
	 * calls {@link fail} instead of returning a negative result. @default false
	 */
	readonly isBlind?: boolean | undefined;
	/**
	 * Writes a row and all its index keys. `before` is the object that a read of this transaction returned for the
	 * same key; absent if there was none. Later reads of the transaction see the row.
	 *
	 * In an optimistic space, the commit fails if `before` has changed since it was read, or if a key that must be
	 * unique (in a shared table or a unique index) is taken.
	 */
	put<Row extends object>(table: Table<Row>, row: Row, before?: Row | Stray): void;
	/** Removes a row or a {@link Stray} and all its index keys. It is checked as in {@link put} if it was read. */
	remove<Row extends object>(table: Table<Row>, row: Row | Stray): void;
	/**
	 * Removes all rows of a table without indexes whose keys begin with a prefix. Absent where this needs reads, or may
	 * not fit into a commit: then such rows are removed in parts, in later transactions.
	 */
	clear?(table: Table, prefix: Key): void;
	/** Removes an index key whose row is missing or does not match; the row stays. Absent where no key does. */
	drop?(table: Table, stray: Stray): void;
	/** Lets the commit fail if a row that was read, or was found to be absent, has changed. Absent where nobody else can write. */
	guard?(table: Table, key: Key): void;
	/** Makes the commit fail. Called only if {@link isBlind}. */
	fail?(): void;
	/** Whether this transaction has put the row. Called only if {@link isBlind}. */
	hasPut?<Row extends object>(table: Table<Row>, row: Row): boolean;
	/**
	 * Wakes the watchers of the basket, with the reason if there is one, when the transaction has committed. May be
	 * called often.
	 */
	wake(reason?: WakeReason): void;
}

/** The limits of a space. An absent member means no limit. */
export interface RecordLimits {
	/** The maximum size of a payload, a message or an entry of a log, in bytes. */
	readonly payload?: number | undefined;
	/** The size of a payload in bytes. @default the length in UTF-8, or the length of the array */
	readonly sizeOf?: ((data: string | Uint8Array) => number) | undefined;
	/** The maximum length of a progress, in UTF-16 code units. */
	readonly progress?: number | undefined;
	/** The maximum length of an error, in UTF-16 code units; longer errors are shortened. */
	readonly error?: number | undefined;
	/** The maximum number of entries that are appended to a log together, if it is less than 100. */
	readonly entries?: number | undefined;
	/** The maximum size of all entries that are appended to a log together, in bytes. @default that of one payload */
	readonly appended?: number | undefined;
	/** The maximum number of unseen messages of a task. */
	readonly messages?: number | undefined;
	/** Throws a `RangeError` for tasks that do not fit into one `add`, or whose names are too long. */
	readonly checkTasks?: ((basket: string, tasks: readonly NewTask[]) => void) | undefined;
	/** Throws a `RangeError` for children of a task that do not fit into one commit, or whose names are too long. */
	readonly checkChildren?: ((basket: string, parent: string, children: readonly Child[]) => void) | undefined;
	/** Throws a `RangeError` for a kind and a limit key that are too long together. */
	readonly checkLimitKey?: ((kind: string, limitKey: string) => void) | undefined;
	/** Throws a `RangeError` for the name of a basket that is too long. */
	readonly checkBasket?: ((basket: string) => void) | undefined;
}

/** The purpose of a work: a space may commit it less durably, or keep space in reserve for it. */
export type Purpose = "read" | "add" | "lease" | "change";

/** Options for {@link RecordSpace.transact}. */
export interface TransactOptions<Tx> {
	/** The caller's own transaction. */
	readonly tx?: Tx | undefined;
	/** `"read"` writes nothing; `"add"` makes the database grow; `"lease"` need not survive a crash of the machine. */
	readonly purpose: Purpose;
}

/** A database as rows in tables, for {@link recordStore}. */
export interface RecordSpace<Tx = never> {
	/** The capabilities of the store. */
	readonly capabilities: StoreCapabilities;
	/** Whether transactions may run concurrently, so that one of them may be rolled back; otherwise one runs at a time. */
	readonly isOptimistic: boolean;
	/** Longer payloads, in UTF-16 code units or bytes, get a row of their own, so that a claim does not write them again. */
	readonly inline: number;
	/**
	 * The maximum number of tasks without a lane that one transaction can change; a task in a lane counts three times.
	 * Absent: any number.
	 */
	readonly perCommit?: number | undefined;
	/**
	 * Whether the space omits optional indexes, because an index key costs as much as a row. Some lists then read all
	 * tasks.
	 */
	readonly isSparse?: boolean | undefined;
	/** The limits. */
	readonly limits?: RecordLimits | undefined;
	/** Returns a unique text for the tokens of this store, without dots. @default random */
	mark?(): string | Promise<string>;
	/** The random source. It returns numbers from 0 to 1. @default Math.random */
	random?(): number;
	/** Creates or migrates the schema. Rejects with `newer-schema`. */
	open(): Promise<void>;
	/**
	 * Runs a work in a transaction, serializable for all rows that it has put, removed or guarded. Commits when the
	 * work returns, and resolves when the commit is durable; rolls back when it throws. If others were faster or the
	 * commit was too large, it pauses and repeats the work with a higher `attempt`; after 30 tries it rejects with
	 * `busy`.
	 *
	 * With `tx`, the work is part of the caller's transaction: its first reads are made before this returns, and it is
	 * never repeated.
	 */
	transact<R>(
		basket: string,
		work: (tx: RecordTransaction) => Work<R>,
		options: TransactOptions<Tx>,
	): Promise<R>;
	/** See {@link Store}. */
	watch?(basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void): () => void;
	/**
	 * For a space that detects when an owner of claims has gone. It is called in the transaction of a turn. If it
	 * returns a function, that function is called with the tokens of all claims after the commit, and resolves with
	 * whether it has ended leases. There is no separate transaction for it, because a frozen tab could block all others
	 * with it.
	 */
	seekOwners?(basket: string, result: TurnResult): ((tokens: readonly string[]) => Promise<boolean>) | undefined;
	/** See {@link Store}. */
	close?(): Promise<void>;
}

/**
 * The seam below `Store`: rows in tables, in a transaction.
 *
 * Who has indexes of its own (IndexedDB) implements {@link RecordSpace}; who has an ordered map implements `OrderedMap`, of which
 * `overMap` makes one. `recordStore` makes a whole store of it.
 *
 * @module
 */

import type { NewTask, StoreCapabilities, TurnResult, WakeReason } from "../basket/store.ts";

/** A part of a key. Where parts of two keys are compared, they are of one type. */
export type Part = string | number;

/** Compared part by part. */
export type Key = readonly Part[];

/** One index of a {@link Table}. */
export interface Index<Row> {
	/** The key of a row in this index, or `undefined` if the row is not in it. A pure function, which never throws. */
	keyOf(row: Row): Key | undefined;
	/** Whether no two rows may have the same key. */
	readonly isUnique?: boolean | undefined;
	/** What somebody who finds a key of this index has to know of the row if it is gone. A space need not store it. */
	hintOf?(row: Row): Part | undefined;
	/** Whether a space may go without it, and says so: see {@link RecordSpace.isSparse}. */
	readonly isOptional?: boolean | undefined;
}

/** What a table is, as data: a space may make its indexes from it, or keep none. */
export interface Table<Row extends object = object> {
	/** Letters only. */
	readonly name: string;
	/** The key of a row. A pure function, which never throws. */
	keyOf(row: Row): Key;
	/** Whether two callers may come to the same new key. If not, a new row needs no check. @default false */
	readonly isShared?: boolean | undefined;
	/** By name: letters only. */
	readonly indexes: Readonly<Record<string, Index<Row>>>;
	/** What a key of an index tells of a row that cannot be read any more. */
	salvage?(index: string, key: Key): object;
}

/** A key of an index. */
export interface Entry {
	/** The name of the index. */
	readonly index: string;
	/** The key there. */
	readonly key: Key;
	/** See {@link Index.hintOf}. */
	readonly hint?: Part | undefined;
}

/**
 * What stands under a key, or under that of an index, and is not the row that belongs there: somebody has edited it, or a disk has lost it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Stray } from "upkeep/store";
 *
 * // The index says that there is a task 7 in the lane "ada", but there is none.
 * const stray = new Stray([7], undefined, { index: "lane", key: ["ada", 7] });
 * assert.equal(stray.value, undefined);
 * ```
 */
export class Stray {
	/** The true key in the table. */
	readonly key: Key;
	/** What is there, if anything is. */
	readonly value: unknown;
	/** Under which key of which index it was found, if it was. */
	readonly entry: Entry | undefined;
	/** Whether the value itself is known to be damaged, and not only the key that led to it. */
	readonly isDamaged: boolean;

	/** Made by a space. */
	constructor(key: Key, value: unknown, entry?: Entry, isDamaged = false) {
		this.key = key;
		this.value = value;
		this.entry = entry;
		this.isDamaged = isDamaged;
	}
}

/** Rows by their keys, or by their keys in a unique index. The answer has one element for each key. O(log N) each. */
export interface Get<Row extends object = object> {
	/** Discriminates a {@link Read}. */
	readonly type: "get";
	/** Where to look. */
	readonly table: Table<Row>;
	/** The name of a unique index. */
	readonly index?: string | undefined;
	/** What to look for. */
	readonly keys: readonly Key[];
	/** What it is answered with; never there. */
	readonly answer?: readonly (Row | Stray | undefined)[];
}

/**
 * Rows in the order of their keys: those that begin with `prefix`, and of these those behind `above` (and behind all that begin
 * with it) and not behind `upTo` (nor behind those that begin with it). O(log N + answer): it reads nothing beyond `limit`.
 *
 * Where the space is optimistic this is a hint: rows may be a moment old, and only what is then put, removed or guarded is checked.
 */
export interface Range<Row extends object = object> {
	/** Discriminates a {@link Read}. */
	readonly type: "range";
	/** Where to look. */
	readonly table: Table<Row>;
	/** The name of an index; absent: by the keys of the rows. */
	readonly index?: string | undefined;
	/** What all keys begin with. */
	readonly prefix: Key;
	/** As long as `prefix`, or longer. */
	readonly above?: Key | undefined;
	/** As long as `prefix`, or longer. */
	readonly upTo?: Key | undefined;
	/** At most this many. */
	readonly limit: number;
	/** From the end. */
	readonly reverse?: boolean | undefined;
	/** What it is answered with; never there. */
	readonly answer?: readonly (Row | Stray)[];
}

/** How many rows a {@link Range} without a limit would give. May take O(answer). */
export interface Count {
	/** Discriminates a {@link Read}. */
	readonly type: "count";
	/** Where to look. */
	readonly table: Table;
	/** The name of an index; absent: by the keys of the rows. */
	readonly index?: string | undefined;
	/** What all keys begin with. */
	readonly prefix: Key;
	/** As long as `prefix`, or longer. */
	readonly upTo?: Key | undefined;
	/** What it is answered with; never there. */
	readonly answer?: number;
}

/** What a {@link Work} may ask. */
export type Read = Get | Range | Count;

/**
 * Something that is done in one transaction: a generator that yields reads, which are all asked at once, is given their answers, and
 * writes in between. It has no effect but through its transaction, since it may be done again from the start.
 */
export type Work<R> = Generator<readonly Read[], R, readonly unknown[]>;

/** One transaction, as a work sees it. Writes are not waited for: if one fails, the transaction does. */
export interface RecordTransaction {
	/** The store's clock when the transaction began, in milliseconds since 1970. */
	readonly now: number;
	/** How often this work was undone by others before: 0, 1, 2 … It should then take less, or begin elsewhere. */
	readonly attempt: number;
	/**
	 * Whether it is a caller's transaction that is only a list of changes, of which nobody learns what it came to: instead of
	 * an answer that says no, a work calls {@link fail}. @default false
	 */
	readonly isBlind?: boolean | undefined;
	/**
	 * Writes a row and its keys in all indexes. `before` is what a read of this transaction gave for the same key, the same
	 * object; absent if there was nothing. Reads of the same transaction see the row from now on.
	 *
	 * Where the space is optimistic, the commit fails if `before` has changed since it was read, or if a key that must be its own
	 * (of a shared table, of a unique index) is taken.
	 */
	put<Row extends object>(table: Table<Row>, row: Row, before?: Row | Stray): void;
	/** Removes a row, or a {@link Stray}, and its keys in all indexes. Checked as in {@link put} if it was read. */
	remove<Row extends object>(table: Table<Row>, row: Row | Stray): void;
	/** Removes the key of an index that leads nowhere, or to a row which says otherwise; that row stays. Absent where no key does. */
	drop?(table: Table, stray: Stray): void;
	/** Lets the commit fail if a row that was read, or was found to be absent, has changed. Absent where nobody else can write. */
	guard?(table: Table, key: Key): void;
	/** Lets the commit fail in any case. Only called where {@link isBlind}. */
	fail?(): void;
	/** Whether this very transaction has put a row. Only called where {@link isBlind}. */
	hasPut?<Row extends object>(table: Table<Row>, row: Row): boolean;
	/** Calls those who watch the basket, with the reason if there is one, once this is committed. May be called often. */
	wake(reason?: WakeReason): void;
}

/** What is allowed in one call, where the space has limits. Whatever is absent has none. */
export interface RecordLimits {
	/** Of a payload or a message, in bytes. */
	readonly payload?: number | undefined;
	/** How many bytes a payload takes. @default UTF-8, or the length of an array */
	readonly sizeOf?: ((data: string | Uint8Array) => number) | undefined;
	/** Of a progress, in units of text. */
	readonly progress?: number | undefined;
	/** Of an error, in units of text; what is longer is cut. */
	readonly error?: number | undefined;
	/** How many messages one task may have that it has not seen. */
	readonly messages?: number | undefined;
	/** Throws a `RangeError` for tasks that do not fit into one `add`, or whose names are too long. */
	readonly checkTasks?: ((basket: string, tasks: readonly NewTask[]) => void) | undefined;
	/** Throws a `RangeError` for the name of a basket that is too long. */
	readonly checkBasket?: ((basket: string) => void) | undefined;
}

/** What a work is for: a space may commit it with less care, or keep space in reserve for it. */
export type Purpose = "read" | "add" | "lease" | "change";

/** How a work is done. */
export interface TransactOptions<Tx> {
	/** The caller's own transaction. */
	readonly tx?: Tx | undefined;
	/** `"read"` writes nothing; `"add"` makes the database grow; `"lease"` need not outlive the machine. */
	readonly purpose: Purpose;
}

/** What a store over rows brings along. */
export interface RecordSpace<Tx = never> {
	/** What the store can do. */
	readonly capabilities: StoreCapabilities;
	/** Whether several transactions may be under way at once, of which one is then undone; otherwise there is one at a time. */
	readonly isOptimistic: boolean;
	/** Payloads longer than this, in units of text or bytes, stand in a row of their own, so that a claim does not write them again. */
	readonly inline: number;
	/** How many tasks without a lane one transaction can change; one in a lane counts three times. Absent: any number. */
	readonly perCommit?: number | undefined;
	/** Whether it does without the indexes that are optional: where each key of an index costs as much as a row. Some lists then read all. */
	readonly isSparse?: boolean | undefined;
	/** What it cannot store. */
	readonly limits?: RecordLimits | undefined;
	/** What the tokens made here have in common with nobody else's. Without dots. @default random */
	mark?(): string | Promise<string>;
	/** Where randomness comes from: numbers from 0 to 1. @default Math.random */
	random?(): number;
	/** Makes what it needs, or migrates it; rejects with `newer-schema`. */
	open(): Promise<void>;
	/**
	 * Does a work in a transaction: serialisable for what it has put, removed or guarded. Commits when the work returns, and resolves
	 * when that is durable; undoes everything when it throws. Does it again, with a higher `attempt` and a pause, when others were
	 * faster or the commit was too large; after 30 times it rejects with `busy`.
	 *
	 * With `tx` it is part of the caller's: its first reads are asked before this returns, and it is never done again.
	 */
	transact<R>(
		basket: string,
		work: (tx: RecordTransaction) => Work<R>,
		options: TransactOptions<Tx>,
	): Promise<R>;
	/** As in a store. */
	watch?(basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void): () => void;
	/**
	 * For a space that knows when an owner of claims has gone. Asked within the transaction of a turn whether it wants to know who there
	 * is: what it gives is told the tokens of all claims once that is committed. In a transaction of its own a tab could stand still, and
	 * hold up all others.
	 */
	seekOwners?(basket: string, result: TurnResult): ((tokens: readonly string[]) => void) | undefined;
	/** As in a store. */
	close?(): Promise<void>;
}

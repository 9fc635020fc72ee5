/**
 * Remembers where the tasks of each kind are, for lists.
 *
 * Task numbers are divided into blocks. A row of the table of blocks says that a block may contain tasks of a kind that
 * are not aside. It is written before the first of them, so that a list misses none, and is removed some time after the
 * last of them. So adding a task mostly writes nothing here.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import * as State from "../sql/state.ts";
import type { Tables } from "./tables.ts";

/** The number of task numbers per block: a list may read so many rows for each that it returns, if kinds are mixed. */
export const blockSize = 128;

/**
 * The count of task numbers that a connection reserves for later. It remembers the rows of their blocks, so nobody
 * removes these.
 */
export const spare = 100;

/** The amount of work after which blocks are checked, and the number of blocks per check. */
const mostWork = 1_024;
const mostChecked = 16;
/** The work of a new block. Also the work that is left at the beginning: processes that do little check blocks, too. */
const workOfBlock = 64;
/** The maximum number of remembered kinds and baskets. */
const mostKnown = 1_000;

interface Block {
	readonly kind: string;
	readonly block: number;
}

export class SqliteBlocks {
	readonly #connection: Connection;
	readonly #tables: Tables;
	/** The last block of each kind that this connection has written and nobody has removed. */
	readonly #known = new Map<string, number>();
	/** The last checked block of each basket. */
	readonly #checked = new Map<string, Block>();
	#work = mostWork - workOfBlock;

	constructor(connection: Connection, tables: Tables) {
		this.#connection = connection;
		this.#tables = tables;
	}

	/**
	 * Writes the blocks of new tasks.
	 *
	 * @param isOwn whether the numbers are new, and the transaction is the store's own
	 */
	note(basket: string, kind: string, first: number, last: number, isOwn: boolean): void {
		const key = `${basket}\0${kind}`;
		const known = isOwn ? this.#known.get(key) : undefined;
		for (let block = blockOf(first); block <= blockOf(last); block++) {
			if (block === known) continue;
			this.#connection.run(`INSERT OR IGNORE INTO ${this.#tables.blocks} VALUES (?, ?, ?)`, basket, kind, block);
			if (isOwn) remember(this.#known, key, block);
			this.#work += workOfBlock;
		}
	}

	/** Others may have removed blocks, or a transaction was rolled back. */
	forget(): void {
		this.#known.clear();
	}

	/**
	 * Now and then removes blocks without tasks, those of the first tasks first; as long as it finds many, it goes on.
	 *
	 * @param work the number of tasks that were removed
	 */
	sweep(basket: string, work: number): void {
		this.#work += work;
		if (this.#work < mostWork) return;
		const most = Math.min(this.#work, 4 * mostWork);
		this.#work = 0;
		for (let count = 0, empty = mostChecked; count < most && 2 * empty >= mostChecked; count += mostChecked) {
			empty = this.#check(basket);
		}
	}

	/** Returns how many of the next blocks were empty. */
	#check(basket: string): number {
		const { blocks, schema, tasks } = this.#tables;
		const last = this.#checked.get(basket);
		const found = this.#connection.all<Block & { readonly isEmpty: number }>(
			`SELECT kind, block, block < (SELECT (seq - ${spare}) / ${blockSize} FROM ${schema}) AND NOT EXISTS (
				SELECT 1 FROM ${tasks} AS task WHERE ${inBlock("block")} AND task.basket = ${blocks}.basket
				AND task.kind = ${blocks}.kind AND (task.${State.isAtHome} ${this.#tables.hasGates ? "OR task.behind" : ""})
			) AS isEmpty
			FROM ${blocks} WHERE basket = ?1 AND (kind, block) > (?2, ?3) ORDER BY kind, block LIMIT ${mostChecked}`,
			...[basket, last?.kind ?? "", last?.block ?? -1],
		);
		const empty = found.filter(({ isEmpty }) => isEmpty);
		for (const { kind, block } of empty) {
			const sql = `DELETE FROM ${blocks} WHERE basket = ? AND kind = ? AND block = ?`;
			this.#connection.run(sql, basket, kind, block);
		}
		if (found.length < mostChecked) this.#checked.delete(basket);
		else remember(this.#checked, basket, found.at(-1)!);
		return empty.length;
	}
}

function blockOf(seq: number): number {
	return Math.floor(seq / blockSize);
}

/** SQL for the tasks whose numbers are in a block. */
export function inBlock(block: string): string {
	return `task.seq BETWEEN ${block} * ${blockSize} AND ${block} * ${blockSize} + ${blockSize - 1}`;
}

/** SQL for those of them whose numbers are in a range. */
export function inBlockWithin(block: string, from: string, to: string): string {
	return `task.seq BETWEEN max(${from}, ${block} * ${blockSize}) AND min(${to}, ${block} * ${blockSize} + ${
		blockSize - 1
	})`;
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
	if (map.size >= mostKnown) map.clear();
	map.set(key, value);
}

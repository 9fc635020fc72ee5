/**
 * The numbers of tasks, which determine their order.
 *
 * @module
 */

import { StoreError } from "../../platform/store-error.ts";
import * as State from "../sql/state.ts";
import { spare, type SqliteBlocks } from "./blocks.ts";
import type { Connection } from "./connection.ts";
import { checkFound, noRow } from "./schema.ts";
import type { Tables } from "./tables.ts";

/**
 * Task numbers that only this connection uses, while the last reserved number is `end` and no transaction was rolled
 * back.
 */
interface Reserve {
	readonly next: number;
	readonly end: number;
	readonly rollbacks: number;
}

export class SqliteNumbers {
	readonly #connection: Connection;
	readonly #tables: Tables;
	readonly #blocks: SqliteBlocks;
	#reserved: Reserve = { next: 1, end: 0, rollbacks: 0 };

	constructor(connection: Connection, tables: Tables, blocks: SqliteBlocks) {
		this.#connection = connection;
		this.#tables = tables;
		this.#blocks = blocks;
	}

	/**
	 * Reserves `count` unique numbers and returns the first, above those of all tasks, even if a manual edit has set
	 * the last number back. A number that is much higher was also written by hand. Spare numbers are kept only if a
	 * transaction of the store has reserved them, because the store does not learn of rollbacks by the caller.
	 */
	reserve(count: number, isOwn: boolean): number {
		const { schema, tasks } = this.#tables;
		const [row] = this.#connection.all<{ version: number; seq: number; last: number }>(
			`SELECT version, seq, (
				SELECT coalesce(max(task.seq), 0) FROM ${tasks} AS task WHERE task.seq < ${schema}.seq + 1000000000
			) AS last FROM ${schema}`,
		);
		checkFound(row?.version, this.#tables);
		const { seq, last } = row!;
		const { rollbacks } = this.#connection;
		const reserved = this.#reserved;
		const isSame = seq === reserved.end && rollbacks === reserved.rollbacks;
		if (isSame && last < reserved.next && count <= seq + 1 - reserved.next) {
			this.#reserved = { ...reserved, next: reserved.next + count };
			return reserved.next;
		}
		if (!isSame) this.#blocks.forget();
		const next = Math.max(seq, last) + count + 1;
		const end = next - 1 + (isOwn ? spare : 0);
		if (!(end < State.never)) throw new StoreError("corrupt", noRow(schema));
		this.#connection.run(`UPDATE ${schema} SET seq = ?`, end);
		if (isOwn) this.#reserved = { next, end, rollbacks };
		return next - count;
	}
}

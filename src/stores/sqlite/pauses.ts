/**
 * The paused kinds of baskets.
 *
 * @module
 */

import type { Pauses } from "../../basket/store.ts";
import type { Connection } from "./connection.ts";
import type { Tables } from "./tables.ts";

/** Stands for all kinds in the table: no kind has this name. */
const all = "";

export class SqlitePauses {
	readonly #connection: Connection;
	readonly #tables: Tables;

	constructor(connection: Connection, tables: Tables) {
		this.#connection = connection;
		this.#tables = tables;
	}

	/** Returns whether this changed anything. */
	set(basket: string, kind: string = all, isPaused: boolean): boolean {
		const { pauses } = this.#tables;
		const sql = isPaused
			? `INSERT OR IGNORE INTO ${pauses} VALUES (?, ?)`
			: `DELETE FROM ${pauses} WHERE basket = ? AND kind = ?`;
		return this.#connection.run(sql, basket, kind) > 0;
	}

	get(basket: string): Pauses {
		const sql = `SELECT kind FROM ${this.#tables.pauses} WHERE basket = ?`;
		const kinds = this.#connection.all<{ kind: string }>(sql, basket).map(({ kind }) => kind);
		return { all: kinds.includes(all), kinds: kinds.filter((kind) => kind !== all).sort() };
	}
}

/**
 * The logs of tasks. Each entry is a row of its own.
 *
 * @module
 */

import type { LogEntry, LogPart, LogRead, Ref } from "../../basket/store.ts";
import { mostRows } from "../sql/sql.ts";
import type { Connection } from "./connection.ts";
import { decode, encode } from "./data.ts";
import { hasLog, isRef, proofOf } from "./proof.ts";
import { isKnown } from "./schema.ts";
import type { Tables } from "./tables.ts";

export class SqliteLogs {
	readonly #connection: Connection;
	readonly #tables: Tables;
	/** Made once, because they run for each step of a job. */
	readonly #sqls: { readonly begin: string; readonly one: string; readonly many: string };

	constructor(connection: Connection, tables: Tables) {
		this.#connection = connection;
		this.#tables = tables;
		const insert = (n: string, data: string, from: string) =>
			`INSERT INTO ${tables.log} SELECT log, ${n}, ${data} FROM ${tables.tasks} ${from}
			WHERE ${isRef()} AND ${hasLog()} AND ${isKnown(tables)}
			ON CONFLICT (task, n) DO UPDATE SET data = excluded.data`;
		this.#sqls = {
			begin: `UPDATE ${tables.tasks} SET log = seq WHERE ${isRef()} AND (${hasLog()}) IS NOT TRUE`,
			one: insert("?3", "?4", ""),
			many: insert("?3 + key", "value", ", (SELECT key, value FROM json_each(?4))"),
		};
	}

	/**
	 * Returns `false` if the claim is lost, or the tables have an unknown version. Only the first entries of a task write
	 * its row.
	 */
	append(basket: string, ref: Ref, part: LogPart): boolean {
		const isFirst = part.after === 0;
		if (isFirst) this.#begin(basket, ref);
		return this.#insert(basket, ref, part) ||
			(!isFirst && this.#begin(basket, ref) && this.#insert(basket, ref, part));
	}

	/** Returns `false` if the claim is lost, or the task has a log already. */
	#begin(basket: string, ref: Ref): boolean {
		return this.#connection.run(this.#sqls.begin, proofOf(ref), basket) > 0;
	}

	/** One statement checks the claim and inserts. Returns `false` if the claim is lost, or if the task has no log. */
	#insert(basket: string, ref: Ref, { after, entries }: LogPart): boolean {
		const { one, many } = this.#sqls;
		const values = entries.map(encode);
		const areTexts = values.length > 1 && values.every((value) => typeof value === "string");
		const parts = areTexts ? [JSON.stringify(values)] : values;
		const [sql, proof] = [areTexts ? many : one, proofOf(ref)];
		return parts.every((part, index) => this.#connection.run(sql, proof, basket, after + 1 + index, part) > 0);
	}

	/** The number of the log, 0 if there is none; `undefined` if the claim is lost. */
	claimed(basket: string, ref: Ref): number | undefined {
		const sql = `SELECT iif(${hasLog()}, log, 0) AS log FROM ${this.#tables.tasks} WHERE ${isRef()}`;
		return this.#connection.all<{ readonly log: number }>(sql, proofOf(ref), basket)[0]?.log;
	}

	/** The entries of a log that can be read: others were written by hand. */
	read(log: number, { after, limit }: LogRead): LogEntry[] {
		const rows = this.#connection.all<{ readonly n: number; readonly data: unknown }>(
			`SELECT n, data FROM ${this.#tables.log} WHERE task = ? AND n > ? ORDER BY n LIMIT ? + 0`,
			...[log, after, Math.min(limit, mostRows)],
		);
		return rows.flatMap(({ n, data: value }) => {
			const data = decode(value);
			return data === undefined || !Number.isSafeInteger(n) ? [] : [{ n, data }];
		});
	}

	remove(log: number): void {
		this.#connection.run(`DELETE FROM ${this.#tables.log} WHERE task = ?`, log);
	}
}

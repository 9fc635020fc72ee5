/**
 * Lists and counts. They read no other baskets, and a list reads only the rows that it returns and their neighbors.
 *
 * No index has all tasks of a basket in the order of their numbers, because it would make each add and each settlement
 * slower. But the blocks of a kind lead to most of its tasks in this order, and an index to the others. A list merges
 * the numbers of these before it reads whole rows.
 *
 * @module
 */

import type { Counts, ListQuery, StoredTask } from "../../basket/store.ts";
import { blockOf, blockSize, inBlock } from "./blocks.ts";
import type { Connection } from "./connection.ts";
import { countsOf, mostRows, showTask, stateOf } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import { bounds, columns, decode, isAmong, type TaskRow } from "./data.ts";
import type { Tables } from "./schema.ts";

/** SQL for tasks in the order of their numbers, after SELECT, and its values after the first three. */
interface Stream {
	readonly sql: string;
	readonly values: readonly (string | number)[];
}

export class SqliteLists {
	readonly #connection: Connection;
	readonly #tables: Tables;

	constructor(connection: Connection, tables: Tables) {
		this.#connection = connection;
		this.#tables = tables;
	}

	/**
	 * Lists at most a million tasks.
	 *
	 * @param after the number after which the list begins
	 */
	list(basket: string, query: ListQuery, after: number, now: number): StoredTask[] {
		const limit = Math.min(query.limit, mostRows);
		const read = ({ sql, values }: Stream) =>
			this.#connection.all<{ seq: number }>(`SELECT task.seq ${sql} LIMIT ?3 + 0`, basket, after, limit, ...values);
		const streams = [...this.#atHome(basket, query, after), ...this.#aside(basket, query, now)];
		const seqs = streams.flatMap(read).map(({ seq }) => seq).sort((a, b) => a - b).slice(0, limit);
		if (seqs.length === 0) return [];
		const sql = `SELECT ${columns} FROM ${this.#tables.tasks} WHERE ${isAmong(seqs)} ORDER BY seq`;
		return this.#connection.all<TaskRow>(sql, ...bounds(seqs)).map((row) => showTask(row, decode(row.payload)));
	}

	/** The tasks that are not aside: one stream per kind. */
	#atHome(basket: string, { state, kind }: ListQuery, after: number): Stream[] {
		const { tasks, blocks, claimable } = this.#tables;
		if (state === "running") {
			// Not in the order of their numbers; but there are only as many as workers process.
			const sql = `FROM ${tasks} AS task INDEXED BY ${claimable} WHERE basket = ?1 AND seq > ?2
				AND state = ${State.running} AND ${State.isClaimable} ${
				kind === undefined ? "" : "AND kind = ?4"
			} ORDER BY seq`;
			return [{ sql, values: kind === undefined ? [] : [kind] }];
		}
		if (state !== undefined && state !== "waiting") return [];
		const sql = `FROM ${blocks} AS home CROSS JOIN ${tasks} AS task
			ON ${inBlock("block", `max(?2 + 1, block * ${blockSize})`)} AND task.basket = ?1 AND task.kind = ?4
			AND ${state === undefined ? State.isAtHome : `state IN (${State.waiting}, ${State.blocked})`}
			WHERE home.basket = ?1 AND home.kind = ?4 AND block >= ?5 ORDER BY block, seq`;
		const kinds = kind === undefined ? this.#kinds(`FROM ${blocks} WHERE basket = ?`, basket) : [kind];
		return kinds.map((kind) => ({ sql, values: [kind, blockOf(after)] }));
	}

	/** The tasks that are aside: one stream per state and kind. */
	#aside(basket: string, query: ListQuery, now: number): Stream[] {
		const { tasks, aside } = this.#tables;
		const from = (table: string) => `FROM ${tasks} ${table} INDEXED BY ${aside} WHERE basket = ?`;
		return this.#forms(query).flatMap((state) => {
			const isThere = `state = ${state} AND ${State.isAside}`;
			const kinds = query.kind === undefined ? this.#kinds(`${from("")} AND ${isThere}`, basket) : [query.kind];
			const isDone = state === State.done;
			const sql = `${from("AS task")}1 AND seq > ?2 AND ${isThere} AND kind = ?4
				${isDone ? "AND (gone IS NULL OR gone > ?5)" : ""} ORDER BY seq`;
			return kinds.map((kind) => ({ sql, values: isDone ? [kind, now] : [kind] }));
		});
	}

	#forms({ state }: ListQuery): number[] {
		const forms = [State.stopping, State.held, State.stayed, State.dead, State.done];
		return forms.filter((form) => state === undefined || stateOf(form) === state);
	}

	/** @param rows SQL for rows of an index that continues with the kind */
	#kinds(rows: string, basket: string): string[] {
		const next = (is: string, kind: string) =>
			this.#connection.all<{ kind: string | null }>(
				`SELECT min(kind) AS kind ${rows} AND kind ${is} ?`,
				basket,
				kind,
			)[0]!
				.kind;
		const kinds: string[] = [];
		for (let kind = next(">=", ""); kind !== null; kind = next(">", kind)) kinds.push(kind);
		return kinds;
	}

	counts(basket: string, now: number): Counts {
		const { tasks, claimable, aside, lanes, kept } = this.#tables;
		const from = (index: string, where: string) => `FROM ${tasks} INDEXED BY ${index} WHERE basket = ?1 AND ${where}`;
		const found = this.#connection.all<{ state: number; count: number }>(
			`SELECT state, count(*) AS count ${from(claimable, State.isClaimable)} GROUP BY state
			UNION ALL SELECT state, count(*) ${from(aside, State.isAside)} GROUP BY state
			UNION ALL SELECT ${State.blocked}, count(*) ${from(lanes, `${State.isInLane} AND state = ${State.blocked}`)}
			UNION ALL SELECT ${State.done}, -count(*) ${from(kept, `gone <= ?2 AND state = ${State.done}`)}`,
			basket,
			now,
		);
		return countsOf(found.map(({ state, count }) => [state, count]));
	}
}

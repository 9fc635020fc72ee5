/**
 * Lists and counts. They read no other baskets, and a list reads only the rows that it returns.
 *
 * No single index has all tasks of a basket in the order of their numbers, because it would make each claim slower.
 * But several indexes together do, each for one kind or for one state of a kind, and SQLite merges them.
 *
 * @module
 */

import type { Counts, ListQuery, StoredTask } from "../../basket/store.ts";
import type { Connection } from "./connection.ts";
import { countsOf, mostRows, showTask, stateOf } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import { columns, decode, homeOf, homesOf, type TaskRow } from "./data.ts";
import type { Tables } from "./schema.ts";

/** Tasks that an index has in the order of their numbers: a condition, and its value, if any. */
interface Stream {
	readonly index: string;
	readonly where: string;
	readonly value: string | number | undefined;
}

/** The maximum number of streams per statement. */
const mostMerged = 50;

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
		const streams = [...this.#atHome(basket, query), ...this.#aside(basket, query)];
		const rows: TaskRow[] = [];
		for (let first = 0; first < streams.length; first += mostMerged) {
			const merged = streams.slice(first, first + mostMerged);
			for (const row of this.#merge(merged, query.kind, [basket, after, limit, now])) rows.push(row);
		}
		if (streams.length > mostMerged) rows.sort((a, b) => a.seq - b.seq);
		return rows.slice(0, limit).map((row) => showTask(row, decode(row.payload)));
	}

	#merge(streams: readonly Stream[], kind: string | undefined, values: (string | number)[]): TaskRow[] {
		const bind = (value: string | number) => `?${values.push(value)}`;
		const same = `basket = ?1 AND seq > ?2${kind === undefined ? "" : ` AND kind = ${bind(kind)}`}`;
		const isThere = `(gone IS NULL OR gone > ?4 OR state <> ${State.done})`;
		const parts = streams.map(({ index, where, value }) =>
			`SELECT ${columns} FROM ${this.#tables.tasks} INDEXED BY ${index} WHERE ${same} AND ${isThere}
			AND ${value === undefined ? where : where.replace("$", bind(value))}`
		);
		return this.#connection.all<TaskRow>(`${parts.join(" UNION ALL ")} ORDER BY seq LIMIT ?3 + 0`, ...values);
	}

	/** The tasks that are not aside: one stream per kind. */
	#atHome(basket: string, { state, kind }: ListQuery): Stream[] {
		const { homes, claimable } = this.#tables;
		const running = `state = ${State.running} AND ${State.isClaimable}`;
		// Not in the order of their numbers; but there are only as many as workers process.
		if (state === "running") return [{ index: claimable, where: running, value: undefined }];
		if (state !== undefined && state !== "waiting") return [];
		const where = `home = $${state === undefined ? "" : ` AND state IN (${State.waiting}, ${State.blocked})`}`;
		const found = kind === undefined ? this.#homes(basket) : [homeOf(basket, kind)];
		return found.map((value) => ({ index: homes, where, value }));
	}

	#homes(basket: string): number[] {
		const { tasks, homes } = this.#tables;
		const sql = `SELECT min(home) AS home FROM ${tasks} INDEXED BY ${homes} WHERE home > ? AND home <= ?`;
		const [first, last] = homesOf(basket);
		const found: number[] = [];
		for (let after: number | null = first - 1; after !== null;) {
			after = this.#connection.all<{ home: number | null }>(sql, after, last)[0]!.home;
			if (after !== null) found.push(after);
		}
		return found;
	}

	/** The tasks that are aside: one stream per state and kind. */
	#aside(basket: string, query: ListQuery): Stream[] {
		return this.#forms(query).flatMap((state) => {
			const kinds = query.kind === undefined ? this.#kinds(basket, state) : [query.kind];
			const where = `state = ${state} AND ${State.isAside} AND kind = $`;
			return kinds.map((value) => ({ index: this.#tables.aside, where, value }));
		});
	}

	#forms({ state }: ListQuery): number[] {
		const forms = [State.stopping, State.held, State.stayed, State.dead, State.done];
		return forms.filter((form) => state === undefined || stateOf(form) === state);
	}

	#kinds(basket: string, state: number): string[] {
		const { tasks, aside } = this.#tables;
		const sql = `SELECT min(kind) AS kind FROM ${tasks} INDEXED BY ${aside}
			WHERE basket = ? AND state = ? AND ${State.isAside} AND kind`;
		const next = (is: string, kind: string) =>
			this.#connection.all<{ kind: string | null }>(`${sql} ${is} ?`, basket, state, kind)[0]!.kind;
		const kinds: string[] = [];
		for (let kind = next(">=", ""); kind !== null; kind = next(">", kind)) kinds.push(kind);
		return kinds;
	}

	counts(basket: string, now: number): Counts {
		const { tasks, claimable, aside, lanes, kept } = this.#tables;
		const from = (index: string, where: string) => `FROM ${tasks} INDEXED BY ${index} WHERE basket = ?1 AND ${where}`;
		const found = this.#connection.all<{ state: number; count: number }>(
			`SELECT state, count(*) AS count ${from(claimable, State.isClaimable)} GROUP BY state
			UNION ALL SELECT state, count(*) ${from(aside, `${State.isAside} AND state > ${State.blocked}`)} GROUP BY state
			UNION ALL SELECT ${State.blocked}, count(*) ${from(lanes, `${State.isInLane} AND state = ${State.blocked}`)}
			UNION ALL SELECT ${State.done}, -count(*) ${from(kept, `gone <= ?2 AND state = ${State.done}`)}`,
			basket,
			now,
		);
		return countsOf(found.map(({ state, count }) => [state, count]));
	}
}

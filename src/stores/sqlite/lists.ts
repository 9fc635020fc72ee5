/**
 * Lists and counts. They read no other baskets, and a list reads only the rows that it returns and their neighbors.
 *
 * No index has all tasks of a basket in the order of their numbers, because it would make each add and each settlement
 * slower. But the blocks of a kind lead to most of its tasks in this order, and an index to the others. A list merges
 * the numbers of these before it reads whole rows. The tasks of a lane have indexes of their own, and those with a prefix
 * are next to each other in the index of the ids.
 *
 * @module
 */

import { type Counts, type ListQuery, type StoredTask, type TaskState, variantMark } from "../../basket/store.ts";
import { blockSize, inBlockWithin } from "./blocks.ts";
import type { Connection } from "./connection.ts";
import { countsOf, formsOf, mostRows, stateOf } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import { bounds, columns, isAmong, isName, show, type TaskRow } from "./data.ts";
import { isAside, isListed } from "./families.ts";
import { isEngaged, isGated } from "./limits.ts";
import { isClaimable } from "./schema.ts";
import type { Tables } from "./tables.ts";

/** SQL for tasks in the order of their numbers, after SELECT, and its values after the first four. */
interface Stream {
	readonly sql: string;
	readonly values: readonly (string | number)[];
	/** What the order of the numbers follows. */
	readonly by?: string;
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
	 * @param after the number behind which the list begins, or before which if it is reverse
	 * @param family that of the parent of the tasks
	 */
	list(basket: string, query: ListQuery, after: number, now: number, family: number | undefined): StoredTask[] {
		const limit = Math.min(query.limit, mostRows);
		let [from, to] = query.isReverse ? [1, after - 1] : [after + 1, State.never];
		const step = query.isReverse ? -1 : 1;
		const order = query.isReverse ? " DESC" : "";
		const read = ({ sql, by = "", values }: Stream) => {
			const rows = this.#connection.all<{ seq: number }>(
				`SELECT task.seq ${sql} ORDER BY ${by && by + order + ","} task.seq${order} LIMIT ?4 + 0`,
				...[basket, from, to, limit, ...values],
			);
			// The other streams need not go further.
			const last = rows[limit - 1];
			if (last !== undefined) [from, to] = query.isReverse ? [last.seq, to] : [from, last.seq];
			return rows;
		};
		const streams = this.#streams(basket, query, now, family);
		const found = streams.flatMap(read).map(({ seq }) => seq).sort((a, b) => step * (a - b)).slice(0, limit);
		if (found.length === 0) return [];
		const seqs = query.isReverse ? found.reverse() : found;
		const sql = `SELECT ${columns(this.#tables)} FROM ${this.#tables.tasks} WHERE ${
			isAmong(seqs)
		} ORDER BY seq${order}`;
		return this.#connection.all<TaskRow>(sql, ...bounds(seqs)).map(show);
	}

	#streams(basket: string, query: ListQuery, now: number, family: number | undefined): Stream[] {
		const { lanes, ended, ids, children } = this.#tables;
		const { state, lane, prefix } = query;
		if (![lane, prefix].every((text) => text === undefined || isName(text))) return [];
		if (family !== undefined) {
			return family === 0 ? [] : [this.#narrow(children, `parent = ${family} AND parent IS NOT NULL`, query, now)];
		}
		if (lane !== undefined) {
			return [
				...isOver(state) === true ? [] : [this.#narrow(lanes, State.isInLane, query, now)],
				...isOver(state) === false ? [] : [this.#narrow(ended, State.isEndedInLane, query, now)],
			];
		}
		if (prefix !== undefined) return [this.#narrow(ids, "id IS NOT NULL", query, now)];
		// In this order, because blocks may lead to many tasks that are aside by now.
		return [...this.#aside(basket, query, now), ...this.#atHome(basket, query)];
	}

	/** The tasks of a lane, of a parent or with a prefix. Ids that the store has created and stored begin with `_`. */
	#narrow(index: string, isThere: string, { state, kind, lane, prefix, parent }: ListQuery, now: number): Stream {
		const values: (string | number)[] = [];
		const value = (given: string | number) => `?${values.push(given) + 4}`;
		const conditions = [`(gone IS NULL OR gone > ${value(now)} OR NOT ${State.isOver})`];
		if (parent === undefined) conditions.push(isListed(this.#tables));
		if (state !== undefined) conditions.push(`state IN (${formsOf(state)})`);
		if (kind !== undefined) conditions.push(isOfKind(value(kind)));
		if (lane !== undefined) conditions.push(`lane = ${value(lane)}`);
		if (prefix !== undefined) conditions.push(`id >= ${value(prefix)}`, "substr(id, 1, 1) <> '_'");
		const end = endOf(prefix);
		if (end !== undefined) conditions.push(`id < ${value(end)}`);
		const sql = `FROM ${this.#tables.tasks} AS task INDEXED BY ${index}
			WHERE basket = ?1 AND seq BETWEEN ?2 AND ?3 AND ${isThere} AND ${conditions.join(" AND ")}`;
		return { sql, values };
	}

	/** The tasks that are not aside: one stream per kind. */
	#atHome(basket: string, { state, kind }: ListQuery): Stream[] {
		const { tasks, blocks, claimable, engaged } = this.#tables;
		if (state === "running") {
			// Not in the order of their numbers; but there are only as many as workers process.
			const stream = (index: string, isThere: string) => ({
				sql: `FROM ${tasks} AS task INDEXED BY ${index} WHERE basket = ?1 AND seq BETWEEN ?2 AND ?3
					AND state = ${State.running} AND ${isThere} AND ${isListed(this.#tables)} ${
					kind === undefined ? "" : `AND ${isOfKind("?5")}`
				}`,
				values: kind === undefined ? [] : [kind],
			});
			const plain = stream(claimable, isClaimable(this.#tables));
			return this.#tables.hasGates ? [plain, stream(engaged, isEngaged())] : [plain];
		}
		if (state !== undefined && state !== "waiting") return [];
		const sql = `FROM ${blocks} AS home CROSS JOIN ${tasks} AS task
			ON ${inBlockWithin("block", "?2", "?3")} AND task.basket = ?1 AND task.kind = ?5 AND ${isListed(this.#tables)}
			AND ${state === undefined ? State.isAtHome : `state IN (${State.waiting}, ${State.blocked})`}
			WHERE home.basket = ?1 AND home.kind = ?5 AND block BETWEEN ?2 / ${blockSize} - 1 AND ?3 / ${blockSize}`;
		const kinds = this.#kinds(`FROM ${blocks} WHERE basket = ?`, basket, kind);
		return kinds.map((kind) => ({ sql, by: "block", values: [kind] }));
	}

	/** The tasks that are aside: one stream per state and kind. */
	#aside(basket: string, query: ListQuery, now: number): Stream[] {
		const { tasks, aside } = this.#tables;
		const from = (table: string) => `FROM ${tasks} ${table} INDEXED BY ${aside} WHERE basket = ?`;
		return this.#forms(query).flatMap((state) => {
			const isThere = `state = ${state} AND ${isAside(this.#tables)} AND ${isListed(this.#tables)}`;
			const kinds = this.#kinds(`${from("")} AND ${isThere}`, basket, query.kind);
			const isOver = state >= State.dead;
			const sql = `${from("AS task")}1 AND seq BETWEEN ?2 AND ?3 AND ${isThere} AND kind = ?5
				${isOver ? "AND (gone IS NULL OR gone > ?6)" : ""}`;
			return kinds.map((kind) => ({ sql, values: isOver ? [kind, now] : [kind] }));
		});
	}

	#forms({ state }: ListQuery): number[] {
		const forms = [State.stopping, State.held, State.stayed, State.dead, State.done];
		return forms.filter((form) => state === undefined || stateOf(form) === state);
	}

	/**
	 * All kinds, or one with its variants.
	 *
	 * @param rows SQL for rows of an index that continues with the kind
	 */
	#kinds(rows: string, basket: string, only?: string): string[] {
		const next = (is: string, kind: string) =>
			this.#connection.all<{ kind: string | null }>(
				`SELECT min(kind) AS kind ${rows} AND kind ${is} ?`,
				basket,
				kind,
			)[0]!
				.kind;
		const [kinds, from] = only === undefined ? [[], ""] : [[only], only + variantMark];
		for (let kind = next(">=", from); kind?.startsWith(from); kind = next(">", kind)) kinds.push(kind);
		return kinds;
	}

	counts(basket: string, now: number): Counts {
		const { tasks, claimable, aside, lanes, kept, gated, engaged, children, hasGates, hasFamilies } = this.#tables;
		const from = (index: string, where: string) => `FROM ${tasks} INDEXED BY ${index} WHERE basket = ?1 AND ${where}`;
		const keyed = !hasGates ? "" : `UNION ALL SELECT ${State.waiting}, count(*) ${from(gated, isGated())}
			UNION ALL SELECT ${State.running}, count(*) ${from(engaged, `${isEngaged()} AND state = ${State.running}`)}`;
		const isChild = `parent IS NOT NULL AND state >= ${State.held} GROUP BY state`;
		const related = hasFamilies ? `UNION ALL SELECT state, count(*) ${from(children, isChild)}` : "";
		const found = this.#connection.all<{ state: number; count: number }>(
			`SELECT state, count(*) AS count ${from(claimable, isClaimable(this.#tables))} GROUP BY state
			UNION ALL SELECT state, count(*) ${from(aside, isAside(this.#tables))} GROUP BY state
			UNION ALL SELECT ${State.blocked}, count(*) ${from(lanes, `${State.isInLane} AND state = ${State.blocked}`)}
			UNION ALL SELECT state, -count(*) ${from(kept, `gone <= ?2 AND ${State.isOver}`)} GROUP BY state
			${keyed} ${related}`,
			basket,
			now,
		);
		return countsOf(found.map(({ state, count }) => [state, count]));
	}
}

/** SQL for whether a task is of a kind or of a variant of it. */
function isOfKind(value: string): string {
	return `(kind = ${value} OR substr(kind, 1, length(${value}) + 1) = ${value} || char(${variantMark.charCodeAt(0)}))`;
}

/** Whether the tasks of this state are over; `undefined` without a state. */
function isOver(state: TaskState | undefined): boolean | undefined {
	return state && (state === "dead" || state === "done");
}

/** The first text behind all that begin with the prefix, in the order of code points; `undefined` if there is none. */
function endOf(prefix = ""): string | undefined {
	const characters = [...prefix];
	while (characters.length > 0) {
		const code = characters.pop()!.codePointAt(0)!;
		if (code === 0x10ffff) continue;
		// Surrogates are no characters.
		return characters.join("") + String.fromCodePoint(code === 0xd7ff ? 0xe000 : code + 1);
	}
	return undefined;
}

/**
 * What turns look at: the due tasks, by kind and priority, and what else they have to heed.
 *
 * @module
 */

import { baseOf, type Claim, type ClaimRequest } from "../../basket/store.ts";
import { mostRows } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import type { Connection } from "./connection.ts";
import { byTurn, claimColumns, type DueRow } from "./data.ts";
import { SqliteGates } from "./gates.ts";
import { SqlitePauses } from "./pauses.ts";
import { checkFound, isClaimable } from "./schema.ts";
import type { Tables } from "./tables.ts";
import { SqliteGrowing } from "./growing.ts";

/** What a turn heeds if it is there. */
export interface Seen {
	/** Whether there are tasks whose retention has ended. */
	readonly hasExpired: boolean;
	/** Whether payloads wait behind claims. */
	readonly hasReplacements: boolean;
	readonly hasPauses: boolean;
}

/** Tasks of one kind and priority that can be claimed, now or later: waiting tasks, or running tasks after their lease. */
export interface Level {
	readonly kind: string;
	readonly state: number;
	readonly priority: number;
	/** The due time of the first of them. */
	readonly due: number;
}

/** The maximum number of levels per statement. */
const mostMerged = 50;

export class SqliteDue extends SqliteGrowing {
	readonly pauses: SqlitePauses;
	readonly gates: SqliteGates;

	constructor(connection: Connection, tables: Tables) {
		super(connection, tables);
		this.pauses = new SqlitePauses(connection, tables);
		this.gates = new SqliteGates(connection, tables);
	}

	/** Looks for what most turns need not heed. The same statement reads the version, which is checked. */
	look(basket: string, now: number): Seen {
		const { replacements, pauses, schema } = this.tables;
		// In one column, because each one costs time.
		const [row] = this.connection.all<{ readonly version: number; readonly bits: number }>(
			`SELECT version, EXISTS (SELECT 1 ${this.expired}) + 2 * EXISTS (SELECT 1 FROM ${replacements})
			+ 4 * EXISTS (SELECT 1 FROM ${pauses} WHERE basket = ?1) AS bits FROM ${schema}`,
			...[basket, now],
		);
		checkFound(row?.version, this.tables);
		const { bits } = row!;
		return { hasExpired: (bits & 1) > 0, hasReplacements: (bits & 2) > 0, hasPauses: (bits & 4) > 0 };
	}

	/** Whether there are children whose parents are gone. */
	hasOrphans(basket: string): boolean {
		return this.families.hasOrphans(basket);
	}

	/** The requests without paused kinds. */
	unpaused(basket: string, requests: readonly ClaimRequest[], { hasPauses }: Seen): readonly ClaimRequest[] {
		if (!hasPauses) return requests;
		const { all, kinds } = this.pauses.get(basket);
		const isPaused = (kind: string) => all || kinds.includes(kind) || kinds.includes(baseOf(kind));
		return requests.map((request) => ({ ...request, kinds: request.kinds.filter((kind) => !isPaused(kind)) }));
	}

	/** The time until the first task of these kinds can be claimed, in milliseconds; `Infinity` if there is none. */
	pauseFor(basket: string, kinds: readonly string[], levels: readonly Level[], now: number): number {
		return Math.min(dueIn(levels, now), this.gates.dueIn(basket, kinds, now));
	}

	/** One index look-up per priority and kind, independent of the number of tasks. */
	levels(basket: string, kinds: readonly string[]): Level[] {
		if (kinds.length === 0) return [];
		const from = `FROM ${this.tables.tasks} AS task INDEXED BY ${this.tables.claimable}
			WHERE task.basket = ?1 AND ${isClaimable(this.tables)}`;
		const same = "task.state = level.state AND task.kind = level.kind";
		return this.connection.all<Level>(
			`WITH RECURSIVE level (kind, state, priority) AS (
				SELECT name.value, form.state, (
					SELECT max(task.priority) ${from} AND task.state = form.state AND task.kind = name.value
				)
				FROM json_each(?2) AS name, (SELECT ${State.waiting} AS state UNION ALL SELECT ${State.running}) AS form
				UNION ALL
				SELECT kind, state, (SELECT max(task.priority) ${from} AND ${same} AND task.priority < level.priority)
				FROM level WHERE priority IS NOT NULL
			)
			SELECT kind, state, priority, (SELECT min(task.due) ${from} AND ${same} AND task.priority = level.priority) AS due
			FROM level WHERE priority IS NOT NULL`,
			basket,
			JSON.stringify([...new Set(kinds)]),
		);
	}

	/** The due tasks in the order of claims, at most as many as needed. */
	protected due(basket: string, levels: readonly Level[], limit: number, now: number): DueRow[] {
		const most = Math.min(limit, mostRows);
		const rows: DueRow[] = [];
		for (let first = 0; first < levels.length; first += mostMerged) {
			for (const row of this.#merge(basket, levels.slice(first, first + mostMerged), most, now)) rows.push(row);
		}
		if (levels.length > mostMerged) rows.sort(byTurn);
		return rows.slice(0, most);
	}

	/** SQLite reads each level from the index, and no more rows than needed. */
	#merge(basket: string, levels: readonly Level[], limit: number, now: number): DueRow[] {
		const one = `SELECT ${claimColumns(this.tables)} FROM ${this.tables.tasks} INDEXED BY ${this.tables.claimable}
			WHERE basket = ?1 AND due <= ?2 AND ${isClaimable(this.tables)}`;
		const parts = levels.map(({ state }, index) =>
			`${one} AND state = ${state} AND kind = ?${2 * index + 4} AND priority = ?${2 * index + 5}`
		);
		return this.connection.all<DueRow>(
			`${parts.join(" UNION ALL ")} ORDER BY ${levels.length > 1 ? "priority DESC, " : ""}due, seq LIMIT ?3 + 0`,
			...[basket, now, limit],
			...levels.flatMap(({ kind, priority }) => [kind, priority]),
		);
	}

	/** Whether a waiting task like this claim is due already. */
	hasMore(basket: string, { kind, priority, limitKey }: Claim, now: number): boolean {
		return limitKey === undefined && this.connection.all(
					`SELECT 1 FROM ${this.tables.tasks} INDEXED BY ${this.tables.claimable} WHERE basket = ?1 AND ${
						isClaimable(this.tables)
					}
			AND state = ${State.waiting} AND kind = ?2 AND priority = ?3 AND due <= ?4 LIMIT 1`,
					...[basket, kind, priority, now],
				).length > 0;
	}

	protected get expired(): string {
		return `FROM ${this.tables.tasks} INDEXED BY ${this.tables.kept} WHERE basket = ?1 AND gone <= ?2 AND ${State.isOver}`;
	}
}

function dueIn(levels: readonly Level[], now: number): number {
	const due = levels.reduce((least, { due }) => Math.min(least, due), State.never);
	return due === State.never ? Infinity : Math.max(0, due - now);
}

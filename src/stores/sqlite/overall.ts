/**
 * The limit of a basket: see `BasketLimit`. Writers come one after the other, so a turn
 * needs no lock. The table of the starts is made by the first turn with such a limit.
 *
 * @module
 */

import type { BasketLimit } from "../../basket/store.ts";
import { admitsIn, admitted, type BasketStarts, moved, noStarts, started } from "../../basket/admission.ts";
import * as State from "../sql/state.ts";
import type { Connection } from "./connection.ts";
import type { DueRow } from "./data.ts";
import { isAside } from "./families.ts";
import { isEngaged } from "./limits.ts";
import { isClaimable } from "./schema.ts";
import type { Tables } from "./tables.ts";

/** The gate of a basket in a turn. */
export interface BasketGate {
	readonly limit: BasketLimit;
	readonly starts: BasketStarts;
	/** Whether the clock was set back. */
	readonly isMoved: boolean;
	/** Whether a turn has found no place. */
	readonly isWanted: boolean;
	readonly running: number;
	/** The number of tasks that may start. */
	readonly left: number;
}

export class SqliteOverall {
	readonly #connection: Connection;
	readonly #tables: Tables;

	constructor(connection: Connection, tables: Tables) {
		this.#connection = connection;
		this.#tables = tables;
	}

	/** The running tasks whose lease has expired. Followers are in another state. */
	late(basket: string, { atOnce }: BasketLimit, now: number): Pick<DueRow, "seq" | "lane">[] {
		if (atOnce === Infinity) return [];
		const isLate = `state = ${State.running} AND due <= ?2`;
		return this.#connection.all(
			`SELECT seq, lane FROM (${this.#running("seq, lane, state, due")}) WHERE ${isLate}`,
			...[basket, now],
		);
	}

	open(basket: string, limit: BasketLimit, now: number): BasketGate {
		const { baskets } = this.#tables;
		this.#connection.run(
			`CREATE TABLE IF NOT EXISTS ${baskets} (
				basket TEXT PRIMARY KEY, next REAL NOT NULL, started REAL NOT NULL, wanted INTEGER NOT NULL
			) STRICT, WITHOUT ROWID`,
		);
		const [row] = this.#connection.all<BasketStarts & { isWanted: number }>(
			`SELECT next, started AS startedAt, wanted AS isWanted FROM ${baskets} WHERE basket = ?1`,
			basket,
		);
		const found = row ?? noStarts;
		const starts = moved(found, now);
		const { count: running } = this.#count(basket, limit);
		const left = admitted(limit, starts, running, now);
		return { limit, starts, isMoved: starts !== found, isWanted: !!row?.isWanted, running, left };
	}

	/**
	 * Counts the starts of a turn.
	 *
	 * @param dueIn the time until a task is due
	 * @returns the time until one may start, and whether others may have one to start now
	 */
	close(
		basket: string,
		gate: BasketGate,
		count: number,
		dueIn: number,
		now: number,
	): { dueIn: number; isFreed: boolean } {
		const { limit } = gate;
		const starts = started(limit, gate.starts, count, now);
		const isFull = gate.running + count >= limit.atOnce;
		const isWanted = isFull && (gate.isWanted || dueIn < Infinity);
		if (isWanted !== gate.isWanted || starts !== gate.starts || gate.isMoved) {
			this.#connection.run(
				`INSERT INTO ${this.#tables.baskets} VALUES (?1, ?2, ?3, ?4)
				ON CONFLICT DO UPDATE SET next = ?2, started = ?3, wanted = ?4`,
				...[basket, starts.next, starts.startedAt, isWanted ? 1 : 0],
			);
		}
		const leaseEnd = isFull && dueIn < Infinity ? this.#count(basket, limit).leaseEnd ?? Infinity : Infinity;
		const nextIn = admitsIn(limit, starts, gate.running + count, leaseEnd, now);
		return { dueIn: Math.max(dueIn, nextIn), isFreed: gate.isWanted && !isFull };
	}

	#count(basket: string, { atOnce }: BasketLimit): { count: number; leaseEnd: number | null } {
		if (atOnce === Infinity) return { count: 0, leaseEnd: null };
		const [row] = this.#connection.all<{ count: number; leaseEnd: number | null }>(
			`SELECT count(*) AS count, min(iif(state = ${State.running}, due, NULL)) AS leaseEnd
			FROM (${this.#running("state, due")})`,
			basket,
		);
		return row!;
	}

	/** SQL for the running tasks of the basket ?1, from three indexes. */
	#running(columns: string): string {
		const { tasks, claimable, aside, engaged, hasGates } = this.#tables;
		const from = (index: string) => `SELECT ${columns} FROM ${tasks} INDEXED BY ${index} WHERE basket = ?1`;
		const rest = hasGates ? "AND gate IS NULL" : "";
		return [
			`${from(claimable)} AND ${isClaimable(this.#tables)} AND state = ${State.running}`,
			`${from(aside)} AND ${isAside(this.#tables)} AND state = ${State.stopping} ${rest}`,
			...hasGates ? [`${from(engaged)} AND ${isEngaged()}`] : [],
		].join(" UNION ALL ");
	}
}

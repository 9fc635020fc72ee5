/**
 * The lanes: who is the head, and which tasks run behind it.
 *
 * @module
 */

import { isCollected } from "../../basket/place.ts";
import * as State from "../sql/state.ts";
import type { Connection } from "./connection.ts";
import { bounds, columnOf, isAmong, isFollower } from "./data.ts";
import type { SqliteReplacements } from "./replacements.ts";
import { createGates } from "./schema.ts";
import type { Tables } from "./tables.ts";

export class SqliteLanes {
	readonly #connection: Connection;
	readonly #tables: Tables;
	readonly #replacements: SqliteReplacements;

	constructor(connection: Connection, tables: Tables, replacements: SqliteReplacements) {
		this.#connection = connection;
		this.#tables = tables;
		this.#replacements = replacements;
	}

	/** Makes the first task of each lane the head if it is blocked. Returns whether one was changed. */
	promote(basket: string, lanes: readonly (string | null | undefined)[]): boolean {
		const named = [...new Set(lanes)].filter((lane) => typeof lane === "string");
		const { tasks, lanes: index } = this.#tables;
		if (named.length === 0) return false;
		const areHeads = `seq IN (
			SELECT (
				SELECT min(seq) FROM ${tasks} INDEXED BY ${index} WHERE basket = ?1 AND lane = value AND ${State.isInLane}
			) FROM json_each(?2)
		)`;
		const values = [basket, JSON.stringify(named)];
		if (this.#tables.hasGates) {
			this.#connection.run(
				`UPDATE ${tasks} SET state = iif(behind = 1, ${State.running}, ${State.stopping}), behind = NULL
				WHERE ${isFollower()} AND ${areHeads}`,
				...values,
			);
		}
		return this.#connection.run(
			`UPDATE ${tasks} SET state = iif(state = ${State.blocked}, ${State.waiting}, ${State.held})
			WHERE state IN (${State.blocked}, ${State.stayed}) AND ${areHeads}`,
			...values,
		) > 0;
	}

	/** The tasks behind one of a lane, in order. */
	behind<Row>(basket: string, lane: string, seq: number, most: number, columns: string): Row[] {
		const { tasks, lanes } = this.#tables;
		return this.#connection.all<Row>(
			`SELECT ${columns} FROM ${tasks} INDEXED BY ${lanes}
			WHERE basket = ?1 AND lane = ?2 AND ${State.isInLane} AND seq > ?3 ORDER BY seq LIMIT ?4 + 0`,
			...[basket, lane, seq, most],
		);
	}

	/** Claims tasks as followers. */
	follow(seqs: readonly number[], worker: string | undefined, until: number, now: number): void {
		if (seqs.length === 0) return;
		createGates(this.#connection, this.#tables);
		this.#connection.run(
			`UPDATE ${this.#tables.tasks} SET state = ${State.stopping}, behind = 1, started = NULL, due = ?3, claims = claims + 1,
			worker = ?4, claimed = ?5 WHERE ${isAmong(seqs)}`,
			...[...bounds(seqs), until, columnOf(worker), now],
		);
	}

	/**
	 * The claims of these tasks have ended, but the tasks stay in their lanes: gives the followers behind them back.
	 *
	 * @param crashes 1 if they have crashed with their head
	 */
	giveBackBehind(
		basket: string,
		heads: readonly { readonly seq: number; readonly lane?: string | null | undefined }[],
		crashes: 0 | 1,
		now: number,
	): void {
		if (!this.#tables.hasGates) return;
		for (const { seq, lane } of heads) {
			if (typeof lane !== "string") continue;
			const seqs = this.#followers(basket, seq, lane);
			if (seqs.length === 0) continue;
			this.#connection.run(
				`UPDATE ${this.#tables.tasks} SET state = iif(behind = 1, ${State.blocked}, ${State.stayed}), behind = NULL,
				due = ?3, backoff = 0, attempts = attempts + ?4, crashes = crashes + ?4,
				worker = iif(?4, worker, NULL), claimed = iif(?4, claimed, NULL) WHERE ${isAmong(seqs)}`,
				...[...bounds(seqs), now, crashes],
			);
			for (const [seq, { payload }] of this.#replacements.among(seqs)) {
				this.#replacements.take([seq], isCollected(payload) ? "continues" : "ends");
			}
		}
	}

	/** The followers behind a task, of which there are mostly none. */
	#followers(basket: string, head: number, lane: string): number[] {
		const seqs: number[] = [];
		for (let most = 1, isFull = true; isFull; most = 1_000) {
			const rows = this.behind<{ seq: number; isBehind: number }>(
				...[basket, lane, seqs.at(-1) ?? head, most] as const,
				`seq, ${isFollower()} AS isBehind`,
			);
			const end = rows.findIndex(({ isBehind }) => !isBehind);
			for (const { seq } of rows.slice(0, end < 0 ? Infinity : end)) seqs.push(seq);
			isFull = end < 0 && rows.length === most;
		}
		return seqs;
	}
}

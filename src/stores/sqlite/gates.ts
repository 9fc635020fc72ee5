/**
 * The gates of limits, see **Limits** in `store.ts`, and `limits.ts` for their rows.
 *
 * @module
 */

import type { KindLimit, Outcome } from "../../basket/store.ts";
import * as State from "../sql/state.ts";
import type { Connection } from "./connection.ts";
import { after, type DueRow } from "./data.ts";
import { isGated, isIdle } from "./limits.ts";
import type { Tables } from "./tables.ts";

/** For which limit a process has computed the gates of a kind, and when it inspected all of them. */
interface Known {
	readonly limit: string;
	readonly at: number;
}

/** The gate of a claim that ends. */
export interface Left {
	readonly kind: string;
	readonly gate: string;
	/** The time of the start that a limit has counted. */
	readonly started: number | null;
	readonly spacing: number | null;
}

/** The time between two inspections of all gates of a kind, in milliseconds: they find what was damaged by hand. */
const inspectInterval = 60_000;
/** The maximum number of remembered kinds. */
const mostKnown = 1_000;
/** The number of idle gates that a turn removes. */
const mostIdle = 100;

export class SqliteGates {
	readonly #connection: Connection;
	readonly #tables: Tables;
	readonly #known = new Map<string, Known>();
	/** The latest time of a claim, to detect a clock that was set back. */
	#latest = 0;

	constructor(connection: Connection, tables: Tables) {
		this.#connection = connection;
		this.#tables = tables;
	}

	/** The kinds that have gates, each with the first time at which one of these is ready. */
	ready(basket: string, kinds: readonly string[]): { kind: string; ready: number }[] {
		if (!this.#tables.hasGates || kinds.length === 0) return [];
		const { gates, ready } = this.#tables;
		return this.#connection.all<{ kind: string; ready: number }>(
			`SELECT kind, ready FROM (
				SELECT value AS kind, (
					SELECT min(ready) FROM ${gates} INDEXED BY ${ready} WHERE basket = ?1 AND kind = value
				) AS ready FROM json_each(?2)
			) WHERE ready IS NOT NULL`,
			...[basket, JSON.stringify([...new Set(kinds)])],
		);
	}

	/** The time until a task of these kinds may be claimed at a gate; `Infinity` if there is none. */
	dueIn(basket: string, kinds: readonly string[], now: number): number {
		const ready = this.ready(basket, kinds).reduce((least, { ready }) => Math.min(least, ready), State.never);
		return ready >= State.never ? Infinity : Math.max(0, ready - now);
	}

	/** Whether {@link prepare} has to inspect gates. */
	isOutdated(basket: string, kinds: readonly string[], limits: readonly KindLimit[], now: number): boolean {
		return this.#tables.hasGates && kinds.some((kind) => !this.#isKnown(basket, kind, limits, now));
	}

	/** Prepares the gates for claims of these kinds, and removes some that are idle. */
	prepare(basket: string, kinds: readonly string[], limits: readonly KindLimit[], now: number): void {
		if (!this.#tables.hasGates) return;
		for (const kind of kinds) {
			if (!this.#isKnown(basket, kind, limits, now)) this.#inspect(basket, kind, textOf(kind, limits), now);
		}
		this.#latest = now;
		const { gates, idle } = this.#tables;
		this.#connection.run(
			`DELETE FROM ${gates} WHERE number IN (
				SELECT number FROM ${gates} INDEXED BY ${idle} WHERE basket = ?1 AND ${isIdle()} AND max(next, shut) <= ?2
				LIMIT ${mostIdle}
			)`,
			...[basket, now],
		);
	}

	#isKnown(basket: string, kind: string, limits: readonly KindLimit[], now: number): boolean {
		if (now < this.#latest) this.#known.clear();
		const known = this.#known.get(`${basket}\0${kind}`);
		return known !== undefined && now - known.at < inspectInterval && known.limit === textOf(kind, limits);
	}

	/** Makes all gates of a kind ready, because another limit may open them, and finds those that are missing. */
	#inspect(basket: string, kind: string, limit: string, now: number): void {
		const { tasks, gates, gated } = this.#tables;
		if (this.#known.size >= mostKnown) this.#known.clear();
		this.#known.set(`${basket}\0${kind}`, { limit, at: now });
		this.#connection.run(
			`UPDATE ${gates} SET ready = min(ready, ?3), last = min(last, ?3), opens = min(opens, ?3), full = 0,
			next = iif(next < ${State.never}, next, 0), shut = iif(shut < ${State.never}, shut, 0)
			WHERE basket = ?1 AND kind = ?2`,
			...[basket, kind, now],
		);
		const next = `SELECT min(task.gate) FROM ${tasks} AS task INDEXED BY ${gated}
			WHERE task.basket = ?1 AND task.kind = ?2 AND ${isGated("task.")} AND task.gate`;
		this.#connection.run(
			`WITH RECURSIVE found (name) AS (
				SELECT (${next} >= '') UNION ALL SELECT (${next} > found.name) FROM found WHERE found.name IS NOT NULL
			)
			INSERT INTO ${gates} (basket, kind, gate, ready) SELECT ?1, ?2, name, ?3 FROM found WHERE name IS NOT NULL
			ON CONFLICT DO NOTHING`,
			...[basket, kind, now],
		);
	}

	/** Heeds how a claim has ended: whether it takes its start back, and whether it shuts the gate. */
	leave(basket: string, { kind, gate, started, spacing }: Left, outcome: Outcome, now: number): void {
		const { gates } = this.#tables;
		const isThere = "basket = ?1 AND kind = ?2 AND gate = ?3";
		if (isTakenBack(outcome) && started !== null && spacing !== null) {
			// A later start was allowed in spite of this one: without it, too much could start.
			const set = "next = next - ?5, opens = min(opens, last), ready = min(ready, last), full = 0";
			const sql = `UPDATE ${gates} SET ${set} WHERE ${isThere} AND started = ?4`;
			this.#connection.run(sql, basket, kind, gate, started, spacing);
		}
		if (!isShutBy(outcome)) return;
		const until = after(now, ("delay" in outcome ? outcome.delay : null) ?? 0);
		this.#connection.run(
			`INSERT INTO ${gates} (basket, kind, gate, ready, shut) VALUES (?1, ?2, ?3, 0, ?4)
			ON CONFLICT (basket, kind, gate) DO UPDATE SET shut = max(shut, excluded.shut)`,
			...[basket, kind, gate, until],
		);
	}

	/** Whether due tasks wait at a gate that may be open. */
	hasWaiting(basket: string, now: number): boolean {
		const { tasks, gates, ready, gated } = this.#tables;
		if (!this.#tables.hasGates) return false;
		const from = `FROM ${gates} AS home INDEXED BY ${ready} WHERE home.basket = ?1`;
		return this.#connection.all(
			`WITH RECURSIVE found (name) AS (
				SELECT (SELECT min(home.kind) ${from})
				UNION ALL SELECT (SELECT min(home.kind) ${from} AND home.kind > found.name) FROM found WHERE name IS NOT NULL
			)
			SELECT 1 FROM found WHERE name IS NOT NULL AND EXISTS (
				SELECT 1 ${from} AND home.kind = found.name AND home.ready <= ?2 AND EXISTS (
					SELECT 1 FROM ${tasks} AS task INDEXED BY ${gated}
					WHERE task.basket = ?1 AND task.kind = home.kind AND task.gate = home.gate
					AND ${isGated("task.")}
				)
			) LIMIT 1`,
			...[basket, now],
		).length > 0;
	}
}

/** The limit of a kind, if it has one. */
export function limitOf(kind: string, limits: readonly KindLimit[]): KindLimit | undefined {
	return limits.find((limit) => limit.kind === kind);
}

/** The numbers of tasks, by the spacing of the limit that counts their starts; 0 if none does. */
export function bySpacing(rows: readonly DueRow[], limits: readonly KindLimit[]): Map<number, number[]> {
	const found = new Map<number, number[]>();
	for (const { seq, kind, gate } of rows) {
		const spacing = (gate ?? null) === null ? 0 : limitOf(kind, limits)?.spacing ?? 0;
		if (!found.get(spacing)?.push(seq)) found.set(spacing, [seq]);
	}
	return found;
}

function textOf(kind: string, limits: readonly KindLimit[]): string {
	const { atOnce, spacing, burst } = limitOf(kind, limits) ?? {};
	return `${atOnce} ${spacing} ${burst}`;
}

/** Whether the end of a claim matters to its gate more than any other end. */
export function isFelt(outcome: Outcome): boolean {
	return isTakenBack(outcome) || isShutBy(outcome);
}

function isTakenBack(outcome: Outcome): boolean {
	return outcome.type === "release" && outcome.delay === undefined;
}

function isShutBy(outcome: Outcome): boolean {
	return "isKeyShut" in outcome && outcome.isKeyShut === true;
}

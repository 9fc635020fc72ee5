/**
 * The tasks that may be claimed at gates: which ones, in which order, and what that does to the gates.
 *
 * @module
 */

import type { KindLimit } from "../../basket/store.ts";
import * as State from "../sql/state.ts";
import type { Connection } from "./connection.ts";
import { byTurn, claimColumns, type DueRow } from "./data.ts";
import { limitOf, type SqliteGates } from "./gates.ts";
import { isEngaged, isGated } from "./limits.ts";
import type { Tables } from "./tables.ts";

/** A gate that was looked at. */
interface Gate {
	readonly number: number;
	readonly kind: string;
	readonly limit: KindLimit | undefined;
	readonly gate: string;
	readonly next: number;
	readonly shut: number;
	/** The number of running tasks, counted up to `atOnce`. */
	readonly running: number;
	/** The first end of a lease, after which others may take the task up; `null` if there is none. */
	readonly lease: number | null;
}

/** The tasks that may be claimed at a gate. */
export interface Pick {
	readonly gate: Gate;
	/** In the order of claims. */
	readonly rows: readonly DueRow[];
	/** The numbers of those that have crashed, and thus need no place. */
	readonly crashed: ReadonlySet<number>;
	/** Whether more tasks are due, and whether none other wait if not. */
	readonly hasMore: boolean;
	readonly isAll: boolean;
	/** Whether some of these could be claimed, too. */
	readonly isCut: boolean;
}

/** From how many keys a few tasks come at least, and how many more gates are looked at. */
const fewestGates = 16;
const spareGates = 3;
/** The maximum number of gates for one request. */
const mostGates = 1_000;

const noneCrashed: ReadonlySet<number> = new Set();

export class SqlitePicks {
	readonly #connection: Connection;
	readonly #tables: Tables;
	readonly #gates: SqliteGates;
	/** Orders the gates that were served in the same millisecond. */
	#turn = 0;

	constructor(connection: Connection, tables: Tables, gates: SqliteGates) {
		this.#connection = connection;
		this.#tables = tables;
		this.#gates = gates;
	}

	/** The tasks that may be claimed at the gates of each kind, in turn. */
	pick(basket: string, kinds: readonly string[], limits: readonly KindLimit[], most: number, now: number): Pick[][] {
		const ready = this.#gates.ready(basket, kinds).filter(({ ready }) => ready <= now);
		return ready.map(({ kind }) => this.#pickOf(basket, kind, limitOf(kind, limits), most, now));
	}

	#pickOf(basket: string, kind: string, limit: KindLimit | undefined, most: number, now: number): Pick[] {
		const picks: Pick[] = [];
		const seen = new Set<number>();
		let count = 0;
		// Each key gets its turn, so a few tasks come from as many keys.
		const isEnough = () => count >= most && picks.length >= Math.min(most, fewestGates);
		for (let scale = 1; !isEnough() && seen.size < mostGates; scale = Math.min(2 * scale, mostGates)) {
			const wanted = scale * Math.max(1, Math.min(most, fewestGates) - picks.length, Math.ceil((most - count) / 2));
			const room = Math.min(wanted, mostGates) + spareGates;
			const looked = this.#look(basket, kind, limit, picks.length + room, now).filter(({ number }) =>
				!seen.has(number)
			);
			const gates = this.#firstOpen(looked, wanted, now);
			for (const { number } of gates) seen.add(number);
			for (const pick of this.#due(basket, gates, most, now)) {
				picks.push(pick);
				count += pick.rows.length;
			}
			if (looked.length < room && gates.length === looked.length) break;
		}
		return picks;
	}

	/** The next gates that are ready. */
	#look(basket: string, kind: string, limit: KindLimit | undefined, most: number, now: number): Gate[] {
		const { gates, ready } = this.#tables;
		const atOnce = limit?.atOnce ?? Infinity;
		const rows = this.#connection.all<Omit<Gate, "kind" | "limit">>(
			`SELECT number, gate, next, shut, (SELECT count(*) FROM (SELECT 1 ${this.#engaged} LIMIT ?5 + 0)) AS running,
				(SELECT min(task.due) ${this.#engaged} AND task.state = ${State.running}) AS lease
			FROM ${gates} AS home INDEXED BY ${ready} WHERE basket = ?1 AND kind = ?2 AND ready <= ?3
			ORDER BY ready, turn LIMIT ?4 + 0`,
			...[basket, kind, now, most, atOnce === Infinity ? 0 : Math.min(atOnce, 1_000_000_000)],
		);
		return rows.map((row) => ({ ...row, kind, limit }));
	}

	/** The gates up to one that is open: so many of these are enough. */
	#firstOpen(looked: readonly Gate[], enough: number, now: number): readonly Gate[] {
		let open = 0;
		const end = looked.findIndex((gate) => {
			const isOpen = startsAt(gate, 1, now) > 0 && (placesAt(gate) > 0 || isCrashedAt(gate, now));
			return isOpen && ++open === enough;
		});
		return end < 0 ? looked : looked.slice(0, end + 1);
	}

	/** SQL for the running tasks of the gate `home`. */
	get #engaged(): string {
		return `FROM ${this.#tables.tasks} AS task INDEXED BY ${this.#tables.engaged}
			WHERE task.basket = ?1 AND task.kind = ?2 AND task.gate = home.gate AND ${isEngaged("task.")}`;
	}

	/** The due tasks of gates. Gates without such tasks are closed. */
	#due(basket: string, looked: readonly Gate[], most: number, now: number): Pick[] {
		const share = Math.max(1, Math.ceil(most / Math.max(1, looked.length)));
		const closed: Closing[] = [];
		const open = new Map<number, Gate[]>();
		const found = new Map<Gate, Pick>();
		for (const gate of looked) {
			const starts = startsAt(gate, most, now);
			const places = Math.min(starts, placesAt(gate));
			const count = Math.min(places, share);
			if (starts > 0 && isCrashedAt(gate, now)) found.set(gate, this.#withCrashed(basket, gate, starts, places, now));
			else if (places <= 0) closed.push({ gate, hasMore: false, isAll: false });
			else if (!open.get(count)?.push(gate)) open.set(count, [gate]);
		}
		for (const [count, gates] of open) {
			// If that fills the gate, more tasks do not matter.
			const most = gates.every((gate) => count === placesAt(gate)) ? count : count + 1;
			const waiting = this.#waiting(basket, gates, most, now);
			for (const gate of gates) {
				const { due, isAll } = waiting.get(gate.gate) ?? nothing;
				const pick = { gate, ...cut(due, count), isAll, crashed: noneCrashed };
				if (due.length === 0) closed.push({ gate, hasMore: false, isAll });
				else found.set(gate, { ...pick, isCut: pick.hasMore && count === share });
			}
		}
		this.#close(basket, closed, now);
		return looked.flatMap((gate) => found.get(gate) ?? []);
	}

	#withCrashed(basket: string, gate: Gate, starts: number, places: number, now: number): Pick {
		const { tasks, engaged } = this.#tables;
		const crashed = this.#connection.all<DueRow>(
			`SELECT ${claimColumns(this.#tables)} FROM ${tasks} WHERE seq IN (
				SELECT seq FROM ${tasks} INDEXED BY ${engaged} WHERE basket = ?1 AND kind = ?2 AND gate = ?3 AND ${isEngaged()}
				AND state = ${State.running} AND due <= ?4 ORDER BY priority DESC, due, seq LIMIT ?5 + 0
			)`,
			...[basket, gate.kind, gate.gate, now, starts + 1],
		);
		const waiting = places > 0 ? this.#waiting(basket, [gate], places + 1, now).get(gate.gate)?.due ?? [] : [];
		const may = cut(waiting, places);
		const { rows, hasMore } = cut([...crashed, ...may.rows].sort(byTurn), starts);
		const numbers = new Set(crashed.map(({ seq }) => seq));
		return { gate, rows, crashed: numbers, hasMore: hasMore || may.hasMore, isAll: false, isCut: false };
	}

	/** The due tasks that wait at gates of one kind, in the order of claims: at most so many of each gate. */
	#waiting(basket: string, gates: readonly Gate[], most: number, now: number): Map<string, Waiting> {
		const { tasks, gated } = this.#tables;
		// Mostly, the first tasks are due; then nothing else is looked at.
		const first = this.#connection.all<DueRow>(
			`SELECT ${
				claimColumns(this.#tables)
			} FROM (SELECT value FROM json_each(?3)) AS place CROSS JOIN ${tasks} ON seq IN (
				SELECT task.seq FROM ${tasks} AS task INDEXED BY ${gated} WHERE task.basket = ?1 AND task.kind = ?2
				AND task.gate = place.value AND ${isGated("task.")} ORDER BY task.priority DESC, task.due, task.seq LIMIT ?4 + 0
			)`,
			...[basket, gates[0]!.kind, namesOf(gates), most],
		);
		const found = new Map<string, Waiting>();
		for (const [gate, rows] of byGate(first)) {
			found.set(gate, { due: rows.sort(byTurn), isAll: rows.length < most });
		}
		const isAhead = ({ gate }: Gate) => found.get(gate)?.due.some(({ due }) => due > now);
		const others = gates.filter(isAhead);
		if (others.length === 0) return found;
		for (const { gate } of others) found.delete(gate);
		const due = this.#connection.all<DueRow>(
			`${this.#levels} SELECT ${claimColumns(this.#tables)} FROM level CROSS JOIN ${tasks} ON seq IN (
				SELECT task.seq FROM ${tasks} AS task INDEXED BY ${gated} WHERE task.basket = ?1 AND task.kind = ?2
				AND task.gate = level.place AND ${isGated("task.")} AND task.priority = level.rank AND task.due <= ?4
				ORDER BY task.due, task.seq LIMIT ?5 + 0
			) WHERE rank IS NOT NULL`,
			...[basket, gates[0]!.kind, namesOf(others), now, most],
		);
		for (const [gate, rows] of byGate(due)) {
			found.set(gate, { due: rows.sort(byTurn).slice(0, most), isAll: false });
		}
		for (const { gate } of others) if (!found.has(gate)) found.set(gate, { due: [], isAll: false });
		return found;
	}

	/** SQL for the priorities of the tasks that wait at the gates ?3 of the kind ?2. */
	get #levels(): string {
		const { tasks, gated } = this.#tables;
		const from = `FROM ${tasks} AS task INDEXED BY ${gated} WHERE task.basket = ?1 AND task.kind = ?2
			AND ${isGated("task.")} AND task.gate`;
		return `WITH RECURSIVE level (place, rank) AS (
				SELECT value, (SELECT max(task.priority) ${from} = value) FROM json_each(?3)
				UNION ALL
				SELECT place, (SELECT max(task.priority) ${from} = level.place AND task.priority < level.rank)
				FROM level WHERE rank IS NOT NULL
			)`;
	}

	/** The first due times at gates of one kind. */
	#fronts(basket: string, gates: readonly Gate[]): Map<string, number> {
		if (gates.length === 0) return new Map();
		const { tasks, gated } = this.#tables;
		const rows = this.#connection.all<{ place: string; due: number }>(
			`${this.#levels} SELECT place, min((
				SELECT min(task.due) FROM ${tasks} AS task INDEXED BY ${gated} WHERE task.basket = ?1 AND task.kind = ?2
				AND task.gate = level.place AND ${isGated("task.")} AND task.priority = level.rank
			)) AS due FROM level WHERE rank IS NOT NULL GROUP BY place`,
			...[basket, gates[0]!.kind, namesOf(gates)],
		);
		return new Map(rows.map(({ place, due }) => [place, due]));
	}

	/** Determines from when on tasks may be claimed at gates of one kind. */
	#close(basket: string, gates: readonly Closing[], now: number): void {
		const isDry = ({ gate, hasMore, isAll }: Closing) => !hasMore && !isAll && placesAt(gate) > 0;
		const fronts = this.#fronts(basket, gates.filter(isDry).map(({ gate }) => gate));
		for (const { gate, hasMore, starts } of gates) {
			const isFull = placesAt(gate) <= 0;
			const waitingAt = isFull ? State.never : hasMore ? now : fronts.get(gate.gate) ?? State.never;
			const at = Math.min(waitingAt, gate.lease ?? State.never);
			const opens = opensAt(gate);
			const served = starts === undefined
				? ""
				: `, last = ?5, turn = ?6${starts > 0 ? ", next = ?7, started = ?5" : ""}`;
			this.#connection.run(
				`UPDATE ${this.#tables.gates} SET ready = ?1, opens = ?2, full = ?3 ${served} WHERE number = ?4`,
				...[at < State.never ? Math.max(at, opens) : State.never, Math.max(now, opens), isFull ? 1 : 0, gate.number],
				...starts === undefined ? [] : [now, ++this.#turn, ...starts > 0 ? [gate.next] : []],
			);
		}
	}

	/**
	 * Writes down what was claimed.
	 *
	 * @param picks those of the gates that had their turn
	 * @param claimed the numbers of the claimed tasks
	 * @param until the end of their leases
	 */
	serve(basket: string, picks: readonly Pick[], claimed: ReadonlySet<number>, until: number, now: number): void {
		const closing = new Map<string, Closing[]>();
		for (const pick of picks) {
			const { kind } = pick.gate;
			const one = this.#serve(basket, pick, pick.rows.filter(({ seq }) => claimed.has(seq)), until, now);
			if (!closing.get(kind)?.push(one)) closing.set(kind, [one]);
		}
		for (const gates of closing.values()) this.#close(basket, gates, now);
	}

	#serve(basket: string, pick: Pick, taken: readonly DueRow[], until: number, now: number): Closing {
		const { gate, rows, crashed, isAll } = pick;
		const spacing = gate.limit?.spacing ?? 0;
		const seqs = taken.map(({ seq }) => seq);
		const starts = spacing > 0 ? taken.length : 0;
		let { next, lease } = gate;
		if (starts > 0) { for (const _ of taken) next = Math.max(now, next) + spacing; }
		if (crashed.size > 0) lease = this.#leaseOf(basket, gate);
		else if (taken.length > 0) lease = Math.min(lease ?? until, until);
		const running = gate.running + seqs.filter((seq) => !crashed.has(seq)).length;
		const hasMore = pick.hasMore || taken.length < rows.length;
		return { gate: { ...gate, next, running, lease }, hasMore, isAll, starts };
	}

	#leaseOf(basket: string, { kind, gate }: Gate): number | null {
		const { tasks, engaged } = this.#tables;
		return this.#connection.all<{ lease: number | null }>(
			`SELECT min(due) AS lease FROM ${tasks} INDEXED BY ${engaged} WHERE basket = ?1 AND kind = ?2
			AND gate = ?3 AND ${isEngaged()} AND state = ${State.running}`,
			...[basket, kind, gate],
		)[0]!.lease;
	}
}

/** A gate after a look. */
interface Closing {
	readonly gate: Gate;
	/** Whether more tasks are due, and whether none other wait if not. */
	readonly hasMore: boolean;
	readonly isAll: boolean;
	/** The number of starts that its limit counts, if it had its turn. */
	readonly starts?: number;
}

/** The due tasks of a gate, and whether these are all that wait there. */
interface Waiting {
	readonly due: readonly DueRow[];
	readonly isAll: boolean;
}

const nothing: Waiting = { due: [], isAll: true };

function byGate(rows: readonly DueRow[]): Map<string, DueRow[]> {
	const found = new Map<string, DueRow[]>();
	for (const row of rows) {
		if (!found.get(row.gate!)?.push(row)) found.set(row.gate!, [row]);
	}
	return found;
}

/**
 * The tasks in the order of claims. Every kind offers a task of one gate at a time; then it is the turn of its next gate,
 * so that a gate whose task must wait for tasks with a higher priority does not keep others from their turn.
 *
 * @param plain the tasks without keys
 */
export function inTurn(
	plain: readonly DueRow[],
	picks: readonly (readonly Pick[])[],
	most: number,
): { rows: DueRow[]; offered: Set<Pick> } {
	const offered = new Set<Pick>();
	const queues = picks.map((kind, number) => kind.map((pick) => ({ pick, number, at: 0 })));
	const rows: DueRow[] = [];
	for (let index = 0; rows.length < most;) {
		const offers = queues.flatMap((queue) => queue.shift() ?? []);
		let best = plain[index];
		let from: typeof offers[number] | undefined;
		for (const offer of offers) {
			offered.add(offer.pick);
			const row = offer.pick.rows[offer.at]!;
			if (best === undefined || byTurn(row, best) < 0) [best, from] = [row, offer];
		}
		if (best === undefined) break;
		rows.push(best);
		if (from === undefined) index++;
		else from.at++;
		for (const offer of offers) {
			if (offer.at < offer.pick.rows.length) queues[offer.number]!.push(offer);
		}
	}
	return { rows, offered };
}

/** The first tasks, and whether there are more. */
function cut(rows: readonly DueRow[], most: number): { rows: DueRow[]; hasMore: boolean } {
	const count = Math.max(0, most);
	return { rows: rows.slice(0, count), hasMore: rows.length > count };
}

function namesOf(gates: readonly Gate[]): string {
	return JSON.stringify(gates.map(({ gate }) => gate));
}

function isCrashedAt({ lease }: Gate, now: number): boolean {
	return lease !== null && lease <= now;
}

/** The number of tasks that may run besides those that do. */
function placesAt({ limit, running }: Gate): number {
	return (limit?.atOnce ?? Infinity) - running;
}

/** The number of tasks that may start now, at most so many. */
function startsAt({ limit, next, shut }: Gate, most: number, now: number): number {
	if (limit === undefined) return most;
	if (shut > now) return 0;
	const { spacing, burst } = limit;
	let starts = 0;
	for (let at = next; starts < most && (spacing === 0 || now >= at - (burst - 1) * spacing); starts++) {
		at = Math.max(now, at) + spacing;
	}
	return starts;
}

/** The instant from which on a task may start. */
function opensAt({ limit, next, shut }: Gate): number {
	if (limit === undefined) return 0;
	const { spacing, burst } = limit;
	const opens = spacing > 0 ? Math.ceil(next - (burst - 1) * spacing) : 0;
	return Math.min(Math.max(0, shut, opens), State.never - 1);
}

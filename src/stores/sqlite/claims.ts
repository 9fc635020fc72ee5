/**
 * Claims and their settlement.
 *
 * @module
 */

import type { Claim, ClaimRequest, Done, Message, Outcome, Ref, Save, Settlement } from "../../basket/store.ts";
import { damaged, endingOf, idOf, isPlain, isRemoval, mostRows, seqOf } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import { after, bounds, decode, encode, isAmong, type TaskRow } from "./data.ts";
import { checkFound } from "./schema.ts";
import { type Gone, SqliteTasks } from "./tasks.ts";

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

/** The number of expired tasks that a turn without settlements removes. */
const leastExpired = 100;

/** The result of {@link proofOf} for the claim of a task. It differs after another claim or a restart. */
const madeProof = "seq || '.' || claims || ' ' || coalesce(id, '_' || seq)";
/** The columns that are read of every claimed task. Each column costs time. */
const claimColumns = `seq, kind, id, lane, priority, due, added, claims, payload,
	state = 0 AND attempts = 0 AND crashes = 0 AND error IS NULL AND posted <= seen AS isFresh`;

type DueRow =
	& Pick<TaskRow, "seq" | "kind" | "id" | "lane" | "priority" | "due" | "added" | "claims" | "payload">
	& { readonly isFresh: number };

/** The history of a task. It is read for few tasks, because most are {@link fresh}. */
type History = Pick<TaskRow, "seq" | "state" | "attempts" | "crashes" | "error" | "posted" | "seen">;

/** The state of an ended task without a lane. */
const noLane: Pick<Gone, "lane"> = { lane: null };

const fresh: Omit<History, "seq"> = { state: 0, attempts: 0, crashes: 0, error: null, posted: 0, seen: 0 };

export class SqliteClaims extends SqliteTasks {
	/** Whether there are done tasks whose retention has ended. The same statement reads the version, which is checked. */
	hasExpired(basket: string, now: number): boolean {
		const [row] = this.connection.all<{ version: number; hasExpired: number }>(
			`SELECT version, EXISTS (SELECT 1 ${this.#expired}) AS hasExpired FROM ${this.tables.schema}`,
			...[basket, now],
		);
		checkFound(row?.version, this.tables);
		return row!.hasExpired > 0;
	}

	/** The time until the first task of these kinds can be claimed, in milliseconds; `Infinity` if there is none. */
	dueIn(basket: string, kinds: readonly string[], now: number): number {
		return dueIn(this.levels(basket, kinds), now);
	}

	/** One index look-up per priority and kind, independent of the number of tasks. */
	levels(basket: string, kinds: readonly string[]): Level[] {
		if (kinds.length === 0) return [];
		const from = `FROM ${this.tables.tasks} AS task INDEXED BY ${this.tables.claimable}
			WHERE task.basket = ?1 AND ${State.isClaimable}`;
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

	/** @param found what {@link levels} has found for these kinds, and perhaps others */
	claim(
		basket: string,
		{ kinds, limit }: ClaimRequest,
		found: readonly Level[],
		lease: number,
		now: number,
	): Claim[] {
		const claims: Claim[] = [];
		let levels = found.filter(({ kind }) => kinds.includes(kind));
		for (let broken = -1; broken !== 0 && claims.length < limit;) {
			if (broken > 0) levels = this.levels(basket, kinds);
			const rows = this.#due(basket, levels.filter(({ due }) => due <= now), limit - claims.length, now);
			const histories = this.#histories(rows.filter(({ isFresh }) => !isFresh).map(({ seq }) => seq));
			const read = rows.map((row) => this.#read(row, histories.get(row.seq) ?? fresh, now));
			const good = read.filter((claim) => typeof claim !== "string");
			this.#take(rows.filter((_, index) => typeof read[index] !== "string").map(({ seq }) => seq), after(now, lease));
			for (const claim of good) claims.push(claim);
			broken = rows.length - good.length;
			if (broken > 0) this.#bury(basket, rows, read);
		}
		return claims;
	}

	#take(seqs: readonly number[], until: number): void {
		if (seqs.length === 0) return;
		this.connection.run(
			`UPDATE ${this.tables.tasks} SET state = ${State.running}, due = ?3, claims = claims + 1,
			attempts = attempts + state, crashes = crashes + state WHERE ${isAmong(seqs)}`,
			...[...bounds(seqs), until],
		);
	}

	#bury(basket: string, rows: readonly DueRow[], read: readonly (Claim | string)[]): void {
		const broken = rows.filter((_, index) => typeof read[index] === "string");
		for (const [index, { seq, payload }] of rows.entries()) {
			const reason = read[index]!;
			if (typeof reason === "string") this.bury(seq, reason, decode(payload) === undefined);
		}
		this.promote(basket, broken.map(({ lane }) => lane));
	}

	/** The due tasks in the order of claims, at most as many as needed. */
	#due(basket: string, levels: readonly Level[], limit: number, now: number): DueRow[] {
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
		const one = `SELECT ${claimColumns} FROM ${this.tables.tasks} INDEXED BY ${this.tables.claimable}
			WHERE basket = ?1 AND due <= ?2 AND ${State.isClaimable}`;
		const parts = levels.map(({ state }, index) =>
			`${one} AND state = ${state} AND kind = ?${2 * index + 4} AND priority = ?${2 * index + 5}`
		);
		return this.connection.all<DueRow>(
			`${parts.join(" UNION ALL ")} ORDER BY ${levels.length > 1 ? "priority DESC, " : ""}due, seq LIMIT ?3 + 0`,
			...[basket, now, limit],
			...levels.flatMap(({ kind, priority }) => [kind, priority]),
		);
	}

	#histories(seqs: readonly number[]): Map<number, History> {
		if (seqs.length === 0) return new Map();
		const rows = this.connection.all<History>(
			`SELECT seq, state, attempts, crashes, error, posted, seen FROM ${this.tables.tasks} WHERE ${isAmong(seqs)}`,
			...bounds(seqs),
		);
		return new Map(rows.map((row) => [row.seq, row]));
	}

	/** The claim, or the reason why the task cannot be claimed. */
	#read(row: DueRow, history: Omit<History, "seq">, now: number): Claim | string {
		const { seq, kind, lane, priority, added, claims } = row;
		const { state, attempts, crashes, error, posted, seen } = history;
		const areCounts = isCount(seq) && isCount(claims) && isCount(attempts) && isCount(crashes) && isCount(posted);
		if (!areCounts || !isCount(seen) || !isCount(Math.abs(priority)) || !isCount(Math.abs(added))) {
			return damaged("a number", Object.values({ ...row, payload: "…", ...history }).join());
		}
		const payload = decode(row.payload);
		if (payload === undefined) return damaged("payload", row.payload);
		const inbox = this.inbox({ seq, posted, seen }).map(({ n, data }) => ({ n, data: decode(data) }));
		if (inbox.some(({ n, data }) => data === undefined || !Number.isSafeInteger(n))) {
			return damaged("inbox", "no message");
		}
		return {
			id: idOf(row),
			token: `${seq}.${claims + 1}`,
			lane: lane ?? undefined,
			kind,
			payload,
			attempts: attempts + state,
			crashes: crashes + state,
			priority,
			error: error ?? undefined,
			addedAt: added,
			age: now - added,
			inbox: inbox as Message[],
		};
	}

	settle(basket: string, settlements: readonly Settlement[], now: number): { settled: boolean[]; isStirred: boolean } {
		const removed = this.#remove(basket, settlements.filter(isRemoval).map(({ ref }) => ref));
		const lanes = [...removed.values()];
		const settled = settlements.map((settlement) => {
			const { ref, outcome } = settlement;
			if (isRemoval(settlement)) return removed.has(proofOf(ref));
			const ended = this.#end(basket, ref, outcome, now);
			if (ended !== undefined && isOver(outcome)) lanes.push(ended.lane);
			return ended !== undefined;
		});
		const isStirred = this.promote(basket, lanes);
		this.blocks.sweep(basket, settlements.length);
		return { settled, isStirred: isStirred || settlements.some(({ outcome }) => !isOver(outcome)) };
	}

	/**
	 * The row is kept, but expires at once: if the task is completed again in the same transaction, the row shows that
	 * this claim did it, and a rollback removes this trace.
	 */
	complete(basket: string, ref: Ref, { retain = 0, payload }: Done, now: number): boolean {
		// It has expired by any clock, even one that is set back.
		const ended = this.#end(basket, ref, { type: "done", retain: retain === 0 ? -now : retain, payload }, now);
		if (ended === undefined) return this.#isDone(basket, ref);
		this.promote(basket, [ended.lane]);
		return true;
	}

	#isDone(basket: string, ref: Ref): boolean {
		const sql = `SELECT 1 FROM ${this.tables.tasks}
			WHERE seq = CAST(?1 AS INTEGER) AND ${madeProof} = ?1 AND basket = ?2 AND state = ${State.done}`;
		return this.connection.all(sql, proofOf(ref), basket).length > 0;
	}

	/** Removes tasks. Returns the proofs of the valid claims, with the lanes. */
	#remove(basket: string, refs: readonly Ref[]): Map<string, string | null> {
		if (refs.length === 0) return new Map();
		const proofs = refs.map(proofOf);
		if (refs.every((ref) => ref.lane === undefined && isPlain(ref)) && this.#removePlain(basket, refs.map(seqOf))) {
			return new Map(proofs.map((proof) => [proof, null]));
		}
		const gone = this.connection.all<Gone>(
			`DELETE FROM ${this.tables.tasks} WHERE seq IN (SELECT seq FROM ${this.#claimed}) RETURNING ${shownGone()}`,
			...[basket, JSON.stringify(proofs)],
		);
		this.forget(gone);
		return new Map(gone.map(({ proof, lane }) => [proof, lane]));
	}

	/** Removes all tasks or none. Most tasks are like this, and removing them without returned rows takes half the time. */
	#removePlain(basket: string, seqs: readonly number[]): boolean {
		const { tasks } = this.tables;
		const [good] = this.connection.all<{ count: number }>(
			`SELECT count(*) AS count FROM ${tasks} WHERE ${isAmong(seqs)} AND basket = ?3 AND claims = 1
			AND ${State.isClaimed} AND id IS NULL AND lane IS NULL AND posted = 0`,
			...[...bounds(seqs), basket],
		);
		const areGood = good!.count === seqs.length;
		if (areGood) this.connection.run(`DELETE FROM ${tasks} WHERE ${isAmong(seqs)}`, ...bounds(seqs));
		return areGood;
	}

	/** SQL for the tasks of the basket ?1 whose claims have one of the proofs ?2. */
	get #claimed(): string {
		return `(SELECT value FROM json_each(?2)) CROSS JOIN ${this.tables.tasks} ON seq = CAST(value AS INTEGER)
			WHERE value = ${madeProof} AND basket = ?1 AND ${State.isClaimed}`;
	}

	/** One statement per task: payloads may be bytes, which JSON cannot contain. */
	#end(basket: string, ref: Ref, outcome: Outcome, now: number): Pick<Gone, "lane"> | undefined {
		const { state, delay, attempts, crashes, error, backoff, seen, payload } = endingOf(outcome);
		const due = delay === null ? State.never : after(now, delay);
		const isDone = state === State.done;
		// Otherwise the index of this column is not written.
		const leave = state > State.blocked ? `gone = ${isDone ? "?4" : "NULL"},` : "";
		const update = `UPDATE ${this.tables.tasks} SET ${leave}
				state = iif(?3 = ${State.waiting} AND state = ${State.stopping}, ${State.held}, ?3),
				due = iif(?9 IS NOT NULL AND posted > max(seen, ?9), min(?4, ?10), ?4),
				attempts = coalesce(?5, attempts),
				crashes = coalesce(?6, crashes),
				error = coalesce(?7, error),
				backoff = ?8,
				seen = max(seen, min(posted, coalesce(?9, 0))),
				payload = coalesce(?11, payload)
			WHERE ${isRef()}`;
		const values = [
			...[proofOf(ref), basket, state, due, attempts ?? null, crashes ?? null, error ?? null],
			...[backoff ? 1 : 0, seen ?? null, now, payload === undefined ? null : encode(payload)],
		];
		if (ref.lane === undefined && seen === undefined) {
			return this.connection.run(update, ...values) > 0 ? noLane : undefined;
		}
		const [ended] = this.connection.all<Gone>(`${update} RETURNING ${shownGone()}`, ...values);
		if (ended !== undefined && seen !== undefined) this.#forgetSeen(ended, seen);
		return ended;
	}

	/** Removes messages up to a number. */
	#forgetSeen({ seq, isPosted }: Gone, seen: number): void {
		if (isPosted) this.connection.run(`DELETE FROM ${this.tables.messages} WHERE task = ? AND n <= ?`, seq, seen);
	}

	/** Whether a waiting task like this claim is due already. */
	hasMore(basket: string, { kind, priority }: Claim, now: number): boolean {
		return this.connection.all(
			`SELECT 1 FROM ${this.tables.tasks} INDEXED BY ${this.tables.claimable} WHERE basket = ?1 AND ${State.isClaimable}
			AND state = ${State.waiting} AND kind = ?2 AND priority = ?3 AND due <= ?4 LIMIT 1`,
			...[basket, kind, priority, now],
		).length > 0;
	}

	get #expired(): string {
		return `FROM ${this.tables.tasks} INDEXED BY ${this.tables.kept} WHERE basket = ?1 AND gone <= ?2 AND state = ${State.done}`;
	}

	/** Removes expired tasks: at least as many as were settled. */
	expire(basket: string, settled: number, now: number): void {
		this.forget(this.connection.all<Gone>(
			`DELETE FROM ${this.tables.tasks} WHERE seq IN (SELECT seq ${this.#expired} ORDER BY gone LIMIT ?3 + 0)
			RETURNING ${shownGone()}`,
			...[basket, now, settled + leastExpired],
		));
	}

	extend(basket: string, refs: readonly Ref[], lease: number, now: number): ("ok" | "lost" | "posted")[] {
		const extended = this.connection.all<{ proof: string; isPosted: number }>(
			`UPDATE ${this.tables.tasks} SET due = ?3 WHERE seq IN (SELECT seq FROM ${this.#claimed})
			RETURNING ${madeProof} AS proof, posted > seen AS isPosted`,
			...[basket, JSON.stringify(refs.map(proofOf)), after(now, lease)],
		);
		const found = new Map(extended.map(({ proof, isPosted }) => [proof, isPosted ? "posted" : "ok"] as const));
		return refs.map((ref) => found.get(proofOf(ref)) ?? "lost");
	}

	save(basket: string, saves: readonly Save[]): boolean[] {
		return saves.map(({ ref, payload, progress, seen = 0 }) => {
			const data = payload === undefined ? null : encode(payload);
			const set = `UPDATE ${this.tables.tasks} SET payload = coalesce(?3, payload), progress = coalesce(?4, progress)`;
			const values = [proofOf(ref), basket, data, progress ?? null];
			// Without a returned row it takes a third of the time.
			if (seen === 0) return this.connection.run(`${set} WHERE ${isRef()}`, ...values) > 0;
			const [saved] = this.connection.all<Gone>(
				`${set}, seen = max(seen, min(posted, ?5)) WHERE ${isRef()} RETURNING ${shownGone()}`,
				...[...values, seen],
			);
			if (saved !== undefined) this.#forgetSeen(saved, seen);
			return saved !== undefined;
		});
	}
}

export function dueIn(levels: readonly Level[], now: number): number {
	const due = levels.reduce((least, { due }) => Math.min(least, due), State.never);
	return due === State.never ? Infinity : Math.max(0, due - now);
}

function isOver({ type }: Outcome): boolean {
	return type === "done" || type === "dead";
}

/** SQL for the task of the basket ?2 whose claim has the proof ?1. */
function isRef(): string {
	return `seq = CAST(?1 AS INTEGER) AND ${madeProof} = ?1 AND basket = ?2 AND ${State.isClaimed}`;
}

/** For {@link Gone}. */
function shownGone(): string {
	return `seq, ${madeProof} AS proof, lane, posted <> 0 AS isPosted`;
}

/** The proof of a claim. It begins with the number of the task. */
function proofOf({ id, token }: Ref): string {
	return `${token} ${id}`;
}

/** Whether it is a valid counter. */
function isCount(number: number): boolean {
	return number >= 0 && number < State.never;
}

function byTurn(a: DueRow, b: DueRow): number {
	return b.priority - a.priority || a.due - b.due || a.seq - b.seq;
}

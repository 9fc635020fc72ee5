/**
 * What workers write about their claims: their settlement, and what comes before that.
 *
 * @module
 */

import type { Data, Done, LogEntry, LogRead, Offspring, Outcome, Ref, Save, Settlement } from "../../basket/store.ts";
import { isCollected } from "../../basket/place.ts";
import { endingOf, isPlain, isRemoval, seqOf } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import { SqliteClaiming } from "./claiming.ts";
import { after, bounds, encode, isAmong, isFollower } from "./data.ts";
import type { Seen } from "./due.ts";
import { isFelt, type Left } from "./gates.ts";
import { leastExpired } from "./growing.ts";
import { isRef, madeProof, proofOf, shownEnded, shownGone } from "./proof.ts";
import type { Replacement } from "./replacements.ts";
import { createGates } from "./schema.ts";
import type { Gone, Told } from "./tasks.ts";

/** The required data of a task that stays. */
interface Ended extends Pick<Gone, "seq" | "lane"> {
	/** Whether a message was ever posted to it. */
	readonly isPosted: number;
}

/** The state of an ended task without a lane. */
const noLane: Pick<Gone, "lane"> = { lane: null };

export class SqliteClaims extends SqliteClaiming {
	/** The statements that end claims, by what is written besides: without limits, and with them. */
	readonly #updates: readonly [Map<string, string>, Map<string, string>] = [new Map(), new Map()];

	settle(
		basket: string,
		settlements: readonly Settlement[],
		{ hasReplacements }: Seen,
		now: number,
	): { settled: boolean[]; isStirred: boolean } {
		if (settlements.some(({ outcome }) => keyIn(outcome) !== undefined)) createGates(this.connection, this.tables);
		this.families.mark(basket, settlements.filter(endsBadly).map(({ ref }) => ref));
		const replaced = this.replacements.among(hasReplacements ? settlements.map(({ ref }) => seqOf(ref)) : []);
		const isReplaced = ({ ref }: Settlement) => replaced.size > 0 && replaced.has(seqOf(ref));
		const isRemoved = (one: Settlement) => isRemoval(one) && !isReplaced(one) && !countsMessages(one.outcome);
		let isAgain = false;
		const stayed: { readonly seq: number; readonly lane: string | undefined }[] = [];
		const lanes = this.#remove(basket, settlements.filter(isRemoved).map(({ ref }) => ref));
		let next = 0;
		const settled = settlements.map((settlement) => {
			const { ref, outcome, log } = settlement;
			if (isRemoved(settlement)) return lanes[next++] !== undefined;
			if (log !== undefined && !this.logs.append(basket, ref, log)) return false;
			if (this.tables.hasGates && isFelt(outcome)) this.#leave(basket, ref, outcome, now);
			const left = countsMessages(outcome) ? this.#countLeft(basket, ref, outcome.seen) : 0;
			if (left === undefined) return false;
			const isOverNow = isOver(outcome) && left === 0 && !isReplaced(settlement);
			if (isGrowing(settlement) && !isOverNow && !this.grow(basket, ref, settlement, now, true)) return false;
			if (left > 0 || isReplaced(settlement)) {
				isAgain = true;
				const isEnded = this.#endReplaced(basket, ref, outcome, now, replaced.get(seqOf(ref)), left);
				if (isEnded) stayed.push({ seq: seqOf(ref), lane: ref.lane });
				return isEnded;
			}
			if (isRemoval(settlement)) {
				lanes.push(this.#remove(basket, [ref])[0]);
				return true;
			}
			const ended = this.#end(basket, ref, outcome, now);
			if (ended !== undefined && isOver(outcome)) lanes.push(ended.lane);
			else if (ended !== undefined) stayed.push({ seq: seqOf(ref), lane: ref.lane });
			return ended !== undefined;
		});
		this.lanes.giveBackBehind(basket, stayed, 0, now);
		const isStirred = this.lanes.promote(basket, lanes) || isAgain;
		this.blocks.sweep(basket, settlements.length);
		return { settled, isStirred: isStirred || settlements.some(({ outcome }) => !isOver(outcome)) };
	}

	#leave(basket: string, ref: Ref, outcome: Outcome, now: number): void {
		const sql = `SELECT kind, gate, started, spacing FROM ${this.tables.tasks} WHERE ${isRef()} AND gate IS NOT NULL`;
		const [left] = this.connection.all<Left>(sql, proofOf(ref), basket);
		if (left !== undefined) this.gates.leave(basket, left, outcome, now);
	}

	/**
	 * The task stays, and with it the head of its lane.
	 *
	 * @param left how many messages are left, if they matter
	 */
	#endReplaced(
		basket: string,
		ref: Ref,
		outcome: Outcome,
		now: number,
		replacement: Replacement | undefined,
		left: number,
	): boolean {
		const ended = this.#end(
			basket,
			ref,
			isOver(outcome) ? { type: "release", history: outcome.history } : outcome,
			now,
		);
		if (ended === undefined) return false;
		const isFull = outcome.type === "done" && left >= (outcome.most ?? Infinity);
		const keepsTime = isOver(outcome) ? isFull : isCollected(replacement?.payload);
		if (isOver(outcome)) this.replacements.renew(seqOf(ref));
		this.replacements.take([seqOf(ref)], keepsTime ? "continues" : "ends");
		return true;
	}

	/** Removes the messages up to a number, and counts the others. Returns `undefined` if the claim is lost. */
	#countLeft(basket: string, ref: Ref, seen: number): number | undefined {
		const [row] = this.connection.all<Ended & { readonly left: number }>(
			`UPDATE ${this.tables.tasks} SET seen = max(seen, min(posted, ?3)) WHERE ${isRef()}
			RETURNING ${shownEnded}, posted - seen AS left`,
			...[proofOf(ref), basket, seen],
		);
		if (row !== undefined) this.#forgetSeen(row, seen);
		return row?.left;
	}

	/**
	 * The row is kept, but expires at once: if the task is completed again in the same transaction, the row shows that
	 * this claim did it, and a rollback removes this trace.
	 */
	complete(basket: string, ref: Ref, done: Done, now: number): boolean {
		const left = countsMessages(done) ? this.#countLeft(basket, ref, done.seen) : 0;
		if (left === undefined) return this.#isDone(basket, ref);
		if (done.isBad) this.families.mark(basket, [ref]);
		const replacement = this.replacements.among([seqOf(ref)]).get(seqOf(ref));
		if (replacement !== undefined || left > 0) {
			const isEnded = this.#endReplaced(basket, ref, done, now, replacement, left);
			if (isEnded) this.lanes.giveBackBehind(basket, [{ seq: seqOf(ref), lane: ref.lane }], 0, now);
			return isEnded;
		}
		// It has expired by any clock, even one that is set back.
		const ended = this.#end(basket, ref, { ...done, retain: (done.retain ?? 0) > 0 ? done.retain : -now }, now);
		if (ended === undefined) return this.#isDone(basket, ref);
		this.lanes.promote(basket, [ended.lane]);
		this.tell(now);
		return true;
	}

	#isDone(basket: string, ref: Ref): boolean {
		const sql = `SELECT 1 FROM ${this.tables.tasks}
			WHERE seq = CAST(?1 AS INTEGER) AND ${madeProof} = ?1 AND basket = ?2 AND state = ${State.done}`;
		return this.connection.all(sql, proofOf(ref), basket).length > 0;
	}

	/** Removes tasks. Returns their lanes; `undefined` for a claim that is lost. */
	#remove(basket: string, refs: readonly Ref[]): (string | null | undefined)[] {
		if (refs.length === 0) return [];
		if (refs.every(isPlain) && this.#removePlain(basket, refs.map(seqOf).sort((a, b) => a - b))) {
			return refs.map(({ lane = null }) => lane);
		}
		const proofs = refs.map(proofOf);
		const gone = this.connection.all<Gone>(
			`DELETE FROM ${this.tables.tasks} WHERE seq IN (SELECT seq FROM ${this.#claimed}) RETURNING ${shownGone()}`,
			...[basket, JSON.stringify(proofs)],
		);
		this.forget(gone);
		const lanes = new Map(gone.map(({ proof, lane }) => [proof, lane]));
		return proofs.map((proof) => lanes.get(proof));
	}

	/** Removes all tasks or none. Most tasks are like this, and removing them without returned rows takes half the time. */
	#removePlain(basket: string, seqs: readonly number[]): boolean {
		const { tasks } = this.tables;
		const [good] = this.connection.all<{ count: number }>(
			`SELECT count(*) AS count FROM ${tasks} WHERE ${isAmong(seqs)} AND basket = ?3 AND claims = 1
			AND ${State.isClaimed} AND posted = 0 AND coalesce(id, log) IS NULL`,
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
		const { state, delay, attempts, crashes, error, backoff, seen, payload, result, history } = endingOf(outcome);
		const due = delay === null ? State.never : after(now, delay);
		const isDone = state === State.done;
		const isKeptFor = delay !== null && state >= State.dead;
		// Otherwise the index of this column is not written.
		const leave = state > State.blocked ? `gone = ${isKeptFor ? "?4" : "NULL"},` : "";
		const key = keyIn(outcome);
		// Only a done task has a result, and only a released one gets a key.
		const more: [column: string, value: Data | null][] = [
			...isDone ? [["result", result === undefined ? null : encode(result)] as [string, Data | null]] : [],
			...key === undefined ? [] : [["gate", encode(key)] as [string, Data]],
			...history === undefined ? [] : [["history", encode(history)] as [string, Data]],
		];
		const update = this.#updateWith(leave + more.map(([column], index) => `${column} = ?${12 + index},`).join(""));
		const values = [
			...[proofOf(ref), basket, state, due, attempts ?? null, crashes ?? null, error ?? null],
			...[backoff ? 1 : 0, seen ?? null, now, payload === undefined ? null : encode(payload)],
			...more.map(([, value]) => value),
		];
		if (ref.lane === undefined && seen === undefined) {
			return this.connection.run(update, ...values) > 0 ? noLane : undefined;
		}
		const [ended] = this.connection.all<Ended>(`${update} RETURNING ${shownEnded}`, ...values);
		if (ended !== undefined && seen !== undefined) this.#forgetSeen(ended, seen);
		return ended;
	}

	/** The statement of {@link #end}. It is kept: to put it together anew costs a third of what it costs to run it. */
	#updateWith(more: string): string {
		const { tasks, hasGates } = this.tables;
		const updates = this.#updates[hasGates ? 1 : 0];
		let update = updates.get(more);
		if (update === undefined) {
			update = `UPDATE ${tasks} SET ${more}
				${this.#stateAfter("?3")},
				due = iif(?9 IS NOT NULL AND posted > max(seen, ?9), min(?4, ?10, max(0, added)), ?4),
				attempts = coalesce(?5, attempts),
				crashes = coalesce(?6, crashes),
				error = coalesce(?7, error),
				backoff = ?8,
				seen = max(seen, min(posted, coalesce(?9, 0))),
				payload = coalesce(?11, payload),
				worker = NULL,
				claimed = NULL
			WHERE ${isRef()}`;
			updates.set(more, update);
		}
		return update;
	}

	/** SQL for the state of a claimed task after an outcome: a follower goes back into its lane. */
	#stateAfter(state: string): string {
		const isHeld = `${state} = ${State.waiting} AND state = ${State.stopping}`;
		if (!this.tables.hasGates) return `state = iif(${isHeld}, ${State.held}, ${state})`;
		const place = `iif(behind = 2 OR ${state} = ${State.held}, ${State.stayed}, ${State.blocked})`;
		return `state = CASE WHEN ${isFollower()} AND ${state} < ${State.dead} THEN ${place} WHEN ${isHeld} THEN ${State.held}
			ELSE ${state} END, behind = NULL`;
	}

	/** Removes messages up to a number. */
	#forgetSeen({ seq, isPosted }: Ended, seen: number): void {
		if (isPosted) this.connection.run(`DELETE FROM ${this.tables.messages} WHERE task = ? AND n <= ?`, seq, seen);
	}

	/** What must follow other changes of children: see `tell` and `removeOrphans`. */
	follow(basket: string, settled: number, now: number): Told {
		const told = this.tell(now);
		const { isClaimed } = this.removeOrphans(basket, settled + leastExpired);
		return { ...told, isClaimed: isClaimed || told.isClaimed };
	}

	/** Removes expired tasks: at least as many as were settled. */
	expire(basket: string, settled: number, now: number): void {
		this.forget(this.connection.all<Gone>(
			`DELETE FROM ${this.tables.tasks} WHERE seq IN (SELECT seq ${this.expired} ORDER BY gone LIMIT ?3 + 0)
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

	/** Appends to logs, for which the version was not checked. `undefined` if not all of it could be done so. */
	append(basket: string, saves: readonly Save[]): boolean[] | undefined {
		const isDone = saves.every(isPlainAppend) && saves.every(({ ref, log }) => this.logs.append(basket, ref, log!));
		return isDone ? saves.map(() => true) : undefined;
	}

	/** @param isOwn whether the transaction is the store's own */
	save(basket: string, saves: readonly Save[], now: number, isOwn: boolean): boolean[] {
		return saves.map((save) => {
			const { ref, payload, progress, seen = 0, log } = save;
			if (isGrowing(save) && !this.grow(basket, ref, save, now, isOwn)) return false;
			if (log !== undefined && !this.logs.append(basket, ref, log)) return false;
			// Then the claim is not lost, and the row of the task need not be written.
			const isChecked = log !== undefined || isGrowing(save);
			if (isChecked && payload === undefined && progress === undefined && seen === 0) return true;
			const data = payload === undefined ? null : encode(payload);
			const set = `UPDATE ${this.tables.tasks} SET payload = coalesce(?3, payload), progress = coalesce(?4, progress)`;
			const values = [proofOf(ref), basket, data, progress ?? null];
			// Without a returned row it takes a third of the time.
			if (seen === 0) return this.connection.run(`${set} WHERE ${isRef()}`, ...values) > 0;
			const [saved] = this.connection.all<Ended>(
				`${set}, seen = max(seen, min(posted, ?5)) WHERE ${isRef()} RETURNING ${shownEnded}`,
				...[...values, seen],
			);
			if (saved !== undefined) this.#forgetSeen(saved, seen);
			return saved !== undefined;
		});
	}

	log(basket: string, reads: readonly LogRead[], now: number): (LogEntry[] | undefined)[] {
		return reads.map((read) => {
			const { id, token } = read;
			const found = token === undefined ? this.find(basket, id, now) : this.logs.claimed(basket, { id, token });
			const log = typeof found === "object" ? found.extra ?? 0 : found;
			return log === undefined ? undefined : log > 0 ? this.logs.read(log, read) : [];
		});
	}
}

/** Whether it adds something to its task. */
export function isGrowing({ join, children = [] }: Offspring): boolean {
	return join !== undefined || children.length > 0;
}

/** Whether it writes nothing but a log. */
function isPlainAppend({ log, payload, progress, seen = 0, ...rest }: Save): boolean {
	return log !== undefined && payload === undefined && progress === undefined && seen === 0 && !isGrowing(rest);
}

function endsBadly({ outcome }: Settlement): boolean {
	return outcome.type === "done" && outcome.isBad === true;
}

function countsMessages(outcome: Outcome): outcome is Done & { readonly seen: number } {
	return outcome.type === "done" && outcome.seen !== undefined;
}

/** The key that a released task gets. */
function keyIn(outcome: Outcome): string | undefined {
	return outcome.type === "release" ? outcome.limitKey : undefined;
}

function isOver({ type }: Outcome): boolean {
	return type === "done" || type === "dead";
}

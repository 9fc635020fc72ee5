/**
 * Finds due tasks, and claims them.
 *
 * @module
 */

import type { Claim, ClaimRequest, KindLimit, Message, Turn } from "../../basket/store.ts";
import { mostInbox } from "../../basket/store.ts";
import { damaged, idOf, mostRows } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import type { Connection } from "./connection.ts";
import {
	after,
	bounds,
	claimColumns,
	columnOf,
	decode,
	type DueRow,
	isAmong,
	keyOf,
	originOf,
	type TaskRow,
	textOf,
} from "./data.ts";
import { type Level, SqliteDue } from "./due.ts";
import { bySpacing } from "./gates.ts";
import { lastEntry } from "./proof.ts";
import { inTurn, SqlitePicks } from "./picks.ts";
import type { Tables } from "./tables.ts";

type Past = "meta" | "history" | "worker" | "claimed";

/** The history of a task. It is read for few tasks, because most are {@link fresh}. */
interface History extends Pick<TaskRow, "seq" | "state" | "attempts" | "crashes" | "error" | "posted" | "seen" | Past> {
	/** The number of the last entry of its log. */
	readonly logged: number | null;
}

const fresh: Omit<History, "seq"> = {
	state: 0,
	attempts: 0,
	crashes: 0,
	error: null,
	posted: 0,
	seen: 0,
	meta: null,
	history: null,
	worker: null,
	claimed: null,
	logged: null,
};

/** Who claims tasks, and until when. */
interface Taking extends Pick<Turn, "worker"> {
	readonly until: number;
}

/** The columns of a {@link History}, but for `seq`. */
function historyColumns(tables: Tables): string {
	return `state, attempts, crashes, error, posted, seen, meta, history, worker, claimed, ${
		lastEntry(tables)
	} AS logged`;
}

export class SqliteClaiming extends SqliteDue {
	readonly picks: SqlitePicks;

	constructor(connection: Connection, tables: Tables) {
		super(connection, tables);
		this.picks = new SqlitePicks(connection, tables, this.gates);
	}

	/**
	 * @param found what {@link levels} has found for these kinds, and perhaps others
	 * @param left the number of tasks that the limit of the basket admits, with followers
	 */
	claim(
		basket: string,
		{ kinds, limit }: ClaimRequest,
		found: readonly Level[],
		{ lease, limits = [], runs = [], worker }: Pick<Turn, "lease" | "limits" | "runs" | "worker">,
		left: number,
		now: number,
	): Claim[] {
		const claims: Claim[] = [];
		let heads = 0;
		const until = after(now, lease);
		let levels = found.filter(({ kind }) => kinds.includes(kind));
		for (let isAgain = false, isLast = false; !isLast; isAgain = true) {
			const most = Math.min(limit - heads, left - claims.length);
			if (most <= 0) break;
			if (isAgain) levels = this.levels(basket, kinds);
			const picks = this.picks.pick(basket, kinds, limits, most, now);
			const due = this.due(basket, levels.filter(({ due }) => due <= now), most, now);
			const { rows, offered } = picks.length > 0 ? inTurn(due, picks, most) : { rows: due, offered: [] };
			const { read, taken } = this.#begin(basket, rows, { limits, worker, until }, now);
			heads += taken.length;
			let room = left - claims.length - taken.length;
			const behind: number[] = [];
			for (const [index, claim] of read.entries()) {
				if (typeof claim !== "object") continue;
				claims.push(claim);
				const mostBehind = Math.min((runs.find(({ kind }) => kind === claim.kind)?.most ?? 1) - 1, room);
				if (mostBehind === 0 || claim.lane === undefined || claim.attempts > 0) continue;
				for (const [seq, follower] of this.#behind(basket, rows[index]!, mostBehind, now)) {
					behind.push(seq);
					claims.push(follower);
					room--;
				}
			}
			this.lanes.follow(behind.sort((a, b) => a - b), worker, until, now);
			// Before the changes that make gates ready again.
			if (picks.length > 0) this.picks.serve(basket, [...offered], new Set(taken), until, now);
			this.#requeue(rows.filter((_, index) => read[index] === undefined).map(({ seq }) => seq));
			if (read.some((claim) => typeof claim === "string")) this.#bury(basket, rows, read);
			const isCut = picks.flat().some(({ isCut }) => isCut);
			isLast = taken.length === rows.length && !(isCut && rows.length > 0);
		}
		return claims;
	}

	/** The tasks behind a head that can run with it, by their numbers. */
	#behind(basket: string, { seq, kind, lane }: DueRow, most: number, now: number): Map<number, Claim> {
		const rows = this.lanes.behind<DueRow & Omit<History, "seq">>(
			...[basket, lane!, seq, Math.min(most, mostRows)] as const,
			`${claimColumns(this.tables)}, ${historyColumns(this.tables)}`,
		);
		const claims = new Map<number, Claim>();
		for (const row of rows) {
			const { state, attempts, due, gate = null } = row;
			const mayFollow = state === State.blocked && row.kind === kind && due <= now && attempts === 0 && gate === null;
			const claim = mayFollow ? this.#read(row, { ...row, state: 0 }, now) : "";
			if (typeof claim === "string") break;
			claims.set(row.seq, claim);
		}
		return claims;
	}

	/** Claims those of the tasks that can be read, unless they are replaced by ones with other keys. */
	#begin(
		basket: string,
		rows: readonly DueRow[],
		{ limits, ...taking }: Taking & { readonly limits: readonly KindLimit[] },
		now: number,
	): { read: (Claim | string | undefined)[]; taken: readonly number[] } {
		const histories = this.#histories(rows.filter(({ isFresh }) => !isFresh).map(({ seq }) => seq));
		const crashed = [...histories.values()].filter(({ state }) => state === State.running).map(({ seq }) => seq);
		this.lanes.giveBackBehind(basket, rows.filter(({ seq }) => crashed.includes(seq)), 1, now);
		const replacements = this.replacements.among(crashed);
		const read = rows.map((row) => {
			const next = replacements.get(row.seq);
			if (next !== undefined && (next.gate ?? null) !== (row.gate ?? null)) return undefined;
			const history = histories.get(row.seq) ?? fresh;
			const { meta } = next ?? history;
			// A copy of a row costs as much as the rest of this function.
			return this.#read(next ? { ...row, ...next } : row, meta === history.meta ? history : { ...history, meta }, now);
		});
		const taken = rows.filter((_, index) => typeof read[index] === "object");
		const seqs = taken.map(({ seq }) => seq);
		for (const [spacing, among] of bySpacing(taken, limits)) this.#take(among, spacing, taking, now);
		if (replacements.size > 0) this.replacements.take(seqs.filter((seq) => replacements.has(seq)), "continues");
		return { read, taken: seqs };
	}

	/** These crashed tasks wait again, and those behind them have crashed, too. */
	putBack(basket: string, crashed: readonly Pick<DueRow, "seq" | "lane">[], now: number): void {
		this.lanes.giveBackBehind(basket, crashed, 1, now);
		this.#requeue(crashed.map(({ seq }) => seq));
	}

	/** Crashed tasks wait again: those that are replaced by ones with other keys at the gates of these. */
	#requeue(seqs: readonly number[]): void {
		if (seqs.length === 0) return;
		this.connection.run(
			`UPDATE ${this.tables.tasks} SET state = ${State.waiting}, attempts = attempts + 1, crashes = crashes + 1
			WHERE ${isAmong(seqs)}`,
			...bounds(seqs),
		);
		this.replacements.take(seqs, "continues");
	}

	/** @param spacing of the starts, if a limit counts them */
	#take(seqs: readonly number[], spacing: number, { worker, until }: Taking, now: number): void {
		const isCounted = spacing > 0;
		const start = isCounted ? "started = ?4, spacing = ?6" : "started = NULL";
		this.connection.run(
			`UPDATE ${this.tables.tasks} SET state = ${State.running}, due = ?3, claims = claims + 1, worker = ?5, claimed = ?4,
			${this.tables.hasGates ? `${start}, behind = NULL,` : ""}
			attempts = attempts + state, crashes = crashes + state WHERE ${isAmong(seqs)}`,
			...[...bounds(seqs), until, now, columnOf(worker), ...isCounted ? [spacing] : []],
		);
	}

	#bury(basket: string, rows: readonly DueRow[], read: readonly (Claim | string | undefined)[]): void {
		const broken = rows.filter((_, index) => typeof read[index] === "string");
		for (const [index, { seq, payload }] of rows.entries()) {
			const reason = read[index]!;
			if (typeof reason === "string") this.bury(seq, reason, decode(payload) === undefined);
		}
		this.lanes.promote(basket, broken.map(({ lane }) => lane));
	}

	#histories(seqs: readonly number[]): Map<number, History> {
		if (seqs.length === 0) return new Map();
		const rows = this.connection.all<History>(
			`SELECT seq, ${historyColumns(this.tables)} FROM ${this.tables.tasks} WHERE ${isAmong(seqs)}`,
			...bounds(seqs),
		);
		return new Map(rows.map((row) => [row.seq, row]));
	}

	/** The claim, or the reason why the task cannot be claimed. */
	#read(row: DueRow, history: Omit<History, "seq">, now: number): Claim | string {
		const { seq, kind, lane, priority, due, added, claims } = row;
		const { state, attempts, crashes, error, posted, seen, logged } = history;
		const areCounts = isCount(seq) && isCount(claims) && isCount(attempts) && isCount(crashes) && isCount(posted);
		if (!areCounts || !isCount(seen) || !isCount(Math.abs(priority)) || !isCount(Math.abs(added))) {
			return damaged("a number", Object.values({ ...row, payload: "…", ...history }).join());
		}
		const payload = decode(row.payload);
		if (payload === undefined) return damaged("payload", row.payload);
		const inbox = this.inbox({ seq, posted, seen }, mostInbox).map(({ n, data }) => ({ n, data: decode(data) }));
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
			limitKey: keyOf(row.gate),
			error: error ?? undefined,
			addedAt: added,
			age: now - added,
			late: Math.max(0, now - due),
			meta: textOf(history.meta),
			history: textOf(history.history),
			lapsed: originOf(history),
			inbox: inbox as Message[],
			logged: logged ?? undefined,
		};
	}
}

/** Whether it is a valid counter. */
function isCount(number: number): boolean {
	return number >= 0 && number < State.never;
}

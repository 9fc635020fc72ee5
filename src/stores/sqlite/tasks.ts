/**
 * Adds, finds and changes tasks. Each member is a part of an open transaction.
 *
 * @module
 */

import type { Added, Change, Data, Message, NewTask, Restart, StoredTask } from "../../basket/store.ts";
import { checkPlace, type Place } from "../../basket/place.ts";
import { SqliteBlocks } from "./blocks.ts";
import { SqliteFamilies } from "./children.ts";
import type { Connection } from "./connection.ts";
import { damaged, idOf, seqIn, stateOf } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import {
	after,
	changed,
	columnOf,
	columns,
	encode,
	gateOf,
	isGone,
	isName,
	show,
	showMessage,
	type TaskRow,
} from "./data.ts";
import { countAlike, itemsFrom } from "./alike.ts";
import { SqliteLanes } from "./lanes.ts";
import { SqliteLogs } from "./logs.ts";
import { SqliteNumbers } from "./numbers.ts";
import { shownExtra } from "./proof.ts";
import { SqliteReplacements } from "./replacements.ts";
import { SqliteRestarts } from "./restarts.ts";
import { checkVersion, createGates } from "./schema.ts";
import type { Tables } from "./tables.ts";

/** The required data of a task that is removed or ends. */
export interface Gone {
	readonly seq: number;
	readonly proof: string;
	readonly lane: string | null;
	/** The number of its log, or 0 if it has none, but messages were posted to it; otherwise `null`. */
	readonly extra: number | null;
}

/** Whether a message was posted, and whether a task with a claim has got it, or is gone. */
export interface Told {
	readonly isPosted: boolean;
	readonly isClaimed: boolean;
}

/** A task that was found by its id. */
type FoundRow = TaskRow & Pick<Gone, "extra">;

export class SqliteTasks {
	protected readonly connection: Connection;
	protected readonly tables: Tables;
	protected readonly blocks: SqliteBlocks;
	protected readonly logs: SqliteLogs;
	protected readonly replacements: SqliteReplacements;
	protected readonly lanes: SqliteLanes;
	readonly #restarts: SqliteRestarts;
	protected readonly families: SqliteFamilies;
	protected readonly numbers: SqliteNumbers;

	constructor(connection: Connection, tables: Tables) {
		this.connection = connection;
		this.tables = tables;
		this.blocks = new SqliteBlocks(connection, tables);
		this.numbers = new SqliteNumbers(connection, tables, this.blocks);
		this.logs = new SqliteLogs(connection, tables);
		this.replacements = new SqliteReplacements(connection, tables);
		this.lanes = new SqliteLanes(connection, tables, this.replacements);
		this.families = new SqliteFamilies(connection, tables);
		this.#restarts = new SqliteRestarts(connection, tables, this.lanes, this.logs, this.families);
	}

	/** The reason why tasks cannot replace those with their ids, if there is one. */
	#refusal(basket: string, tasks: readonly NewTask[], now: number): TypeError | undefined {
		if (tasks.every(({ ifPresent }) => ifPresent === undefined)) return undefined;
		const present = new Map<string, Place>();
		try {
			for (const task of tasks) {
				const { id, ifPresent } = task;
				if (id === undefined) continue;
				const row = present.has(id) ? undefined : this.find(basket, id, now);
				const before = present.get(id) ?? row ?? task;
				present.set(id, before);
				if (ifPresent !== undefined) checkPlace(id, before, task);
			}
		} catch (error) {
			if (error instanceof TypeError) return error;
			throw error;
		}
		return undefined;
	}

	/**
	 * Does nothing if it refuses a task.
	 *
	 * @param isOwn whether the transaction is the store's own
	 */
	add(basket: string, tasks: readonly NewTask[], now: number, isOwn: boolean): Added[] | TypeError {
		if (tasks.some(({ ifPresent, limitKey }) => ifPresent !== undefined || limitKey !== undefined)) {
			checkVersion(this.connection, this.tables);
			const refusal = this.#refusal(basket, tasks, now);
			if (refusal !== undefined) return refusal;
			if (tasks.some(({ limitKey }) => limitKey !== undefined)) createGates(this.connection, this.tables);
		}
		const first = this.numbers.reserve(tasks.length, isOwn);
		const added: Added[] = [];
		while (added.length < tasks.length) {
			const from = added.length;
			const alike = countAlike(tasks, from);
			const seq = first + from;
			this.blocks.note(basket, tasks[from]!.kind, seq, seq + Math.max(alike, 1) - 1, isOwn);
			if (alike > 1) this.#insertAlike(basket, tasks.slice(from, from + alike), seq, now);
			else if (tasks[from]!.item === undefined) added.push(this.insertUnlessThere(basket, tasks[from]!, seq, now));
			else for (const one of this.#collect(basket, itemsFrom(tasks, from), seq, now)) added.push(one);
			while (added.length < from + alike) added.push({ id: `_${first + added.length}`, added: true });
		}
		this.blocks.sweep(basket, 0);
		this.lanes.promote(basket, tasks.map(({ lane }) => lane));
		return added;
	}

	/** Inserts tasks in one statement, which is two or three times faster than one statement each. */
	#insertAlike(basket: string, tasks: readonly NewTask[], seq: number, now: number): void {
		const { kind, priority, delay } = tasks[0]!;
		const haveMore = tasks.some(({ meta, lane, limitKey }) => (meta ?? lane ?? limitKey) !== undefined);
		const haveKeys = tasks.some(({ limitKey }) => limitKey !== undefined);
		const values =
			`iif(value ->> 1 IS NULL, ${State.waiting}, ${State.blocked}), value ->> 0, value ->> 1, value ->> 2`;
		const rowOf = (task: NewTask) => [encode(task.payload), task.lane, columnOf(task.meta), gateOf(task)];
		this.connection.run(
			`INSERT INTO ${this.tables.tasks} (seq, basket, kind, priority, due, added, state, payload ${
				haveMore ? ", lane, meta" : ""
			} ${haveKeys ? ", gate" : ""})
			SELECT ?1 + key, ?2, ?3, ?4, ?5, ?6, ${haveMore ? values : `${State.waiting}, value`} ${
				haveKeys ? ", value ->> 3" : ""
			} FROM json_each(?7)`,
			...[seq, basket, kind, priority, after(now, delay), now],
			JSON.stringify(tasks.map((task) => haveMore ? rowOf(task) : encode(task.payload))),
		);
	}

	protected insertUnlessThere(basket: string, task: NewTask, seq: number, now: number): Added {
		const { id = null, ifPresent } = task;
		if (this.#insert(basket, task, seq, now)) return { id: idOf({ seq, id }), added: true };
		const present = this.#read(basket, id!)!;
		const isGoneNow = isGone(present, now);
		const state = stateOf(present.state);
		const isReplaced = ifPresent !== undefined;
		if (isGoneNow || (isReplaced && ["dead", "done"].includes(state))) {
			this.remove([present]);
			this.#insert(basket, task, seq, now);
		} else if (isReplaced && state === "running") this.replacements.put(present.seq, task, now);
		else if (isReplaced) this.replacements.replace(present, task, now);
		return isGoneNow ? { id: id!, added: true } : { id: id!, added: isReplaced, state };
	}

	/** Adds the items of these tasks, which have the same id, to one task. Otherwise only the last of them matters. */
	#collect(basket: string, tasks: readonly NewTask[], seq: number, now: number): Added[] {
		const task = tasks.at(-1)!;
		const id = task.id!;
		const found = this.#read(basket, id);
		const before = found === undefined || isGone(found, now) ? undefined : found;
		const state = before && stateOf(before.state);
		const isAnew = before === undefined || state === "dead" || state === "done";
		if (state === "dead") this.#restarts.begin(basket, before!, seq, now);
		else if (isAnew) {
			if (found !== undefined) this.remove([found]);
			this.#insert(basket, task, seq, now);
		}
		const row = isAnew ? this.#read(basket, id)! : before;
		const posted = this.#post(row, tasks.map(({ item }) => item!));
		// A damaged task is dead now, and begins anew.
		if (posted === undefined) return this.#collect(basket, tasks, seq, now);
		this.replacements.collect(row, posted, task, now);
		const later = { id, added: true, state: stateOf(row.state) };
		return tasks.map((_, index) => index > 0 ? later : state === undefined ? { id, added: true } : { ...later, state });
	}

	/** Tasks in a lane begin blocked; the head is determined when all are inserted. */
	#insert(basket: string, task: NewTask, seq: number, now: number): boolean {
		const { id = null, kind, payload, delay, priority, lane = null, limitKey, meta } = task;
		const hasKey = limitKey !== undefined;
		return this.connection.run(
			`INSERT INTO ${this.tables.tasks} (seq, basket, kind, id, lane, priority, state, due, added, payload, meta ${
				hasKey ? ", gate" : ""
			})
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? ${hasKey ? ", ?" : ""})
			ON CONFLICT (basket, id) WHERE id IS NOT NULL DO NOTHING`,
			...[seq, basket, kind, id, lane, priority],
			...[lane === null ? State.waiting : State.blocked, after(now, delay), now, encode(payload), columnOf(meta)],
			...hasKey ? [gateOf(task)] : [],
		) > 0;
	}

	get(basket: string, id: string, now: number): (StoredTask & { readonly inbox: readonly Message[] }) | undefined {
		const row = this.find(basket, id, now);
		return row && { ...show(row), inbox: this.inbox(row).map(showMessage) };
	}

	/** The messages that were not removed. A task that never had a message needs no query. */
	protected inbox(
		{ seq, posted, seen }: Pick<TaskRow, "seq" | "posted" | "seen">,
		most = -1,
	): { n: number; data: unknown }[] {
		if (posted <= seen) return [];
		const sql = `SELECT n, data FROM ${this.tables.messages} WHERE task = ? ORDER BY n LIMIT ? + 0`;
		return this.connection.all(sql, seq, most);
	}

	protected find(basket: string, id: string, now: number): FoundRow | undefined {
		const row = this.#read(basket, id);
		return row === undefined || isGone(row, now) ? undefined : row;
	}

	/** Ids that the store has created are stored only if the number in them is no longer that of the task. */
	#read(basket: string, id: string): FoundRow | undefined {
		if (!isName(id)) return undefined;
		const select = `SELECT ${columns(this.tables)}, ${shownExtra()} FROM ${this.tables.tasks} WHERE basket = ?`;
		const seq = seqIn(id);
		return (seq > 0
			? this.connection.all<FoundRow>(`${select} AND seq = ? AND id IS NULL`, basket, seq)[0]
			: undefined) ??
			this.connection.all<FoundRow>(`${select} AND id = ?`, basket, id)[0];
	}

	/** Notifies watchers on other connections. */
	protected tellWorkers(): void {
		this.connection.run(`UPDATE ${this.tables.schema} SET news = (news + 1) % 1000000000`);
	}

	protected remove(rows: readonly Pick<Gone, "seq" | "extra">[]): void {
		const sql = `DELETE FROM ${this.tables.tasks} WHERE seq IN (SELECT value FROM json_each(?))`;
		this.connection.run(sql, JSON.stringify(rows.map(({ seq }) => seq)));
		this.forget(rows);
	}

	/** Removes the messages and the logs of removed tasks. */
	protected forget(gone: readonly Pick<Gone, "seq" | "extra">[]): void {
		for (const { seq, extra } of gone) {
			if (extra === null) continue;
			this.connection.run(`DELETE FROM ${this.tables.messages} WHERE task = ?`, seq);
			if (extra > 0) this.logs.remove(extra);
		}
	}

	/** @param isOwn whether the transaction is the store's own */
	change(basket: string, ids: readonly string[], change: Change, now: number, isOwn: boolean): boolean[] {
		return ids.map((id) => {
			const row = this.find(basket, id, now);
			if (row === undefined) return false;
			if (typeof change === "object") return this.#restart(basket, row, change, now, isOwn);
			return change === "retry" ? this.#retry(basket, row, now, isOwn) : this.#hold(basket, row, change);
		});
	}

	#hold(basket: string, { seq, state, kind, behind }: TaskRow, change: "hold" | "release"): boolean {
		if (state === State.stopping && typeof behind === "number") {
			const sql = `UPDATE ${this.tables.tasks} SET behind = 3 - behind WHERE seq = ? AND behind = ?`;
			return this.connection.run(sql, seq, change === "hold" ? 1 : 2) > 0;
		}
		const to = changed(state, change);
		if (to === undefined) return false;
		if (change === "release") this.blocks.note(basket, kind, seq, seq, false);
		this.connection.run(`UPDATE ${this.tables.tasks} SET state = ? WHERE seq = ?`, to, seq);
		return true;
	}

	#retry(basket: string, row: TaskRow, now: number, isOwn: boolean): boolean {
		const { seq, state } = row;
		if (state === State.waiting || state === State.blocked) {
			this.#hurry(seq, now);
			this.lanes.promote(basket, [row.lane]); // if its head was removed by hand
		} else if (stateOf(state) === "dead") this.#begin(basket, row, now, isOwn);
		else return false;
		return true;
	}

	#restart(basket: string, row: FoundRow, change: Restart, now: number, isOwn: boolean): boolean {
		if (!["dead", "done"].includes(stateOf(row.state)) || show(row).key !== change.key) return false;
		this.#restarts.prepare(row.seq, row.extra, change);
		this.#begin(basket, row, now, isOwn);
		return true;
	}

	#begin(basket: string, row: TaskRow, now: number, isOwn: boolean): void {
		const last = this.numbers.reserve(1, isOwn);
		this.blocks.note(basket, row.kind, last, last, isOwn);
		this.#restarts.begin(basket, row, last, now);
	}

	/** Makes a task due now, or as of an instant before. An `added` that was written by hand may be any number. */
	#hurry(seq: number, now: number, before: "due" | "max(0, added)" = "due"): void {
		this.connection.run(`UPDATE ${this.tables.tasks} SET due = min(due, ?, ${before}) WHERE seq = ?`, now, seq);
	}

	/**
	 * Makes an unreadable task dead, so that nobody retries it. Its counters are reset, because they may be damaged. It
	 * gets the payload that waits behind it, so that this is not lost.
	 */
	protected bury(seq: number, reason: string, isPayloadLost: boolean): void {
		const { tasks, messages } = this.tables;
		this.replacements.take([seq], "continues");
		const isNumber = seq > 0 && seq <= State.never; // other numbers cannot be represented exactly
		this.connection.run(
			`UPDATE ${tasks} SET state = ${State.dead}, gone = NULL, due = ${State.never}, error = ?1, attempts = 0, crashes = 0, claims = 0,
				priority = 0, posted = 0, seen = 0, backoff = 0, payload = iif(?2, '', payload)
			WHERE ${isNumber ? "seq = ?3" : `(seq < 1 OR seq > ${State.never}) AND ?3`}`,
			...[reason, isPayloadLost ? 1 : 0, seq],
		);
		this.connection.run(`DELETE FROM ${messages} WHERE task = ?`, seq);
	}

	hasten(basket: string, within: number, now: number): number {
		return this.connection.run(
			`UPDATE ${this.tables.tasks} SET due = ?2 + abs(random() % ?3)
			WHERE basket = ?1 AND backoff = 1 AND state = ${State.waiting} AND due > ?4`,
			...[basket, now, Math.max(1, Math.floor(Math.min(within, 2 ** 31))), after(now, within)],
		);
	}

	/** Adds messages to a task. Returns the number of the last one, or makes the task dead if its numbers are damaged. */
	#post({ seq, posted }: TaskRow, items: readonly Data[]): number | undefined {
		const { messages } = this.tables;
		const sql = `SELECT coalesce(max(n), 0) AS last FROM ${messages} WHERE task = ?`;
		const [{ last }] = this.connection.all<{ last: number }>(sql, seq) as [{ last: number }];
		const from = Math.max(posted, last);
		const to = from + items.length;
		if (!Number.isSafeInteger(to)) return void this.bury(seq, damaged("posted", posted), false);
		const values = items.map(encode);
		if (values.length === 1) this.connection.run(`INSERT INTO ${messages} VALUES (?, ?, ?)`, seq, to, values[0]!);
		else {
			const insert = `INSERT INTO ${messages} SELECT ?1, ?2 + key + 1, value FROM json_each(?3)`;
			this.connection.run(insert, seq, from, JSON.stringify(values));
		}
		return to;
	}

	/** Posts a message. */
	post(basket: string, id: string, data: Data, now: number): Told {
		return this.deliver(this.find(basket, id, now), data, now);
	}

	protected deliver(row: TaskRow | undefined, data: Data, now: number): Told {
		const refused = { isPosted: false, isClaimed: false };
		if (row === undefined || ["dead", "done"].includes(stateOf(row.state))) return refused;
		const { seq, state } = row;
		const posted = this.#post(row, [data]);
		if (posted === undefined) return refused;
		this.connection.run(`UPDATE ${this.tables.tasks} SET posted = ? WHERE seq = ?`, posted, seq);
		// A held task becomes due, too, because the later release does not know of the message. The due time of a
		// running task is its lease.
		const isClaimed = stateOf(state) === "running";
		if (isClaimed) this.tellWorkers();
		else this.#hurry(seq, now, "max(0, added)");
		return { isPosted: true, isClaimed };
	}
}

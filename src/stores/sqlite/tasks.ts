/**
 * The tasks in their tables: adding, finding and changing them. Each member is a part of a transaction that is open.
 *
 * @module
 */

import type { Added, Change, Counts, Data, ListQuery, Message, NewTask, StoredTask } from "../../basket/store.ts";
import type { Connection } from "./connection.ts";
import { after, encode, formsOf, idOf, showMessage, showTask, stateOf, type TaskRow } from "./data.ts";
import { never, type Tables } from "./schema.ts";
import * as State from "./state.ts";

/** What has to be known of a task that goes, or ends. */
export interface Gone {
	readonly seq: number;
	readonly proof: string;
	readonly lane: string | null;
	readonly posted: number;
}

const columns =
	"seq, kind, id, lane, priority, state, due, added, attempts, crashes, claims, posted, seen, error, progress, payload";

export class SqliteTasks {
	protected readonly connection: Connection;
	protected readonly tables: Tables;

	constructor(connection: Connection, tables: Tables) {
		this.connection = connection;
		this.tables = tables;
	}

	add(basket: string, tasks: readonly NewTask[], now: number): Added[] {
		const first = this.#reserve(tasks.length);
		const added: Added[] = [];
		while (added.length < tasks.length) {
			const from = added.length;
			const alike = countAlike(tasks, from);
			if (alike > 1) this.#insertAlike(basket, tasks.slice(from, from + alike), first + from, now);
			else added.push(this.#insert(basket, tasks[from]!, first + from, now));
			while (added.length < from + alike) added.push({ id: `_${first + added.length}`, added: true });
		}
		this.promote(basket, tasks.map(({ lane }) => lane));
		return added;
	}

	/** In one statement, which is two or three times as fast as one for each. */
	#insertAlike(basket: string, tasks: readonly NewTask[], seq: number, now: number): void {
		const { kind, priority, delay } = tasks[0]!;
		this.connection.run(
			`INSERT INTO ${this.tables.tasks} (seq, basket, kind, priority, state, due, added, payload)
			SELECT ?1 + key, ?2, ?3, ?4, ${State.waiting}, ?5, ?6, value FROM json_each(?7)`,
			...[seq, basket, kind, priority, after(now, delay), now],
			JSON.stringify(tasks.map(({ payload }) => encode(payload))),
		);
	}

	/** In a lane all begin blocked; the head is found when all are there. */
	#insert(basket: string, task: NewTask, seq: number, now: number): Added {
		const { id = null, kind, payload, delay, priority, lane = null } = task;
		const changes = this.connection.run(
			`INSERT INTO ${this.tables.tasks} (seq, basket, kind, id, lane, priority, state, due, added, payload)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			...[seq, basket, kind, id, lane, priority, lane === null ? State.waiting : State.blocked],
			...[after(now, delay), now, encode(payload)],
		);
		return { id: idOf({ seq, id }), added: changes > 0 };
	}

	/** The first of `count` numbers that nobody else has or will have. */
	#reserve(count: number): number {
		const sql = `UPDATE ${this.tables.schema} SET seq = seq + ?1 RETURNING seq`;
		return this.connection.all<{ seq: number }>(sql, count)[0]!.seq - count + 1;
	}

	/** Where the first in a lane is still blocked, it becomes the head. Says whether one did. */
	promote(basket: string, lanes: readonly (string | null | undefined)[]): boolean {
		const named = [...new Set(lanes)].filter((lane) => typeof lane === "string");
		const { tasks, lanes: index } = this.tables;
		return named.length > 0 && this.connection.run(
					`UPDATE ${tasks} SET state = iif(state = ${State.blocked}, ${State.waiting}, ${State.held})
				WHERE state IN (${State.blocked}, ${State.stayed}) AND seq IN (
					SELECT (
						SELECT min(seq) FROM ${tasks} INDEXED BY ${index} WHERE basket = ?1 AND lane = value AND ${State.isInLane}
					) FROM json_each(?2)
				)`,
					basket,
					JSON.stringify(named),
				) > 0;
	}

	get(basket: string, id: string): (StoredTask & { readonly inbox: readonly Message[] }) | undefined {
		const row = this.#find(basket, id);
		return row && { ...showTask(row), inbox: this.inbox(row).map(showMessage) };
	}

	/** Messages that nobody has taken away. Nothing is asked of the database for a task that never had one. */
	protected inbox({ seq, posted, seen }: Pick<TaskRow, "seq" | "posted" | "seen">): { n: number; data: unknown }[] {
		if (posted <= seen) return [];
		return this.connection.all(`SELECT n, data FROM ${this.tables.messages} WHERE task = ? ORDER BY n`, seq);
	}

	/** Ids that the store has made are written down only where the number in them is not the task's own any more. */
	#find(basket: string, id: string): TaskRow | undefined {
		const select = `SELECT ${columns} FROM ${this.tables.tasks} WHERE basket = ?`;
		const seq = /^_[1-9]\d{0,15}$/.test(id) ? Number(id.slice(1)) : 0;
		return this.connection.all<TaskRow>(`${select} AND id = ?`, basket, id)[0] ??
			(seq > 0 ? this.connection.all<TaskRow>(`${select} AND seq = ? AND id IS NULL`, basket, seq)[0] : undefined);
	}

	list(basket: string, { state, kind, after = "0", limit }: ListQuery): StoredTask[] {
		const isFew = state !== undefined && state !== "waiting" && state !== "running";
		const wanted = [
			...(state === undefined ? [] : [`state IN (${formsOf(state).join()})`]),
			...(isFew ? [State.isAside] : []),
			...(state === "dead" ? [`due = ${never}`] : []), // so that the index has them in order
			...(kind === undefined ? [] : ["kind = ?4"]),
		];
		return this.connection.all<TaskRow>(
			`SELECT ${columns} FROM ${this.tables.tasks}
			WHERE ${["basket = ?1 AND seq > ?2", ...wanted].join(" AND ")} ORDER BY seq LIMIT ?3`,
			...[basket, Number(after), Math.min(limit, 1_000_000)],
			...(kind === undefined ? [] : [kind]),
		).map(showTask);
	}

	counts(basket: string): Counts {
		const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		const sql = `SELECT state, count(*) AS count FROM ${this.tables.tasks} WHERE basket = ? GROUP BY state`;
		for (const { state, count } of this.connection.all<{ state: number; count: number }>(sql, basket)) {
			counts[stateOf(state)] += count;
		}
		return counts;
	}

	delete(basket: string, ids: readonly string[]): boolean[] {
		const rows = ids.map((id) => {
			const row = this.#find(basket, id);
			if (row !== undefined) this.connection.run(`DELETE FROM ${this.tables.tasks} WHERE seq = ?`, row.seq);
			return row;
		});
		const gone = rows.filter((row) => row !== undefined);
		this.forget(gone);
		this.promote(basket, gone.map(({ lane }) => lane));
		return rows.map((row) => row !== undefined);
	}

	/** Removes the messages of tasks that are not there any more. */
	protected forget(gone: readonly Pick<Gone, "seq" | "posted">[]): void {
		for (const { seq, posted } of gone) {
			if (posted > 0) this.connection.run(`DELETE FROM ${this.tables.messages} WHERE task = ?`, seq);
		}
	}

	change(basket: string, ids: readonly string[], change: Change, now: number): boolean[] {
		return ids.map((id) => {
			const row = this.#find(basket, id);
			if (row === undefined) return false;
			return change === "retry" ? this.#retry(basket, row, now) : this.#hold(row, change);
		});
	}

	#hold({ seq, state }: TaskRow, change: "hold" | "release"): boolean {
		const to = changed(state, change);
		if (to !== undefined) this.connection.run(`UPDATE ${this.tables.tasks} SET state = ? WHERE seq = ?`, to, seq);
		return to !== undefined;
	}

	#retry(basket: string, row: TaskRow, now: number): boolean {
		const { seq, state } = row;
		if (state === State.waiting || state === State.blocked) this.#hurry(seq, now);
		else if (stateOf(state) === "dead") this.#begin(basket, row, now);
		else return false;
		return true;
	}

	#hurry(seq: number, now: number): void {
		this.connection.run(`UPDATE ${this.tables.tasks} SET due = min(due, ?) WHERE seq = ?`, now, seq);
	}

	/** Its number says where it stands, so it gets a new one and moves to the end; the old one has gone into its id. */
	#begin(basket: string, row: TaskRow, now: number): void {
		const { seq, lane } = row;
		const last = this.#reserve(1);
		this.connection.run(
			`UPDATE ${this.tables.tasks} SET seq = ?1, id = ?2, state = ?3, due = ?4, added = ?4,
				attempts = 0, crashes = 0, claims = 0, backoff = 0, error = NULL, progress = NULL WHERE seq = ?5`,
			...[last, idOf(row), lane === null ? State.waiting : State.blocked, now, seq],
		);
		this.connection.run(`UPDATE ${this.tables.messages} SET task = ? WHERE task = ?`, last, seq);
		this.promote(basket, [lane]);
	}

	hasten(basket: string, within: number, now: number): number {
		return this.connection.run(
			`UPDATE ${this.tables.tasks} SET due = ?2 + abs(random() % ?3)
			WHERE basket = ?1 AND backoff = 1 AND state = ${State.waiting} AND due > ?4`,
			...[basket, now, Math.max(1, Math.floor(Math.min(within, 2 ** 31))), after(now, within)],
		);
	}

	post(basket: string, id: string, data: Data, now: number): boolean {
		const row = this.#find(basket, id);
		if (row === undefined || ["dead", "done"].includes(stateOf(row.state))) return false;
		const { seq, state, posted } = row;
		const { tasks, messages } = this.tables;
		this.connection.run(`INSERT INTO ${messages} VALUES (?, ?, ?)`, seq, posted + 1, encode(data));
		this.connection.run(`UPDATE ${tasks} SET posted = posted + 1 WHERE seq = ?`, seq);
		// A held one, too: who releases it does not know that it has to be woken. The due time of a running one is its lease.
		if (stateOf(state) !== "running") this.#hurry(seq, now);
		return true;
	}
}

/** The state after a change; `undefined` if that does not apply. */
function changed(state: number, change: "hold" | "release"): number | undefined {
	const pairs = [[State.waiting, State.held], [State.blocked, State.stayed], [State.running, State.stopping]];
	const [from, to] = change === "hold" ? [0, 1] : [1, 0];
	return pairs.find((pair) => pair[from!] === state)?.[to!];
}

/** How many tasks from this one on differ in nothing but their payload, and that is text. */
function countAlike(tasks: readonly NewTask[], from: number): number {
	const { kind, priority, delay } = tasks[from]!;
	let to = from;
	for (let task; (task = tasks[to]) !== undefined; to++) {
		const isPlain = task.id === undefined && task.lane === undefined && typeof task.payload === "string";
		if (!isPlain || task.kind !== kind || task.priority !== priority || task.delay !== delay) break;
	}
	return to - from;
}

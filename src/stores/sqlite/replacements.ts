/**
 * Payloads in place of others: those that wait behind a claim are rows of their own.
 *
 * @module
 */

import type { NewTask } from "../../basket/store.ts";
import type { Connection } from "./connection.ts";
import { after, columnOf, encode, gateOf, type TaskRow } from "./data.ts";
import { stateOf } from "../sql/sql.ts";
import type { Tables } from "./tables.ts";

/** A payload that waits behind a claim, with what else it replaces. */
export type Replacement = Pick<TaskRow, "payload" | "priority" | "added" | "gate" | "meta">;

export class SqliteReplacements {
	readonly #connection: Connection;
	readonly #tables: Tables;

	constructor(connection: Connection, tables: Tables) {
		this.#connection = connection;
		this.#tables = tables;
	}

	/** Replaces the payload of a task that has no claim. */
	replace({ seq, attempts, crashes, added }: TaskRow, task: NewTask, now: number): void {
		const isNew = attempts + crashes > 0;
		const { payload, priority, meta } = task;
		const { hasGates } = this.#tables;
		this.#connection.run(
			`UPDATE ${this.#tables.tasks} SET payload = ?, priority = ?, due = ?, added = coalesce(?, added), meta = ?, ${forgotten}
			${hasGates ? ", gate = ?" : ""} WHERE seq = ?`,
			...[encode(payload), priority, dueOf(task, isNew ? now : added, now), isNew ? now : null, columnOf(meta)],
			...[...hasGates ? [gateOf(task)] : [], seq],
		);
		this.forget([seq]); // if its claim was removed by hand
	}

	/** Lets a payload wait behind the claim of a task, in place of another that waits there. */
	put(seq: number, task: NewTask, now: number): void {
		const { payload, priority, meta } = task;
		const added = this.among([seq]).get(seq)?.added ?? now;
		const { hasGates } = this.#tables;
		this.#connection.run(
			`INSERT INTO ${this.#tables.replacements} VALUES (?1, ?2, ?3, ?4, ?5, ?6 ${hasGates ? ", ?7" : ""})
			ON CONFLICT (task) DO UPDATE SET payload = ?2, priority = ?3, due = ?5, meta = ?6 ${
				hasGates ? ", gate = ?7" : ""
			}`,
			...[seq, encode(payload), priority, added, dueOf(task, added, now), columnOf(meta)],
			...hasGates ? [gateOf(task)] : [],
		);
	}

	/**
	 * An item was added to a task: gives it the payload and the due time, which wait behind its claim if it has one. A task
	 * that has failed keeps its due time.
	 */
	collect(
		{ seq, state, attempts, crashes, added, seen, due }: TaskRow,
		posted: number,
		task: NewTask,
		now: number,
	): void {
		const { payload, priority, meta, most = Infinity } = task;
		const { tasks, hasGates } = this.#tables;
		if (stateOf(state) === "running") {
			this.put(seq, task, now);
			this.#connection.run(`UPDATE ${tasks} SET posted = ? WHERE seq = ?`, posted, seq);
			return;
		}
		const soon = posted - seen >= most ? now : dueOf(task, added, now);
		this.#connection.run(
			`UPDATE ${tasks} SET posted = ?, payload = ?, priority = ?, due = ?, meta = ? ${
				hasGates ? ", gate = ?" : ""
			} WHERE seq = ?`,
			...[posted, encode(payload), priority, attempts + crashes > 0 ? due : soon, columnOf(meta)],
			...[...hasGates ? [gateOf(task)] : [], seq],
		);
	}

	/** The payloads that wait behind the claims of these tasks. */
	among(seqs: readonly number[]): Map<number, Replacement> {
		if (seqs.length === 0) return new Map();
		const rows = this.#connection.all<Replacement & { readonly task: number }>(
			`SELECT task, payload, priority, added, meta ${
				this.#tables.hasGates ? ", gate" : ""
			} FROM ${this.#tables.replacements} WHERE ${isOneOf("task")}`,
			JSON.stringify(seqs),
		);
		return new Map(rows.map(({ task, ...replacement }) => [task, replacement]));
	}

	/**
	 * Tasks get the payloads that wait behind them.
	 *
	 * @param claim whether another claim begins, or whatever else leaves the due time as it is
	 */
	take(seqs: readonly number[], claim: "continues" | "ends"): void {
		const due = claim === "continues" ? "" : ", due = max(task.due, next.due)";
		const gate = this.#tables.hasGates ? ", gate = next.gate" : "";
		this.#connection.run(
			`UPDATE ${this.#tables.tasks} AS task SET payload = next.payload, priority = next.priority, added = next.added, meta = next.meta
			${due} ${gate}
			FROM ${this.#tables.replacements} AS next WHERE next.task = seq AND ${isOneOf("seq")}`,
			JSON.stringify(seqs),
		);
		this.forget(seqs);
	}

	/** Lets a task begin with its first attempt. */
	renew(seq: number): void {
		this.#connection.run(`UPDATE ${this.#tables.tasks} SET ${forgotten} WHERE seq = ?`, seq);
	}

	forget(seqs: readonly number[]): void {
		this.#connection.run(`DELETE FROM ${this.#tables.replacements} WHERE ${isOneOf("task")}`, JSON.stringify(seqs));
	}
}

/** SQL that lets a task begin with its first attempt. */
const forgotten =
	"attempts = 0, crashes = 0, backoff = 0, error = NULL, progress = NULL, worker = NULL, claimed = NULL";

function isOneOf(column: string): string {
	return `${column} IN (SELECT value FROM json_each(?))`;
}

/** An `added` that was written by hand may be any number. */
function dueOf({ delay, within = Infinity }: NewTask, added: number, now: number): number {
	return Math.max(0, Math.min(after(now, delay), after(added, within)));
}

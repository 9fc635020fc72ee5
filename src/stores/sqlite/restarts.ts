/**
 * Tasks that have ended and begin anew.
 *
 * @module
 */

import type { Restart } from "../../basket/store.ts";
import { idOf } from "../sql/sql.ts";
import * as State from "../sql/state.ts";
import type { SqliteFamilies } from "./children.ts";
import type { Connection } from "./connection.ts";
import { encode, type TaskRow } from "./data.ts";
import type { SqliteLanes } from "./lanes.ts";
import type { SqliteLogs } from "./logs.ts";
import type { Tables } from "./tables.ts";

export class SqliteRestarts {
	readonly #connection: Connection;
	readonly #tables: Tables;
	readonly #lanes: SqliteLanes;
	readonly #logs: SqliteLogs;
	readonly #families: SqliteFamilies;

	constructor(
		connection: Connection,
		tables: Tables,
		lanes: SqliteLanes,
		logs: SqliteLogs,
		families: SqliteFamilies,
	) {
		this.#connection = connection;
		this.#tables = tables;
		this.#lanes = lanes;
		this.#logs = logs;
		this.#families = families;
	}

	/** Gives a task another payload, and removes its messages, and its log unless it is kept. */
	prepare(seq: number, log: number | null, { payload, keepsLog }: Restart): void {
		const { tasks, messages } = this.#tables;
		this.#connection.run(`DELETE FROM ${messages} WHERE task = ?`, seq);
		if (log !== null && !keepsLog) this.#logs.remove(log);
		if (!keepsLog) this.#families.leave(seq);
		this.#connection.run(
			`UPDATE ${tasks} SET payload = ?1, result = NULL, posted = 0, seen = 0, log = iif(?2, log, NULL) WHERE seq = ?3`,
			...[encode(payload), keepsLog ? 1 : 0, seq],
		);
	}

	/** Its number determines its order, so it gets the last one and moves to the end; its id contains the old one. */
	begin(basket: string, row: TaskRow, last: number, now: number): void {
		const { seq, lane } = row;
		this.#connection.run(
			`UPDATE ${this.#tables.tasks} SET seq = ?1, id = ?2, state = ?3, gone = NULL, due = ?4, added = ?4,
				attempts = 0, crashes = 0, claims = 0, backoff = 0, error = NULL, progress = NULL
				${this.#tables.hasFamilies ? ", bad = NULL" : ""} WHERE seq = ?5`,
			...[last, idOf(row), lane === null ? State.waiting : State.blocked, now, seq],
		);
		this.#connection.run(`UPDATE ${this.#tables.messages} SET task = ? WHERE task = ?`, last, seq);
		this.#lanes.promote(basket, [lane]);
	}
}

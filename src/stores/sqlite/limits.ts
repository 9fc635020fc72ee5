/**
 * What the tables have more for limits. It is made when the first task gets a key, because its triggers and indexes
 * make everything slower; a database without keys does not pay for it.
 *
 * - `gate` of a task is its key. Tasks with a key are not in the index of claims. Those that wait are in the index
 *   `gated`, the running ones in the index `engaged`, where they are counted.
 * - A row of `gates` is the gate of a kind and key. Before `ready`, no task may be claimed there. Gates that are ready are
 *   served in the order of `ready`, and then of `turn`.
 * - `last` is the time at which the gate was last served, and thus its place in the order if it becomes ready again.
 *   A task that is added must wait until `opens`. If `full`, all places are taken, and added tasks change nothing.
 * - `next` is that of the GCRA. The last start was at `started`. Before `shut`, nothing starts. `started` and `spacing`
 *   of a running task are those of its start, if a limit has counted it.
 *
 * The triggers make gates ready after every change of their tasks, however it is made, also by hand; the next turn then
 * looks at the gate, and determines what it waits for. Only what a claim itself changes is written by the claim. An
 * added task makes its gate ready when it is due.
 *
 * @module
 */

import * as State from "../sql/state.ts";
import type { Tables } from "./tables.ts";

/** SQL for the waiting tasks behind gates. */
export function isGated(table = ""): string {
	return `${table}gate IS NOT NULL AND ${table}state = ${State.waiting}`;
}

/** SQL for the running tasks with a key. */
export function isEngaged(table = ""): string {
	return `${table}gate IS NOT NULL AND ${table}${State.isClaimed}`;
}

/** SQL for the gates without a task that could be due. */
export function isIdle(): string {
	return `ready = ${State.never} AND full = 0`;
}

/** SQL for the states that matter to gates. A list of three states would be a table, made for each row. */
const isAtGate = (row: string) => `(${row}.state <= ${State.running} OR ${row}.state = ${State.stopping})`;

export function limitStatements(tables: Tables): readonly string[] {
	const { tasks, replacements, claimable, gates, ready, idle, gated, engaged } = tables;
	const isThere = (row: string) => `basket = ${row}.basket AND kind = ${row}.kind AND gate = ${row}.gate`;
	const open = "SET ready = min(ready, last), full = 0";
	const isClosed = "(full OR ready > last)";
	return [
		`ALTER TABLE ${tasks} ADD COLUMN gate TEXT`,
		`ALTER TABLE ${tasks} ADD COLUMN started INTEGER`,
		`ALTER TABLE ${tasks} ADD COLUMN spacing REAL`,
		`ALTER TABLE ${tasks} ADD COLUMN behind INTEGER`,
		`ALTER TABLE ${replacements} ADD COLUMN gate TEXT`,
		`DROP INDEX ${claimable}`,
		`CREATE INDEX ${claimable} ON ${tasks} (basket, state, kind, priority DESC, due)
			WHERE ${State.isClaimable} AND gate IS NULL`,
		`CREATE INDEX ${gated} ON ${tasks} (basket, kind, gate, priority DESC, due) WHERE ${isGated()}`,
		`CREATE INDEX ${engaged} ON ${tasks} (basket, kind, gate, state, due, priority) WHERE ${isEngaged()}`,
		`CREATE TABLE ${gates} (
			number INTEGER PRIMARY KEY,
			basket TEXT NOT NULL,
			kind TEXT NOT NULL,
			gate TEXT NOT NULL,
			ready INTEGER NOT NULL,
			turn INTEGER NOT NULL DEFAULT 0,
			last INTEGER NOT NULL DEFAULT 0,
			opens INTEGER NOT NULL DEFAULT 0,
			full INTEGER NOT NULL DEFAULT 0,
			next REAL NOT NULL DEFAULT 0,
			started INTEGER,
			shut INTEGER NOT NULL DEFAULT 0,
			UNIQUE (basket, kind, gate)
		) STRICT`,
		`CREATE INDEX ${ready} ON ${gates} (basket, kind, ready, turn)`,
		`CREATE INDEX ${idle} ON ${gates} (basket, max(next, shut)) WHERE ${isIdle()}`,
		`CREATE TRIGGER ${tasks}_added AFTER INSERT ON ${tasks} WHEN new.gate IS NOT NULL AND ${isAtGate("new")} BEGIN
			INSERT INTO ${gates} (basket, kind, gate, ready) VALUES (new.basket, new.kind, new.gate, new.due)
			ON CONFLICT (basket, kind, gate) DO UPDATE SET ready = max(excluded.ready, opens)
			WHERE NOT full AND ready > max(excluded.ready, opens);
		END`,
		`CREATE TRIGGER ${tasks}_changed AFTER UPDATE OF basket, kind, gate, state, due ON ${tasks}
		WHEN new.gate IS NOT NULL AND (${isAtGate("new")} OR ${isAtGate("old")})
			AND NOT (old.state = ${State.waiting} AND new.state = ${State.running})
		BEGIN
			INSERT INTO ${gates} (basket, kind, gate, ready) VALUES (new.basket, new.kind, new.gate, 0)
			ON CONFLICT (basket, kind, gate) DO UPDATE ${open} WHERE ${isClosed};
		END`,
		`CREATE TRIGGER ${tasks}_moved AFTER UPDATE OF basket, kind, gate ON ${tasks}
		WHEN (new.basket, new.kind, new.gate) IS NOT (old.basket, old.kind, old.gate) AND old.gate IS NOT NULL BEGIN
			UPDATE ${gates} ${open} WHERE ${isThere("old")} AND ${isClosed};
		END`,
		`CREATE TRIGGER ${tasks}_removed AFTER DELETE ON ${tasks} WHEN old.gate IS NOT NULL AND ${isAtGate("old")} BEGIN
			UPDATE ${gates} ${open} WHERE ${isThere("old")} AND ${isClosed};
		END`,
	];
}

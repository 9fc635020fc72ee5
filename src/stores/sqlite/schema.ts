/**
 * The tables, and how they came to be.
 *
 * @module
 */

import { StoreError } from "../../platform/store-error.ts";
import type { Connection } from "./connection.ts";
import * as State from "./state.ts";

/** Due when something is posted to it, and not before. */
export const never = 9_007_199_254_740_991; // the last number that is safe

/** The names of the tables and indexes. */
export interface Tables {
	readonly schema: string;
	readonly tasks: string;
	readonly messages: string;
	readonly claimable: string;
	readonly lanes: string;
	readonly aside: string;
}

/** @param prefix what they all begin with */
export function nameTables(prefix: string): Tables {
	return {
		schema: `${prefix}schema`,
		tasks: `${prefix}tasks`,
		messages: `${prefix}messages`,
		claimable: `${prefix}tasks_claimable`,
		lanes: `${prefix}tasks_lane`,
		aside: `${prefix}tasks_aside`,
	};
}

/**
 * What leads from each version to the next.
 *
 * `seq` is the order of all tasks; it is handed out by the row in the schema table, and never twice. Ids that the store
 * makes are `_` and the `seq`, and are not written down: to index every id would cost a fifth of the speed.
 */
function migrations({ schema, tasks, messages, claimable, lanes, aside }: Tables): readonly string[][] {
	return [[
		`CREATE TABLE ${schema} (version INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT`,
		`INSERT INTO ${schema} VALUES (0, 0)`,
		`CREATE TABLE ${tasks} (
			seq INTEGER PRIMARY KEY,
			basket TEXT NOT NULL,
			kind TEXT NOT NULL,
			id TEXT,
			lane TEXT,
			priority INTEGER NOT NULL,
			state INTEGER NOT NULL,
			due INTEGER NOT NULL,
			added INTEGER NOT NULL,
			attempts INTEGER NOT NULL DEFAULT 0,
			crashes INTEGER NOT NULL DEFAULT 0,
			claims INTEGER NOT NULL DEFAULT 0,
			posted INTEGER NOT NULL DEFAULT 0,
			seen INTEGER NOT NULL DEFAULT 0,
			backoff INTEGER NOT NULL DEFAULT 0,
			error TEXT,
			progress TEXT,
			payload ANY NOT NULL
		) STRICT`,
		`CREATE INDEX ${claimable} ON ${tasks} (basket, kind, priority DESC, due) WHERE ${State.isClaimable}`,
		`CREATE INDEX ${lanes} ON ${tasks} (basket, lane) WHERE ${State.isInLane}`,
		`CREATE INDEX ${aside} ON ${tasks} (basket, state, due) WHERE ${State.isAside}`,
		`CREATE UNIQUE INDEX ${tasks}_id ON ${tasks} (basket, id) WHERE id IS NOT NULL`,
		`CREATE INDEX ${tasks}_backoff ON ${tasks} (basket, due) WHERE backoff = 1 AND state = 0`,
		`CREATE TABLE ${messages} (
			task INTEGER NOT NULL,
			n INTEGER NOT NULL,
			data ANY NOT NULL,
			PRIMARY KEY (task, n)
		) STRICT, WITHOUT ROWID`,
	]];
}

/** Whether the tables are there as they should be. Throws if a later version has made them. */
export function isCurrent(connection: Connection, tables: Tables): boolean {
	return versionOf(connection, tables) === migrations(tables).length;
}

/** Makes or changes the tables. The caller has begun a transaction that keeps all other writers out. */
export function migrate(connection: Connection, tables: Tables): void {
	const steps = migrations(tables);
	const version = versionOf(connection, tables);
	if (version === steps.length) return;
	for (const sql of steps.slice(version).flat()) connection.run(sql);
	connection.run(`UPDATE ${tables.schema} SET version = ${steps.length}`);
}

function versionOf(connection: Connection, tables: Tables): number {
	const find = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?";
	if (connection.all(find, tables.schema).length === 0) return 0;
	const version = Number(connection.all<{ version: number }>(`SELECT version FROM ${tables.schema}`)[0]?.version);
	const known = migrations(tables).length;
	if (version <= known) return version;
	const message = `The tables are of version ${version}, and this library knows those up to ${known}: update it`;
	throw new StoreError("newer-schema", message);
}

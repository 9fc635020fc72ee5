/**
 * The tables, and the check of their version.
 *
 * @module
 */

import { StoreError } from "../../platform/store-error.ts";
import type { Connection } from "./connection.ts";
import { familyStatements } from "./families.ts";
import { limitStatements } from "./limits.ts";
import type { Tables } from "./tables.ts";
import { tooNew } from "../sql/sql.ts";
import * as State from "../sql/state.ts";

/** Versions 1 to 4 were never published. */
const version = 5;

/**
 * Tables that have what limits and runs need, see `limits.ts`, have a version higher by 1; with what children need, see
 * `families.ts`, it is higher by 2. The others cost less, and are as current.
 */
const limited = 1;
const related = 2;
/** The sum of all of these. */
const latest = 8;

/** The oldest version that is migrated. */
const oldest = 4;

/**
 * `seq` is the order of all tasks. The row in the schema table assigns each number once. `news` counts changes to
 * tasks with a claim of another worker. Ids that the store creates are `_` and the `seq`, and are not stored:
 * indexing every id would cost a fifth of the speed.
 *
 * The rows of `blocks` lead a list to the tasks of a kind, see {@link SqliteBlocks}. An index that has the tasks of
 * each kind in the order of `seq` would cost a third of the speed of adds. It exists only for the tasks that are aside.
 *
 * A row of `replacements` is a payload that waits behind the claim of a task. Most tasks never have one, so it is not in
 * columns of the task. Payloads that are gathered for a task will be messages of it. `pauses` has the paused kinds; an
 * empty text stands for all.
 *
 * The rows of `log` are the entries of the logs of tasks. `log` of a task is the number of its log: the number that the task
 * had when its first entry was stored. A task that begins anew gets another number, and keeps its log. `NULL`: it has none,
 * so that its removal needs no look for entries.
 *
 * `worker` has the current claim, since `claimed`. A settlement removes both, so that they show a claim that has ended otherwise.
 *
 * `gone` is the time at which a done or dead task is removed. A change of `state` or `due` costs a check of each index that
 * mentions them, so `gone` is a separate column that a claim does not change. CHECK constraints cost as much, and exist
 * only for values that, if edited by hand, would harm other tasks.
 */
function statements(tables: Tables): readonly string[] {
	const { schema, tasks, messages, blocks, claimable, lanes, aside, ids } = tables;
	return [
		`CREATE TABLE ${schema} (version INTEGER NOT NULL, seq INTEGER NOT NULL, news INTEGER NOT NULL DEFAULT 0) STRICT`,
		`CREATE TABLE ${tasks} (
			seq INTEGER PRIMARY KEY CHECK (seq BETWEEN 1 AND ${State.never}),
			basket TEXT NOT NULL,
			kind TEXT NOT NULL,
			id TEXT,
			lane TEXT,
			priority INTEGER NOT NULL CHECK (abs(priority) <= 100),
			state INTEGER NOT NULL CHECK (state BETWEEN ${State.waiting} AND ${State.done}),
			due INTEGER NOT NULL,
			gone INTEGER,
			added INTEGER NOT NULL,
			attempts INTEGER NOT NULL DEFAULT 0,
			crashes INTEGER NOT NULL DEFAULT 0,
			claims INTEGER NOT NULL DEFAULT 0,
			posted INTEGER NOT NULL DEFAULT 0,
			seen INTEGER NOT NULL DEFAULT 0,
			backoff INTEGER NOT NULL DEFAULT 0,
			error TEXT,
			progress TEXT,
			payload ANY NOT NULL,
			result ANY,
			log INTEGER,
			meta TEXT,
			history TEXT,
			worker TEXT,
			claimed INTEGER
		) STRICT`,
		`CREATE INDEX ${claimable} ON ${tasks} (basket, state, kind, priority DESC, due) WHERE ${State.isClaimable}`,
		`CREATE INDEX ${lanes} ON ${tasks} (basket, lane) WHERE ${State.isInLane}`,
		`CREATE INDEX ${aside} ON ${tasks} (basket, state, kind) WHERE ${State.isAside}`,
		`CREATE UNIQUE INDEX ${ids} ON ${tasks} (basket, id) WHERE id IS NOT NULL`,
		`CREATE INDEX ${tasks}_backoff ON ${tasks} (basket) WHERE backoff = 1`,
		`CREATE TABLE ${blocks} (
			basket TEXT NOT NULL,
			kind TEXT NOT NULL,
			block INTEGER NOT NULL,
			PRIMARY KEY (basket, kind, block)
		) STRICT, WITHOUT ROWID`,
		`CREATE TABLE ${messages} (
			task INTEGER NOT NULL,
			n INTEGER NOT NULL,
			data ANY NOT NULL,
			PRIMARY KEY (task, n)
		) STRICT, WITHOUT ROWID`,
		`INSERT INTO ${schema} VALUES (${version}, 0, 0)`,
		...additions(tables),
	];
}

/** What version 5 has more than version 4, besides columns. */
function additions({ tasks, log, replacements, pauses, kept, ended }: Tables): readonly string[] {
	return [
		`CREATE INDEX ${kept} ON ${tasks} (basket, gone) WHERE gone IS NOT NULL`,
		`CREATE INDEX ${ended} ON ${tasks} (basket, lane) WHERE ${State.isEndedInLane}`,
		`CREATE TABLE ${log} (
			task INTEGER NOT NULL,
			n INTEGER NOT NULL,
			data ANY NOT NULL,
			PRIMARY KEY (task, n)
		) STRICT, WITHOUT ROWID`,
		`CREATE TABLE ${replacements} (
			task INTEGER PRIMARY KEY,
			payload ANY NOT NULL,
			priority INTEGER NOT NULL CHECK (abs(priority) <= 100),
			added INTEGER NOT NULL,
			due INTEGER NOT NULL,
			meta TEXT
		) STRICT`,
		`CREATE TABLE ${pauses} (
			basket TEXT NOT NULL,
			kind TEXT NOT NULL,
			PRIMARY KEY (basket, kind)
		) STRICT, WITHOUT ROWID`,
	];
}

function migration(tables: Tables): readonly string[] {
	const { schema, tasks, kept } = tables;
	return [
		`ALTER TABLE ${tasks} ADD COLUMN result ANY`,
		`ALTER TABLE ${tasks} ADD COLUMN log INTEGER`,
		`ALTER TABLE ${tasks} ADD COLUMN meta TEXT`,
		`ALTER TABLE ${tasks} ADD COLUMN history TEXT`,
		`ALTER TABLE ${tasks} ADD COLUMN worker TEXT`,
		`ALTER TABLE ${tasks} ADD COLUMN claimed INTEGER`,
		`DROP INDEX ${kept}`,
		...additions(tables),
		`UPDATE ${schema} SET version = ${version}`,
	];
}

/** Whether the tables exist, in any version. */
export function areThere(connection: Connection, tables: Tables): boolean {
	const find = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?";
	return connection.all(find, tables.schema).length > 0;
}

/** Whether the tables have this version. Throws if they have one that cannot be migrated. */
export function isCurrent(connection: Connection, tables: Tables): boolean {
	if (!areThere(connection, tables)) return false;
	const found = versionIn(connection, tables);
	if (found === oldest) return false;
	checkFound(found, tables);
	return true;
}

/** Creates or migrates the tables. The caller has begun a transaction that excludes all other writers. */
export function create(connection: Connection, tables: Tables): void {
	if (isCurrent(connection, tables)) return;
	const sqls = areThere(connection, tables) ? migration(tables) : statements(tables);
	for (const sql of sqls) connection.run(sql);
}

function versionIn(connection: Connection, { schema }: Tables): number | undefined {
	return connection.all<{ version: number }>(`SELECT version FROM ${schema}`)[0]?.version;
}

/** Adds what limits and runs need, if it is not there. The caller has begun a transaction, and looked at the version. */
export function createGates(connection: Connection, tables: Tables): void {
	if (tables.hasGates) return;
	raise(connection, tables, limitStatements(tables), limited);
	tables.hasGates = true;
}

/** Likewise, what children need. */
export function createFamilies(connection: Connection, tables: Tables): void {
	if (tables.hasFamilies) return;
	raise(connection, tables, familyStatements(tables), related);
	tables.hasFamilies = true;
}

function raise(connection: Connection, { schema }: Tables, sqls: readonly string[], by: number): void {
	for (const sql of [...sqls, `UPDATE ${schema} SET version = version + ${by}`]) connection.run(sql);
}

/** SQL for the tasks in the index of claims: not those behind a gate. */
export function isClaimable({ hasGates }: Tables): string {
	return hasGates ? `${State.isClaimable} AND gate IS NULL` : State.isClaimable;
}

/** SQL for whether the tables have a version that this library knows. */
export function isKnown({ schema }: Tables): string {
	return `(SELECT version FROM ${schema}) BETWEEN ${version} AND ${latest}`;
}

/** Checks that the tables still have this version: a newer library may have changed them meanwhile. */
export function checkVersion(connection: Connection, tables: Tables): void {
	checkFound(versionIn(connection, tables), tables);
}

/** Likewise, of a version that was read; `undefined`: there is none. */
export function checkFound(found: number | undefined, tables: Tables): void {
	const more = (found ?? 0) - version;
	const isKnown = more >= 0 && more <= latest - version;
	tables.hasGates = isKnown && (more & limited) > 0;
	tables.hasFamilies = isKnown && (more & related) > 0;
	if (isKnown) return;
	if (found === undefined) throw new StoreError("corrupt", noRow(tables.schema));
	if (found > latest) throw tooNew(found, latest);
	const advice = found === oldest
		? "open the store again, which migrates them"
		: "they are from before the first release, and cannot be migrated: use another prefix, or drop them";
	const message = `The tables have version ${found}: ${advice}`;
	throw new StoreError("refused", message);
}

/** The message if the only row of the schema table is unusable. */
export function noRow(schema: string): string {
	return `The row of the table ${schema} is missing or damaged: restore it`;
}

/**
 * The statements of one connection, prepared once each, with the differences between the drivers.
 *
 * @module
 */

/** The required part of a prepared statement. */
export interface SqliteStatement {
	/** Runs the statement and returns all rows. */
	all(...parameters: unknown[]): unknown[];
	/** Runs the statement and returns the number of changed rows. */
	run(...parameters: unknown[]): unknown;
}

/**
 * The required part of an open connection: a `DatabaseSync` of node:sqlite, or a `Database` of bun:sqlite,
 * better-sqlite3 or libsql.
 */
export interface SqliteConnection {
	/** Compiles a statement. */
	prepare(sql: string): SqliteStatement;
	/** Whether a transaction is open (node:sqlite). */
	readonly isTransaction?: boolean;
	/** Whether a transaction is open (bun:sqlite and better-sqlite3). */
	readonly inTransaction?: boolean;
	/** Closes the connection. Required if the store has opened it. */
	close?(): unknown;
}

/** Members that only some connections have. */
interface Extras {
	/** better-sqlite3: whether it is open. (node:sqlite: a method.) */
	readonly open?: unknown;
	/** Only better-sqlite3 and compatible packages have it. */
	readonly pragma?: unknown;
	exec?(sql: string): unknown;
}

/** Switches that make rows independent of the connection's settings: two of node:sqlite, one of the others. */
interface Switches {
	safeIntegers?(isOn: boolean): unknown;
	setReadBigInts?(isOn: boolean): void;
	setReturnArrays?(isOn: boolean): void;
	columns?(): readonly { readonly name: string }[];
}

/** A cached statement. */
interface Prepared {
	readonly statement: SqliteStatement & Switches;
	/** Whether its parameters must be named by their numbers. */
	readonly isNamed: boolean;
	/** The names of its columns if it returns arrays: node:sqlite makes these twice as fast as objects, which are slow to read. */
	readonly names: readonly string[] | undefined;
}

type Row = Record<string, unknown>;

export type Value = string | number | null | Uint8Array;

/** A connection, with the members that only some have. */
export type AnyConnection = SqliteConnection & Extras;

/** The maximum number of cached statements: lists have many forms. */
const mostStatements = 200;

export class Statements {
	readonly #prepared = new Map<string, Prepared>();
	/** Whether the connection treats the number of a parameter as a name. Absent if not yet known. */
	#areNumbersNames: boolean | undefined;

	/** Forgets all statements, as another connection follows or this one is closed. */
	clear(): void {
		this.#prepared.clear();
		this.#areNumbersNames = undefined;
	}

	/** Returns all rows. Numbers that JavaScript cannot represent are rounded. */
	all(db: AnyConnection, sql: string, parameters: readonly Value[]): unknown[] {
		const prepared = this.#prepare(db, sql);
		const { statement, names } = prepared;
		const given = argumentsOf(prepared, parameters);
		let rows: unknown[];
		try {
			rows = statement.all(...given);
		} catch (error) {
			// A statement that writes must not run again; its rows contain only numbers of this store.
			if (!(error instanceof RangeError) || !/^\s*(SELECT|WITH)/.test(sql)) throw error;
			rows = readRounded(statement, given);
		}
		return names ? rows.map((values) => objectOf(names, values as Row)) : rows;
	}

	/** Returns the number of changed rows. */
	run(db: AnyConnection, sql: string, parameters: readonly Value[]): number {
		const prepared = this.#prepare(db, sql);
		const result = prepared.statement.run(...argumentsOf(prepared, parameters));
		return Number((result as { changes: number | bigint }).changes);
	}

	#prepare(db: AnyConnection, sql: string): Prepared {
		const known = this.#prepared.get(sql);
		if (known !== undefined) return known;
		if (this.#prepared.size >= mostStatements) this.#prepared.clear();
		const statement: Prepared["statement"] = db.prepare(sql);
		statement.setReadBigInts?.(false);
		statement.safeIntegers?.(false);
		const names = statement.setReturnArrays && statement.columns?.().map(({ name }) => name);
		statement.setReturnArrays?.(!!names);
		const isNamed = /\?\d/.test(sql) && (this.#areNumbersNames ??= takesNames(db));
		const prepared = { statement, names, isNamed };
		this.#prepared.set(sql, prepared);
		return prepared;
	}
}

/** True for better-sqlite3, and for some versions of node:sqlite, which is detected by a test. */
function takesNames(db: AnyConnection): boolean {
	if (db.pragma !== undefined) return true;
	try {
		db.prepare("SELECT ?1").all(0);
		return false;
	} catch {
		return true;
	}
}

/** The arguments in the form that the driver accepts. */
function argumentsOf({ isNamed }: Prepared, values: readonly Value[]): readonly unknown[] {
	return isNamed ? [Object.fromEntries(values.map((value, index) => [index + 1, value]))] : values;
}

/** @param values an array, with the indexes of the columns */
function objectOf(names: readonly string[], values: Row): Row {
	const row: Row = {};
	names.forEach((name, index) => row[name] = values[index]);
	return row;
}

/** node:sqlite throws if a number is too large. */
function readRounded(statement: SqliteStatement & Switches, parameters: readonly unknown[]): unknown[] {
	statement.setReadBigInts?.(true);
	try {
		const rows = statement.all(...parameters) as Row[];
		for (const row of rows) {
			for (const name in row) if (typeof row[name] === "bigint") row[name] = Number(row[name]);
		}
		return rows;
	} finally {
		statement.setReadBigInts?.(false);
	}
}

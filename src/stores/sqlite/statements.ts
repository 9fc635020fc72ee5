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
}

/** A cached statement. */
interface Prepared {
	readonly statement: SqliteStatement & Switches;
	/** Whether its parameters must be named by their numbers. */
	readonly isNamed: boolean;
}

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
		const given = argumentsOf(prepared, parameters);
		try {
			return prepared.statement.all(...given);
		} catch (error) {
			// A statement that writes must not run again; its rows contain only numbers of this store.
			if (!(error instanceof RangeError) || !/^\s*(SELECT|WITH)/.test(sql)) throw error;
			return readRounded(prepared.statement, given);
		}
	}

	/** Returns the number of changed rows. */
	run(db: AnyConnection, sql: string, parameters: readonly Value[]): number {
		const prepared = this.#prepare(db, sql);
		const { changes } = prepared.statement.run(...argumentsOf(prepared, parameters)) as { changes: number | bigint };
		return Number(changes);
	}

	#prepare(db: AnyConnection, sql: string): Prepared {
		let prepared = this.#prepared.get(sql);
		if (prepared === undefined) {
			if (this.#prepared.size >= mostStatements) this.#prepared.clear();
			const statement: Prepared["statement"] = db.prepare(sql);
			statement.setReadBigInts?.(false);
			statement.setReturnArrays?.(false);
			statement.safeIntegers?.(false);
			prepared = { statement, isNamed: /\?\d/.test(sql) && (this.#areNumbersNames ??= takesNames(db)) };
			this.#prepared.set(sql, prepared);
		}
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

/** node:sqlite throws if a number is too large. */
function readRounded(statement: SqliteStatement & Switches, parameters: readonly unknown[]): unknown[] {
	statement.setReadBigInts?.(true);
	try {
		const round = (value: unknown) => typeof value === "bigint" ? Number(value) : value;
		return statement.all(...parameters).map((row) =>
			Object.fromEntries(Object.entries(row as object).map(([name, value]) => [name, round(value)]))
		);
	} finally {
		statement.setReadBigInts?.(false);
	}
}

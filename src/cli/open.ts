/**
 * Opens the database without changing its tables.
 *
 * @module
 */

import { statSync } from "node:fs";
import { resolve } from "node:path";
import { sqliteStore } from "../stores/sqlite/sqlite.ts";
import { Connection, type SqliteConnection } from "../stores/sqlite/connection.ts";
import { areThere } from "../stores/sqlite/schema.ts";
import { gateOf, survey } from "../stores/sqlite/survey.ts";
import { nameTables, type Tables } from "../stores/sqlite/tables.ts";
import { load, openPostgres } from "./postgres.ts";
import {
	type Catalog,
	type CommandName,
	exitCodeOf,
	Failure,
	type OpenStore,
	quote,
	type Request,
} from "./terminal.ts";

/** A connection that can be closed. */
interface Database extends SqliteConnection {
	close(): void;
}

/** How long to wait for other writers, in milliseconds. */
const patience = 10_000;

const reading: readonly CommandName[] = ["baskets", "ls", "show", "why", "counts", "watch", "schedules", "serve"];

/** Whether a command changes nothing. */
export function isReading(command: CommandName): boolean {
	return reading.includes(command);
}

/**
 * Opens the store. A command that only reads opens the database read-only, if the driver can.
 *
 * @param onConnect called with what can say why an answer does not come, before the first question
 * @throws {Failure} if the database or its tables do not exist, or have another version
 * @throws {StoreError} if it cannot be read
 */
export async function openStore(
	{ db, tables, command, mayWrite }: Request,
	onConnect: (explain: OpenStore["explain"]) => void = () => {},
): Promise<OpenStore> {
	const mayOnlyRead = isReading(command) && !mayWrite;
	const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(db)?.[1]?.toLowerCase();
	if (scheme === undefined) return await openFile(db, tables ?? "upkeep_", mayOnlyRead, onConnect);
	if (/^postgres(ql)?$/.test(scheme)) return await openPostgres(db, tables ?? "upkeep", onConnect);
	throw new Failure(2, `--db takes a file or an address that begins with postgres://, not ${scheme}://…`);
}

async function openFile(
	file: string,
	prefix: string,
	isReading: boolean,
	onConnect: (explain: OpenStore["explain"]) => void,
): Promise<OpenStore> {
	onConnect(explain);
	const path = resolve(file);
	const stats = statSync(path, { throwIfNoEntry: false });
	if (stats === undefined) throw new Failure(1, `There is no file ${quote(file)}`);
	if (!stats.isFile()) throw new Failure(1, `${quote(file)} is not a file`);
	const db = await connect(path, isReading);
	try {
		if (!/^[a-z_]\w*$/i.test(prefix)) {
			throw new Failure(2, `--tables takes letters, digits and _, not ${quote(prefix)}`);
		}
		const connection = new Connection(patience);
		connection.use(db);
		const names = nameTables(prefix);
		await checkTables(connection, names, { prefix, file });
		const store = sqliteStore(db, { prefix, busyTimeout: patience });
		await store.open();
		return { store, catalog: catalogOf(connection, names), explain, close: async () => db.close() };
	} catch (error) {
		db.close();
		throw error instanceof Failure
			? error
			: new Failure(exitCodeOf(error), `${quote(file)}: ${(error as Error).message}`, { cause: error });
	}
}

function catalogOf(connection: Connection, tables: Tables): Catalog {
	return {
		survey: async (basket) => {
			const at = Date.now();
			return { at, tasks: await survey(connection, tables, at, basket) };
		},
		gate: (...names) => gateOf(connection, tables, ...names),
	};
}

/** SQLite does not know who has locked a file. */
async function explain(): Promise<string> {
	return "another process that writes to it, or has locked it";
}

/** Opening the store would create missing tables, which a command must not do. */
async function checkTables(
	connection: Connection,
	tables: Tables,
	{ prefix, file }: { readonly prefix: string; readonly file: string },
): Promise<void> {
	if (await connection.read(() => areThere(connection, tables))) return;
	throw new Failure(1, `${quote(file)} has no tables of upkeep that begin with ${quote(prefix)}`);
}

async function connect(path: string, isReading: boolean): Promise<Database> {
	// The name is a variable because bundlers and registries must not resolve a module that only some runtimes have.
	const name: string = "Bun" in globalThis ? "bun:sqlite" : "node:sqlite";
	const module = await importQuietly(name);
	try {
		if (module === undefined) return await openWithPackage(path, isReading);
		if ("Bun" in globalThis) return new module.Database(path, isReading ? { readonly: true } : { readwrite: true });
		return new module.DatabaseSync(path, { readOnly: isReading });
	} catch (error) {
		if (error instanceof Failure) throw error;
		throw new Failure(1, `${quote(path)} cannot be opened: ${(error as Error).message}`, { cause: error });
	}
}

/** For a Node without SQLite: opens the file with an installed package. */
async function openWithPackage(path: string, isReading: boolean): Promise<Database> {
	const Package = await load("better-sqlite3", 13) ?? await load("libsql", 0);
	if (Package === undefined) {
		const { version } = (globalThis as { process?: { version?: string } }).process ?? {};
		throw new Failure(
			1,
			`SQLite needs Node 22.13 or later, Deno or Bun, or the package libsql in this folder; this is Node ${version}`,
		);
	}
	const db = new Package(path);
	if (isReading) db.pragma("query_only = ON"); // libsql cannot open a file read-only
	return db;
}

// deno-lint-ignore no-explicit-any -- each runtime has one of two modules
async function importQuietly(name: string): Promise<any> {
	const { process } = globalThis as { process?: { emitWarning: unknown } };
	const { emitWarning } = process ?? {};
	try {
		// Node 22 warns that its SQLite is experimental, which is noise for operators.
		if (process !== undefined) process.emitWarning = () => {};
		return await import(name);
	} catch {
		return undefined;
	} finally {
		if (process !== undefined) process.emitWarning = emitWarning;
	}
}

/** The database file: the tables of the basket, which its store creates, and the tables of this program. */

import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { openSqlite } from "../shared/sqlite.ts";

/** How long the endpoint remembers received messages, in days. */
const memory = 7;

export async function openDatabase(file: string): Promise<DatabaseSync> {
	mkdirSync(dirname(resolve(file)), { recursive: true });
	const database = await openSqlite(file);
	// In this order; otherwise processes that start at the same time find the database locked. FULL: accepted messages
	// also survive a power failure.
	database.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
	database.exec(`
		CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
		CREATE TABLE IF NOT EXISTS received (id TEXT PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;
		DELETE FROM received WHERE day < unixepoch() / 86400 - ${memory};
	`);
	return database;
}

/** Remembers the port, so that the page finds the server again at the same address. */
export class RememberedPort {
	readonly #database: DatabaseSync;

	constructor(database: DatabaseSync) {
		this.#database = database;
	}

	get(): number | undefined {
		const row = this.#database.prepare("SELECT value FROM settings WHERE name = 'port'").get();
		return row?.["value"] as number | undefined;
	}

	set(port: number): void {
		this.#database.prepare("INSERT OR REPLACE INTO settings VALUES ('port', ?)").run(port);
	}
}

/** The received messages, to drop duplicates. */
export class Received {
	readonly #database: DatabaseSync;

	constructor(database: DatabaseSync) {
		this.#database = database;
	}

	/** Returns whether the message is new. */
	add(id: string): boolean {
		const sql = "INSERT INTO received VALUES (?, unixepoch() / 86400) ON CONFLICT DO NOTHING";
		return this.#database.prepare(sql).run(id).changes === 1;
	}
}

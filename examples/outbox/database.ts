/** The file: the basket's tables, which its store makes, and beside them what this program itself remembers. */

import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { openSqlite } from "../shared/sqlite.ts";

/** For how long the endpoint knows what it has received, in days. */
const memory = 7;

export async function openDatabase(file: string): Promise<DatabaseSync> {
	mkdirSync(dirname(resolve(file)), { recursive: true });
	const database = await openSqlite(file);
	// In this order: two processes that begin at the same time would find it locked. FULL: what was accepted outlives a
	// power failure, too.
	database.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
	database.exec(`
		CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
		CREATE TABLE IF NOT EXISTS received (id TEXT PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;
		DELETE FROM received WHERE day < unixepoch() / 86400 - ${memory};
	`);
	return database;
}

/** So that the page finds the server again under the address that the browser knows. */
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

/** What has arrived at the endpoint, so that what comes twice is dropped. */
export class Received {
	readonly #database: DatabaseSync;

	constructor(database: DatabaseSync) {
		this.#database = database;
	}

	/** Says whether it is new. */
	add(id: string): boolean {
		const sql = "INSERT INTO received VALUES (?, unixepoch() / 86400) ON CONFLICT DO NOTHING";
		return this.#database.prepare(sql).run(id).changes === 1;
	}
}

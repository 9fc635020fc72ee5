// SQLite in a file for the tests of jobs. Each process has its own connection.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OpenDatabase } from "./database.ts";
import { type SqliteConnection, sqliteStore } from "../../src/stores/sqlite/sqlite.ts";

interface Driver extends SqliteConnection {
	exec(sql: string): unknown;
	close(): void;
}

/** @param open opens a connection of one of the drivers */
export function openSqlite(open: (path: string) => Driver): OpenDatabase {
	return () => {
		const folder = mkdtempSync(join(tmpdir(), "upkeep-jobs-"));
		const first = connect();
		first.exec("PRAGMA journal_mode = WAL");
		first.exec("CREATE TABLE lines (n INTEGER PRIMARY KEY, name TEXT, line TEXT)");

		function connect(): Driver {
			const db = open(join(folder, "jobs.db"));
			db.exec("PRAGMA synchronous = OFF");
			return db;
		}

		return Promise.resolve({
			connect(clock, name) {
				const db = connect();
				let isClosed = false;
				const store = sqliteStore(db, { clock, pollInterval: 1e9 });
				return {
					store,
					write: (line, work) =>
						store.transaction(async (tx) => {
							tx.prepare("INSERT INTO lines (name, line) VALUES (?, ?)").run(name, line);
							await work(tx);
						}),
					lines: () => {
						const rows = first.prepare("SELECT line FROM lines WHERE name = ? ORDER BY n").all(name);
						return Promise.resolve(rows.map((row) => (row as { line: string }).line));
					},
					cut: () => {
						if (isClosed) return;
						isClosed = true;
						// A driver may keep a connection open until its statements are collected.
						if (db.isTransaction ?? db.inTransaction) db.exec("ROLLBACK");
						db.close();
					},
				};
			},
			close() {
				first.close();
				rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
				return Promise.resolve();
			},
		});
	};
}

/** The tables of the service, and the tasks in the same file. */

import { Database } from "bun:sqlite";
import { type SqliteStore, sqliteStore } from "upkeep/stores/sqlite";

export const db: Database = new Database(Bun.env["DB"] ?? "orders.db");
db.run("PRAGMA busy_timeout = 5000");
db.run("PRAGMA journal_mode = WAL");
db.run("PRAGMA synchronous = FULL");
db.run("CREATE TABLE IF NOT EXISTS stock (article TEXT PRIMARY KEY, count INTEGER NOT NULL CHECK (count >= 0))");
db.run("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, customer TEXT, article TEXT, status TEXT)");
db.run("CREATE TABLE IF NOT EXISTS reports (at INTEGER PRIMARY KEY, sent INTEGER, cancelled INTEGER)");
db.run("INSERT OR IGNORE INTO stock VALUES ('tea', 1000), ('piano', 1000), ('unicorn', 0)");

export const store: SqliteStore<Database> = sqliteStore(db);

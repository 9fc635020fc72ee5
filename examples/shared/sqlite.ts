/** Opens an SQLite file: with what the runtime has of its own, or else, in Node 20, with the package libsql. */

import type { DatabaseSync } from "node:sqlite";

/** Opens the file, or makes it. What libsql opens has the methods that the examples and `sqliteStore` call. */
export async function openSqlite(file: string): Promise<DatabaseSync> {
	const own = await import("node:sqlite").catch(() => undefined);
	if (own !== undefined) return new own.DatabaseSync(file);
	const name: string = "libsql";
	const { default: Database } = await import(name);
	return new Database(file);
}

/** Opens an SQLite file with the runtime's own SQLite, or in Node 20 with the package libsql. */

import type { DatabaseSync } from "node:sqlite";

/** Opens or creates the file. A connection of libsql has the methods that the examples and `sqliteStore` call. */
export async function openSqlite(file: string): Promise<DatabaseSync> {
	const own = await import("node:sqlite").catch(() => undefined);
	if (own !== undefined) return new own.DatabaseSync(file);
	const name: string = "libsql";
	const { default: Database } = await import(name);
	return new Database(file);
}

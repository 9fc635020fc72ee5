// libsql, which has the interface of better-sqlite3 and brings its binaries along: only for Node, as its addon is tested there.
import Libsql from "libsql";

/** libsql has no connections for reading alone: it takes the option, and writes. */
export function openLibsql(path: string, isReadOnly = false): Libsql.Database {
	const db = new Libsql(path);
	if (isReadOnly) db.pragma("query_only = ON");
	return db;
}

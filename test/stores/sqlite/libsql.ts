// libsql, which has the interface of better-sqlite3 and includes its binaries. The tests use its addon only in Node.
import Libsql from "libsql";

/** Opens a database. libsql has no read-only connections: it accepts the option, but still writes. */
export function openLibsql(path: string, isReadOnly = false): Libsql.Database {
	const db = new Libsql(path);
	if (isReadOnly) db.pragma("query_only = ON");
	return db;
}

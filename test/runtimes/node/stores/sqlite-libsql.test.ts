// Only Node, because Deno and Bun have built-in SQLite modules.
import { openLibsql } from "../../../stores/sqlite/libsql.ts";
import { testSqlite } from "../../../stores/sqlite/suite.ts";

testSqlite("sqliteStore() of libsql", openLibsql, false);

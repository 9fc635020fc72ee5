// Only Node: Deno and Bun have an SQLite of their own.
import { openLibsql } from "../../../stores/sqlite/libsql.ts";
import { testSqlite } from "../../../stores/sqlite/suite.ts";

testSqlite("sqliteStore() of libsql", openLibsql);

// Only Node: Deno and Bun have an SQLite of their own.
import { openLibsql } from "../../../libsql.ts";
import { testSqlite } from "../../../sqlite-suite.ts";

testSqlite("sqliteStore() of libsql", openLibsql);

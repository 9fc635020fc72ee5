import { testCrashes } from "../../../job/crashes.ts";
import { testDurable } from "../../../job/durable-laws.ts";
import { testJobs } from "../../../job/laws.ts";
import { openSqlite } from "../../../job/sqlite.ts";
import { openLibsql } from "../../../stores/sqlite/libsql.ts";

const open = openSqlite(openLibsql);

testJobs("sqliteStore() of libsql", open);
testDurable("sqliteStore() of libsql", open);
testCrashes("sqliteStore() of libsql", open);

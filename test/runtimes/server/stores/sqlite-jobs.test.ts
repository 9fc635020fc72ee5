import { DatabaseSync } from "node:sqlite";
import { testCrashes } from "../../../job/crashes.ts";
import { testDurable } from "../../../job/durable-laws.ts";
import { testJobs } from "../../../job/laws.ts";
import { openSqlite } from "../../../job/sqlite.ts";

const open = openSqlite((path) => new DatabaseSync(path));

testJobs("sqliteStore()", open);
testDurable("sqliteStore()", open);
testCrashes("sqliteStore()", open);

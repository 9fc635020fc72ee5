import { DatabaseSync } from "node:sqlite";
import { testCrashes } from "../../../job/crashes.ts";
import { testJobs } from "../../../job/laws.ts";
import { openSqlite } from "../../../job/sqlite.ts";

const open = openSqlite((path) => new DatabaseSync(path));

testJobs("sqliteStore()", open);
testCrashes("sqliteStore()", open);

import { testCrashes } from "../../../job/crashes.ts";
import { testDurable } from "../../../job/durable-laws.ts";
import { testJobs } from "../../../job/laws.ts";
import { openSqlite } from "../../../job/sqlite.ts";

// The modules of Bun have no types here.
const name = "bun:sqlite";
const { Database } = await import(name);

const open = openSqlite((path) => new Database(path));

testJobs("sqliteStore() of bun:sqlite", open);
testDurable("sqliteStore() of bun:sqlite", open);
testCrashes("sqliteStore() of bun:sqlite", open);

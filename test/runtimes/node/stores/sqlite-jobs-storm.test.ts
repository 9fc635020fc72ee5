import { DatabaseSync } from "node:sqlite";
import { openSqlite } from "../../../job/sqlite.ts";
import { testStorm } from "../../../job/storm.ts";

testStorm("sqliteStore()", openSqlite((path) => new DatabaseSync(path)));

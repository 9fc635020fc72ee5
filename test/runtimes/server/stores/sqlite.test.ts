import { DatabaseSync } from "node:sqlite";
import { testSqlite } from "../../../sqlite-suite.ts";

testSqlite("sqliteStore()", (path) => new DatabaseSync(path));

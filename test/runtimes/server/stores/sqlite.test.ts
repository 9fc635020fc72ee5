import { DatabaseSync } from "node:sqlite";
import { testSqlite } from "../../../sqlite-suite.ts";

testSqlite("sqliteStore()", (path, isReadOnly = false) => new DatabaseSync(path, { readOnly: isReadOnly }));

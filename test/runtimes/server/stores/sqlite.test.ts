import { DatabaseSync } from "node:sqlite";
import { testSqlite } from "../../../stores/sqlite/suite.ts";

testSqlite("sqliteStore()", (path, isReadOnly = false) => new DatabaseSync(path, { readOnly: isReadOnly }));

import { DatabaseSync } from "node:sqlite";
import { testSqlite } from "../../../stores/sqlite/suite.ts";
import { isNode } from "../../../support.ts";

testSqlite("sqliteStore()", (path, isReadOnly = false) => new DatabaseSync(path, { readOnly: isReadOnly }), isNode);

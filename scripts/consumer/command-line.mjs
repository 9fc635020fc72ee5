// Makes a database for the command line to look at.
import { DatabaseSync } from "node:sqlite";
import { sqliteStore } from "upkeep/stores/sqlite";

const db = new DatabaseSync("tasks.db");
const store = sqliteStore(db);
await store.open();
await store.add("default", [{ id: "first", kind: "mail", payload: "{}", delay: 0, priority: 0 }]);
db.close();

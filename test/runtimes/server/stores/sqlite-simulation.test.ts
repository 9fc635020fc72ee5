// The same as test/simulation.test.ts, on SQLite.
import { openSqlite } from "../../../simulation/sqlite.ts";
import { testSimulation } from "../../../simulation/suite.ts";
import { isLong, isNode } from "../../../support.ts";

// More seeds with `--long` in Node. In Deno and Bun only the driver differs, which has its own tests.
const seeds = (isNode ? 160 : 80) * (isLong ? 1 : 0.25);
testSimulation({ store: "sqlite", open: openSqlite, seeds });
testSimulation({ store: "sqlite", open: openSqlite, seeds: seeds / 4, what: "jobs" });
testSimulation({ store: "sqlite", open: openSqlite, seeds: seeds / 2, what: "trees" });

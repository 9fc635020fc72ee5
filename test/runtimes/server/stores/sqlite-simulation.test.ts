// The same as test/simulation.test.ts, on a database.
import { openSqlite } from "../../../simulation/sqlite.ts";
import { testSimulation } from "../../../simulation/suite.ts";
import { isLong } from "../../../support.ts";

// More where it counts; a desk need not wait for each change. In Deno and Bun it is
// about the driver alone, which has tests of its own.
const isNode = !("Deno" in globalThis) && !("Bun" in globalThis);
const seeds = (isNode ? 400 : 80) * (isLong ? 1 : 0.25);
testSimulation({ store: "sqlite", open: openSqlite, seeds });
testSimulation({ store: "sqlite", open: openSqlite, seeds: seeds / 4, hasJobs: true });

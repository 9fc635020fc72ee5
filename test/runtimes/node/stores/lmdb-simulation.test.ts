// The same as test/simulation.test.ts, on a store that is not part of the package. Only Node, because the driver is a
// Node addon.
import { openLmdb } from "../../../simulation/lmdb.ts";
import { testSimulation } from "../../../simulation/suite.ts";
import { isLong } from "../../../support.ts";

const seeds = isLong ? 40 : 20;
testSimulation({ store: "lmdb", open: openLmdb, seeds });
testSimulation({ store: "lmdb", open: openLmdb, seeds: seeds / 4, what: "jobs" });

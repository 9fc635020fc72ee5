// The same as test/simulation.test.ts, on the record store.
import { isLong, isNode, isPage } from "../support.ts";
import { openRecords } from "../simulation/records.ts";
import { testSimulation } from "../simulation/suite.ts";

const seeds = isPage ? 5 : (isLong ? 2 : 1) * (isNode ? 100 : 25);
testSimulation({ store: "records", open: openRecords, seeds });
testSimulation({ store: "records", open: openRecords, seeds: Math.ceil(seeds / 4), what: "jobs" });
testSimulation({ store: "records", open: openRecords, seeds: Math.ceil(seeds / 4), what: "trees" });

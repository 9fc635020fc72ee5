// The engine in a simulation: several processes, all kinds of faults, and invariants that are checked at each step.
import { isLong, isNode, isPage } from "./support.ts";
import { openMemory } from "./simulation/memory.ts";
import { testSimulation } from "./simulation/suite.ts";

// The behavior does not depend on the engine. Therefore Node and `--long` have the most seeds, and other engines have
// some. Engines in which macrotasks are slow have the fewest, because each seed takes some hundred macrotasks.
const share = isLong ? 1 : 0.25;
testSimulation({ store: "memory", open: openMemory, seeds: isPage ? 10 : share * (isNode ? 1_200 : 400) });
testSimulation({ store: "memory", open: openMemory, seeds: isPage ? 5 : share * (isNode ? 300 : 100), what: "jobs" });
testSimulation({ store: "memory", open: openMemory, seeds: isPage ? 5 : share * (isNode ? 600 : 100), what: "trees" });

// The engine in a simulation: several processes, faults of all kinds, and invariants that are checked with each step.
import { isLong, isPage } from "./support.ts";
import { openMemory } from "./simulation/memory.ts";
import { testSimulation } from "./simulation/suite.ts";

// The engine is the same everywhere. Most seeds in Node, and with `--long`; elsewhere enough to see that nothing depends on
// the engine, and least where a macrotask is slow, of which each seed takes some hundred.
const isNode = !isPage && !("Deno" in globalThis) && !("Bun" in globalThis);
const share = isLong ? 1 : 0.25;
testSimulation({ store: "memory", open: openMemory, seeds: isPage ? 10 : share * (isNode ? 2_000 : 400) });
testSimulation({ store: "memory", open: openMemory, seeds: isPage ? 5 : share * (isNode ? 500 : 100), hasJobs: true });

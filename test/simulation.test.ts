// The engine in a simulation: several processes, faults of all kinds, and invariants that are checked with each step.
import { isPage } from "./support.ts";
import { openMemory } from "./simulation/memory.ts";
import { testSimulation } from "./simulation/suite.ts";

// The engine is the same everywhere. In Node all seeds that are promised; elsewhere enough to see that nothing depends on the
// engine, and least where a macrotask is slow, of which each seed takes some hundred.
const isNode = !isPage && !("Deno" in globalThis) && !("Bun" in globalThis);
testSimulation({ store: "memory", open: openMemory, seeds: isNode ? 2_000 : isPage ? 10 : 500 });
testSimulation({ store: "memory", open: openMemory, seeds: isNode ? 500 : isPage ? 5 : 150, hasJobs: true });

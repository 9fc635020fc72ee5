import { isPage } from "../support.ts";
import { testCrashes } from "./crashes.ts";
import { openMemory } from "./database.ts";

// Fewer trials in pages and workerd, where a macrotask is slow. The behavior does not depend on the engine.
testCrashes("memoryStore()", openMemory, { stride: isPage ? 6 : 1 });

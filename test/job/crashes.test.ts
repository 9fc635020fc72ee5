import { isPage } from "../support.ts";
import { testCrashes } from "./crashes.ts";
import { openMemory } from "./database.ts";

// It is the same everywhere; a macrotask is slow in pages and in workerd.
testCrashes("memoryStore()", openMemory, { stride: isPage ? 3 : 1 });

import { isPage } from "../support.ts";
import { openMemory } from "./database.ts";
import { testStorm } from "./storm.ts";

// Fewer jobs in pages and workerd, where a macrotask is slow. The behavior does not depend on the engine.
if (isPage) testStorm("memoryStore()", openMemory, 100, 10);
else testStorm("memoryStore()", openMemory);

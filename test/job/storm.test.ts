import { isPage } from "../support.ts";
import { openMemory } from "./database.ts";
import { testStorm } from "./storm.ts";

// It is the same everywhere; a macrotask is slow in pages and in workerd.
if (isPage) testStorm("memoryStore()", openMemory, 100, 10);
else testStorm("memoryStore()", openMemory);

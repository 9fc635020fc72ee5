import { testCrashes } from "./crashes.ts";
import { openMemory } from "./database.ts";

testCrashes("memoryStore()", openMemory);

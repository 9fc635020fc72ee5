import { openMemory } from "./database.ts";
import { testStorm } from "./storm.ts";

testStorm("memoryStore()", openMemory);

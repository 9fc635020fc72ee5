import { describe, test } from "vitest";
import { testChildren } from "./children-laws.ts";
import { openMemory } from "./database.ts";
import { withMachines } from "./support.ts";
describe("children of jobs on memoryStore()", () => {
	testChildren((title, body) => test(title, () => withMachines(openMemory, body)));
});

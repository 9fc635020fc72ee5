import { test } from "vitest";
import { overMap, recordStore } from "../../src/records/records.ts";
import { testStore, VirtualClock } from "../../src/testing.ts";
import { MemoryMap } from "./memory-map.ts";

testStore("recordStore() over an ordered map", async () => {
	const clock = new VirtualClock();
	const store = recordStore(overMap(new MemoryMap(clock)));
	return { store, advance: (duration) => clock.advance(duration), close: () => {} };
}, { test, without: ["tx", "shared"] });

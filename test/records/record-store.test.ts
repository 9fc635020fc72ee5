import { test } from "vitest";
import { overMap, recordStore } from "../../src/records/records.ts";
import { testRecordSpace, testStore, VirtualClock } from "../../src/testing/testing.ts";
import { MemoryMap } from "./memory-map.ts";
import { Changes, OptimisticMap } from "./optimistic-map.ts";

testStore("recordStore() over a map", async () => {
	const clock = new VirtualClock();
	const store = recordStore(overMap(new MemoryMap(clock)));
	return { store, advance: (duration) => clock.advance(duration), close: () => {} };
}, { test, without: ["tx", "shared"] });

testStore("recordStore() over an optimistic map", async () => {
	const clock = new VirtualClock();
	const map = new OptimisticMap(clock);
	return {
		store: recordStore(overMap(map)),
		another: async () => recordStore(overMap(map)),
		async transaction(work: (tx: Changes) => Promise<unknown>) {
			const tx = new Changes();
			await work(tx);
			if (!tx.commit()) throw new Error("not committed");
		},
		advance: (duration) => clock.advance(duration),
		close: () => {},
	};
}, { test });

testRecordSpace(
	"overMap() over a map",
	async () => ({ space: overMap(new MemoryMap(new VirtualClock())), close() {} }),
	{ test },
);

testRecordSpace("overMap() over an optimistic map", async () => {
	return { space: overMap(new OptimisticMap(new VirtualClock())), close() {} };
}, { test });

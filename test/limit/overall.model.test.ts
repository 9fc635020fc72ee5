import { describe, test } from "vitest";
import { type Clock, memoryStore, type Store } from "../../mod.ts";
import { overMap, recordStore } from "../../src/records/records.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { MemoryMap } from "../records/memory-map.ts";
import { OptimisticMap } from "../records/optimistic-map.ts";
import { seed } from "../seed.ts";
import { tryOverall } from "./overall.model.ts";

const makers: [name: string, make: (clock: Clock) => Store][] = [
	["memoryStore()", (clock) => memoryStore({ clock })],
	["recordStore() over a map", (clock) => recordStore(overMap(new MemoryMap(clock)))],
	["recordStore() over an optimistic map", (clock) => recordStore(overMap(new OptimisticMap(clock)))],
];

describe("Store", () => {
	test.each(makers)(
		"turn() keeps to the limit of the basket in random histories, and all gets done: %s",
		async (_, make) => {
			for (let round = 0; round < 6; round++) {
				const clock = new VirtualClock({ now: 1_000_000 });
				const store = make(clock);
				const advance = (duration: number) => clock.advance(duration);
				const setBack = (duration: number) => clock.setNow(clock.now() - duration);
				await tryOverall({ stores: [store, store], advance, setBack }, seed + round);
			}
		},
	);
});

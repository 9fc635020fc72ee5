import { test } from "vitest";
import { memoryStore } from "../../mod.ts";
import { testStore, VirtualClock } from "../../src/testing/testing.ts";
import { seed } from "../seed.ts";

testStore("memoryStore()", async () => {
	const clock = new VirtualClock({ now: 1_700_000_000_000 });
	return { store: memoryStore({ clock }), advance: (duration: number) => clock.advance(duration), close() {} };
}, { test, seed, without: ["tx", "shared"] });

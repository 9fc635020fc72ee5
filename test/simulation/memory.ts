import type { SimulatedStore } from "./simulate.ts";
import type { VirtualClock } from "../../src/testing.ts";
import { memoryStore } from "../../mod.ts";

export function openMemory(clock: VirtualClock): SimulatedStore {
	return { store: memoryStore({ clock }), close() {} };
}

import type { SimulatedStore } from "./simulate.ts";
import type { VirtualClock } from "../../src/testing/testing.ts";
import { memoryStore } from "../../mod.ts";
import { withTransactions } from "./transactions.ts";

export function openMemory(clock: VirtualClock): SimulatedStore {
	const isExclusive = Math.random() < 0.3;
	return { ...withTransactions(memoryStore({ clock }), isExclusive), close() {} };
}

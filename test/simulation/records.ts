import type { SimulatedStore } from "./simulate.ts";
import type { VirtualClock } from "../../src/testing/testing.ts";
import { overMap, recordStore } from "../../src/records/records.ts";
import { MemoryMap } from "../records/memory-map.ts";
import { withTransactions } from "./transactions.ts";

/** Opens the record store over a synchronous map. */
export function openRecords(clock: VirtualClock): SimulatedStore {
	const isExclusive = Math.random() < 0.3;
	return { ...withTransactions(recordStore(overMap(new MemoryMap(clock))), isExclusive), close() {} };
}

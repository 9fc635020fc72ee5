import type { Store } from "../../mod.ts";
import type { SimulatedStore } from "./simulate.ts";
import type { VirtualClock } from "../../src/testing.ts";
import { DatabaseSync } from "node:sqlite";
import { sqliteStore } from "../../src/stores/sqlite.ts";

export function openSqlite(clock: VirtualClock): SimulatedStore {
	const db = new DatabaseSync(":memory:");
	// No other process can have added anything, and to look for it takes real time.
	const store = sqliteStore(db, { clock, pollInterval: 1e9 });
	return { store: store as unknown as Store<never>, close: () => db.close() };
}

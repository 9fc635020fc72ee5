// The store on the IndexedDB of a browser, in virtual time.
import type { Store } from "../../mod.ts";
import type { VirtualClock } from "../../src/testing/testing.ts";
import type { PatientClock } from "./patient-clock.ts";
import type { SimulatedStore } from "./simulate.ts";
import { indexedDBStore } from "../../src/stores/indexeddb/indexeddb.ts";
import { patientStore, seedCrypto } from "./patient-store.ts";

let count = 0;

export async function openIndexedDB(clock: VirtualClock): Promise<SimulatedStore> {
	const name = `upkeep-simulation-${Date.now()}-${++count}`;
	const restore = seedCrypto();
	const store = indexedDBStore(name, { clock, durability: "relaxed" }) as unknown as Store<never>;
	await store.open();
	const close = () => {
		restore();
		void store.close!();
		indexedDB.deleteDatabase(name);
	};
	return { store: patientStore(store, clock as PatientClock), close };
}

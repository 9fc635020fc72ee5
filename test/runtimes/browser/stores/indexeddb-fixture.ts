// A fixture of testStore() for indexedDBStore().
import { indexedDBStore } from "../../../../src/stores/indexeddb/indexeddb.ts";
import type { StoreFixture } from "../../../../src/testing/testing.ts";
import { VirtualClock } from "../../../../src/testing/testing.ts";
import { transactIn } from "./indexeddb-support.ts";

let count = 0;

/** Creates stores on the result of `open` for a new name. The transactions use another connection. */
export async function fixture(
	open: (name: string) => Promise<string | IDBDatabase>,
	connect: (name: string) => Promise<IDBDatabase>,
): Promise<StoreFixture<IDBTransaction>> {
	const name = `upkeep-suite-${Date.now()}-${++count}`;
	const clock = new VirtualClock({ now: Date.now() });
	const databases: IDBDatabase[] = [];
	const make = async () => {
		const database = await open(name);
		if (typeof database !== "string") databases.push(database);
		return indexedDBStore(database, { clock });
	};
	const stores = [await make()];
	return {
		store: stores[0]!,
		advance: (duration: number) => clock.advance(duration),
		async another() {
			stores.push(await make());
			return stores.at(-1)!;
		},
		async transaction(work: (tx: IDBTransaction) => Promise<unknown>) {
			const database = await connect(name);
			await transactIn(database, work).finally(() => database.close());
		},
		async close() {
			for (const store of stores) await store.close!();
			for (const database of databases) database.close();
			indexedDB.deleteDatabase(name);
		},
	};
}

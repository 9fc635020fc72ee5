// The tests for all stores, over a database of the store and over one of the caller.
import { test } from "vitest";
import { indexedDBStore } from "../../../../src/stores/indexeddb/indexeddb.ts";
import { systemClock } from "../../../../src/platform/clock.ts";
import { NamedConnection } from "../../../../src/stores/indexeddb/connection.ts";
import { IndexedDBSpace } from "../../../../src/stores/indexeddb/space.ts";
import { testRecordSpace, testStore, VirtualClock } from "../../../../src/testing/testing.ts";
import { seed } from "../../../seed.ts";
import { openOwn, openPlain, transactIn } from "./indexeddb-support.ts";

let count = 0;

const register = (title: string, body: () => Promise<void>) => test(title, body, 60_000); // some tests store 10,000 tasks
testRecordSpace("IndexedDB", async () => {
	const name = `upkeep-space-${Date.now()}-${++count}`;
	const space = new IndexedDBSpace(new NamedConnection(name, systemClock), "relaxed", systemClock);
	return { space, close: () => space.close().finally(() => indexedDB.deleteDatabase(name)) };
}, { test: register });
testStore("indexedDBStore(name)", () => fixture((name) => Promise.resolve(name), openPlain), { test: register, seed });
testStore("indexedDBStore(database)", () => fixture(openOwn, openOwn), { test: register, seed });

/** Creates stores on the result of `open` for a new name. The transactions use another connection. */
async function fixture(
	open: (name: string) => Promise<string | IDBDatabase>,
	connect: (name: string) => Promise<IDBDatabase>,
) {
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

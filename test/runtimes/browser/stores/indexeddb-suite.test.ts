// The tests for all stores, over a database of the store, and those for its records.
import { test } from "vitest";
import { systemClock } from "../../../../src/platform/clock.ts";
import { NamedConnection } from "../../../../src/stores/indexeddb/connection.ts";
import { IndexedDBSpace } from "../../../../src/stores/indexeddb/space.ts";
import { testRecordSpace, testStore } from "../../../../src/testing/testing.ts";
import { seed } from "../../../seed.ts";
import { fixture } from "./indexeddb-fixture.ts";
import { openPlain } from "./indexeddb-support.ts";

let count = 0;

const register = (title: string, body: () => Promise<void>) => test(title, body, 60_000); // some tests store 10,000 tasks
testRecordSpace("IndexedDB", async () => {
	const name = `upkeep-space-${Date.now()}-${++count}`;
	const space = new IndexedDBSpace(new NamedConnection(name, systemClock), "relaxed", systemClock);
	return { space, close: () => space.close().finally(() => indexedDB.deleteDatabase(name)) };
}, { test: register });
testStore("indexedDBStore(name)", () => fixture((name) => Promise.resolve(name), openPlain), { test: register, seed });

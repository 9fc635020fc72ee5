// Only Node, because the driver is a Node addon.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "vitest";
import type { Store } from "../../../../src/basket/store.ts";
import { LmdbMap, lmdbStore } from "../../../../examples/stores/lmdb.ts";
import { overMap } from "../../../../src/records/records.ts";
import { testRecordSpace, testStore, VirtualClock } from "../../../../src/testing/testing.ts";
import { expectLists } from "../../../records/laws.ts";

testRecordSpace("LMDB", async () => {
	const path = makeFolder();
	const map = new LmdbMap(path, { pollInterval: 5 });
	return {
		space: overMap(map),
		async close() {
			await map.close();
			rmSync(path, { recursive: true, force: true });
		},
	};
}, { test });

testStore("lmdbStore()", async () => {
	const path = makeFolder();
	const clock = new VirtualClock();
	const opened = [lmdbStore(path, { clock, pollInterval: 5 })];
	return {
		store: opened[0]!,
		async another() {
			const store = lmdbStore(path, { clock, pollInterval: 5 });
			opened.push(store);
			await store.open();
			return store;
		},
		advance: (duration) => clock.advance(duration),
		async close() {
			for (const store of opened) await store.close!();
			rmSync(path, { recursive: true, force: true });
		},
	};
}, { test, without: ["tx"] });

test("lmdbStore() lists by lane and by prefix, whatever the names are made of", async () => {
	const path = makeFolder();
	const store = lmdbStore(path);
	await store.open();
	await expectLists(store as Store<never>);
	await store.close!();
	rmSync(path, { recursive: true, force: true });
});

function makeFolder(): string {
	return mkdtempSync(join(tmpdir(), "upkeep-lmdb-"));
}

// Only Node: the driver is an addon of Node's.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "vitest";
import { lmdbStore } from "../../../../examples/stores/lmdb.ts";
import { testStore, VirtualClock } from "../../../../src/testing.ts";

testStore("lmdbStore()", async () => {
	const path = mkdtempSync(join(tmpdir(), "upkeep-lmdb-"));
	const clock = new VirtualClock();
	const opened = [lmdbStore(path, { clock, poll: 5 })];
	return {
		store: opened[0]!,
		async another() {
			const store = lmdbStore(path, { clock, poll: 5 });
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

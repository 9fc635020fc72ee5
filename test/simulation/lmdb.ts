// The store of examples/stores/lmdb.ts, which is no part of the package, in virtual time.
import type { SimulatedStore } from "./simulate.ts";
import type { VirtualClock } from "../../src/testing/testing.ts";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lmdbStore } from "../../examples/stores/lmdb.ts";

/** In memory where that can be had: a simulation does not ask what a power cut leaves, and a disk is slow to sync. */
const folder = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** It looks for what others have added in real time: not in the time of a test. */
const never = 1e9;

export async function openLmdb(clock: VirtualClock): Promise<SimulatedStore> {
	const path = mkdtempSync(join(folder, "upkeep-lmdb-simulation-"));
	const store = lmdbStore(path, { clock, pollInterval: never });
	await store.open();
	const close = async () => {
		await store.close!();
		rmSync(path, { recursive: true, force: true });
	};
	return { store, close: () => void close() };
}

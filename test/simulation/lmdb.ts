// The store of examples/stores/lmdb.ts, which is not part of the package, in virtual time.
import type { SimulatedStore } from "./simulate.ts";
import type { VirtualClock } from "../../src/testing/testing.ts";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lmdbStore } from "../../examples/stores/lmdb.ts";

/** In memory if possible, because a disk is slow to sync and a simulation does not test power failures. */
const folder = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** The interval of polling in real time, which exceeds the duration of any test. */
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

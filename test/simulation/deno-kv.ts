// The store on a Deno KV in memory, in virtual time.
import type { Store } from "../../mod.ts";
import type { VirtualClock } from "../../src/testing.ts";
import type { PatientClock } from "./patient-clock.ts";
import type { SimulatedStore } from "./simulate.ts";
import { type DenoKv, denoKvStore } from "../../src/stores/deno-kv.ts";
import { patientStore, seedCrypto } from "./patient-store.ts";

/** Loaded in Node as well, whose types know nothing of it. */
const runtime = globalThis as unknown as { Deno: { openKv(path: string): Promise<DenoKv & { close(): void }> } };

export async function openDenoKv(clock: VirtualClock): Promise<SimulatedStore> {
	const kv = await runtime.Deno.openKv(":memory:");
	const restore = seedCrypto();
	const store = denoKvStore(kv, { clock, poll: Infinity }) as unknown as Store<never>;
	await store.open();
	const close = () => {
		restore();
		kv.close();
	};
	return { store: patientStore(store, clock as PatientClock), close };
}

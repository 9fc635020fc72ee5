// The store on Deno KV in memory, in virtual time.
import type { Store } from "../../mod.ts";
import type { VirtualClock } from "../../src/testing/testing.ts";
import type { PatientClock } from "./patient-clock.ts";
import type { SimulatedStore } from "./simulate.ts";
import type { StoreTransaction, StoreTransactions } from "./transactions.ts";
import { type DenoKv, denoKvStore } from "../../src/stores/deno-kv/deno-kv.ts";
import { patientStore, seedCrypto } from "./patient-store.ts";

/** This file also loads in Node, whose types lack Deno. */
const runtime = globalThis as unknown as { Deno: { openKv(path: string): Promise<DenoKv & { close(): void }> } };

export async function openDenoKv(clock: VirtualClock): Promise<SimulatedStore> {
	const kv = await runtime.Deno.openKv(":memory:");
	const restore = seedCrypto();
	const store = denoKvStore(kv, { clock, pollInterval: Infinity }) as unknown as Store<never>;
	await store.open();
	const patient = clock as PatientClock;
	const wakes = new Set<() => void>();
	const close = () => {
		restore();
		kv.close();
	};
	return { store: patientStore(store, patient, wakes), transactions: transactionsOf(kv, patient, wakes), close };
}

/** Transactions that are lists of changes, whose commits fail if a checked value has changed. */
function transactionsOf(kv: DenoKv, clock: PatientClock, wakes: ReadonlySet<() => void>): StoreTransactions {
	let count = 0;
	const begin = async (): Promise<StoreTransaction> => {
		const tx = kv.atomic();
		return {
			tx,
			mark: (number) => void tx.set(["marks", ++count], number),
			commit: () =>
				clock.during(async () => {
					const { ok } = await tx.commit();
					if (ok) { for (const wake of wakes) wake(); }
					return ok;
				}),
			rollBack: async () => {},
		};
	};
	const marks = () =>
		clock.during(async () => {
			const all: number[] = [];
			for await (const { value } of kv.list({ prefix: ["marks"] }, {})) all.push(value as number);
			return all;
		});
	return { isExclusive: false, isStrict: true, begin, marks };
}

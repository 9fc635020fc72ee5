// The databases for the tests of jobs: a store, and lines that only a transaction keeps consistent with it.
import type { Save } from "../../src/basket/store.ts";
import { type Clock, memoryStore, type Store } from "../../mod.ts";

// deno-lint-ignore no-explicit-any -- each database has transactions of its own
export interface Connection<Tx = any> {
	/** The store uses the time of the tests. */
	readonly store: Store<Tx>;
	/**
	 * Writes a line in one transaction with the changes of `work`. The transaction commits if `work` resolves, and
	 * rolls back if it rejects.
	 */
	write(line: string, work: (tx: Tx) => Promise<unknown>): Promise<unknown>;
	/** The lines of all connections with the same name, in the order of their commits. */
	lines(): Promise<string[]>;
	/** Rolls back open transactions, as if the process had died. Resolves when the database has done it. */
	cut(): unknown;
}

/** An open database, which one test after the other uses. */
export interface Database {
	/**
	 * Connects like a separate process.
	 *
	 * @param name separates the data of this test from that of other tests
	 */
	connect(clock: Clock, name: string): Connection;
	/** Sets the time of the store, in milliseconds since 1970, if it does not use the clock. */
	setTime?(now: number): Promise<void>;
	close(): Promise<void>;
}

export type OpenDatabase = () => Promise<Database>;

/** A transaction of the memory store. It applies its changes at the commit. */
class MemoryTransaction {
	readonly #work: (() => unknown)[] = [];

	push(work: () => unknown): void {
		this.#work.push(work);
	}

	commit(): void {
		for (const work of this.#work) work();
	}
}

type Call = (...args: unknown[]) => Promise<unknown>;

/** Opens a memory store with simple transactions, which are sufficient without concurrent writes. */
export function openMemory(): Promise<Database> {
	const stores = new Map<string, { memory: Store<never>; lines: string[] }>();
	const connect = (clock: Clock, name: string): Connection<MemoryTransaction> => {
		const { memory, lines } = stores.get(name) ?? { memory: memoryStore({ clock, random: () => 0.5 }), lines: [] };
		stores.set(name, { memory, lines });
		const inside = (member: "add" | "save"): Call => async (...args) => {
			const call = memory[member].bind(memory) as Call;
			const [basket, items, tx] = args as [string, Save[], MemoryTransaction | undefined];
			if (tx === undefined) return await call(basket, items);
			tx.push(() => call(basket, items));
			if (member === "add") return items.map((item) => ({ ...item, added: true }));
			// Finds the lost claims without a change.
			return await memory.save(basket, items.map(({ ref }) => ({ ref })));
		};
		let isCut = false;
		return {
			store: {
				...memory,
				capabilities: { ...memory.capabilities, tx: true },
				add: inside("add"),
				save: inside("save"),
			} as unknown as Store<MemoryTransaction>,
			async write(line, work) {
				const tx = new MemoryTransaction();
				await work(tx);
				if (isCut) return;
				lines.push(line);
				tx.commit();
			},
			lines: () => Promise.resolve(lines),
			cut: () => void (isCut = true),
		};
	};
	return Promise.resolve({ connect, close: () => Promise.resolve(stores.clear()) });
}

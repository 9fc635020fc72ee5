// The databases on which the tests of jobs run: a store, and beside it lines that only a transaction keeps together with it.
import type { Save } from "../../src/basket/store.ts";
import { type Clock, memoryStore, type Store } from "../../mod.ts";

// deno-lint-ignore no-explicit-any -- each database has transactions of its own
export interface Connection<Tx = any> {
	/** With the tests' time. */
	readonly store: Store<Tx>;
	/** Writes a line and whatever else belongs to it: both if `work` resolves, none if it rejects. */
	write(line: string, work: (tx: Tx) => Promise<unknown>): Promise<unknown>;
	/** The lines of all connections with the same name, in the order of their commits. */
	lines(): Promise<string[]>;
	/** As if the process had died: transactions that are open roll back. */
	cut(): void;
}

/** An open database, for one test after the other. */
export interface Database {
	/**
	 * Connects as a process of its own does.
	 *
	 * @param name tells what a test does here from what the others do
	 */
	connect(clock: Clock, name: string): Connection;
	/** Where the store's time is not that of the clock: sets it, to milliseconds since 1970. */
	setTime?(now: number): Promise<void>;
	close(): Promise<void>;
}

export type OpenDatabase = () => Promise<Database>;

/** A transaction of the memory: what it was given to do, it does at its commit. */
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

/** The memory has no transactions; those of the tests are good enough as long as nobody else comes between. */
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
			// Says whose claim is lost, and saves nothing.
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

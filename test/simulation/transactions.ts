// Transactions of the simulated tasks: what a store does with them, and what the books say about it.
import type { Store } from "../../mod.ts";
import type { Done, Ref } from "../../src/store.ts";

/** A transaction of a store. */
export interface StoreTransaction {
	/** What `complete` is given. */
	readonly tx: unknown;
	/** Leaves a mark that is there if it is committed. */
	mark(number: number): void | Promise<void>;
	/** Says whether it is committed. */
	commit(): Promise<boolean>;
	rollBack(): Promise<void>;
}

/** What a store has of transactions. */
export interface StoreTransactions {
	/** Whether all others wait while one is open. Otherwise it is a list of changes, made with the commit or not at all. */
	readonly isExclusive: boolean;
	/** Whether a commit may be refused although the claim is good, because something about it has changed. */
	readonly isStrict: boolean;
	begin(): Promise<StoreTransaction>;
	/** All marks that are committed. */
	marks(): Promise<readonly number[]>;
}

const basket = "simulated";

/** Gives a store transactions that has none. */
export function withTransactions(
	store: Store<never>,
	isExclusive: boolean,
): { store: Store<never>; transactions: StoreTransactions } {
	const marks: number[] = [];
	const isCurrent = async (ref: Ref) => (await store.save(basket, [{ ref }]))[0]!;
	const complete = async (_: string, ref: Ref, done: Done, tx: unknown) => {
		const isGood = await isCurrent(ref);
		if (isGood) (tx as ListTransaction).completed.set(ref.token, { ref, done });
		return isGood;
	};
	const begin = async () => new ListTransaction(store, marks);
	return {
		store: { ...bound(store), complete, capabilities: { ...store.capabilities, tx: true } } as unknown as Store<never>,
		transactions: { isExclusive, isStrict: false, begin, marks: async () => marks },
	};
}

const members = "open add turn extend save get list counts delete change hasten post watch".split(
	" ",
) as (keyof Store)[];

/** The members of a store, which may be of a class. */
function bound(store: Store<never>): object {
	const all = store as unknown as Record<string, (...args: unknown[]) => unknown>;
	return Object.fromEntries(members.map((name) => [name, (...args: unknown[]) => all[name]!(...args)]));
}

class ListTransaction implements StoreTransaction {
	readonly completed = new Map<string, { readonly ref: Ref; readonly done: Done }>();
	readonly #store: Store<never>;
	readonly #marks: number[];
	readonly #own: number[] = [];

	constructor(store: Store<never>, marks: number[]) {
		this.#store = store;
		this.#marks = marks;
	}

	get tx(): this {
		return this;
	}

	mark(number: number): void {
		this.#own.push(number);
	}

	/** Between its two calls the ledger lets nobody else at the store. */
	async commit(): Promise<boolean> {
		const completed = [...this.completed.values()];
		const areGood = await this.#store.save(basket, completed.map(({ ref }) => ({ ref })));
		if (areGood.includes(false)) return false;
		const settle = completed.map(({ ref, done: { type, retain } }) => ({ ref, outcome: { type, retain } }));
		await this.#store.turn(basket, { settle, claim: [], lease: 1 });
		this.#marks.push(...this.#own);
		return true;
	}

	async rollBack(): Promise<void> {}
}

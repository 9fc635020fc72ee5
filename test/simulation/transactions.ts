// Transactions of the simulated tasks: the operations of a store, and their records.
import type { Store } from "../../mod.ts";
import type { Done, Ref } from "../../src/store.ts";

/** A transaction of a store. */
export interface StoreTransaction {
	/** The argument of `complete`. */
	readonly tx: unknown;
	/** Writes a mark, which exists after a commit. */
	mark(number: number): void | Promise<void>;
	/** Resolves with whether the transaction is committed. */
	commit(): Promise<boolean>;
	rollBack(): Promise<void>;
}

/** The transactions of a store. */
export interface StoreTransactions {
	/**
	 * Whether an open transaction blocks all other calls. Otherwise a transaction is a list of changes, which a commit
	 * applies together or not at all.
	 */
	readonly isExclusive: boolean;
	/** Whether a commit may be refused although the claim is valid, because the stored task has changed. */
	readonly isStrict: boolean;
	begin(): Promise<StoreTransaction>;
	/** Resolves with all committed marks. */
	marks(): Promise<readonly number[]>;
}

const basket = "simulated";

/** Adds transactions to a store that has none. */
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

const members = "open add turn extend save log get list counts delete change pause pauses hasten post watch".split(
	" ",
) as (keyof Store)[];

/** Returns the bound members of a store, which may be an instance of a class. */
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

	/** Commits with two store calls, between which the ledger allows no other call. */
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

// Transactions for the memory store.
import { Basket, type BasketContext, type Store } from "../../mod.ts";
import type { Claim, Done, Ref } from "../../src/store.ts";
import { deferred } from "../support.ts";
import { Machine, SpiedStore } from "./support.ts";

/**
 * Transactions for the memory store. A completion takes effect at the commit. Until the transaction ends, other
 * writes to its tasks wait, as in a database.
 */
export class Transactions {
	readonly machine: Machine = new Machine();
	readonly spied: SpiedStore;
	readonly store: Store<Tx>;
	/** The transaction that has locked a claim. */
	readonly #locks = new Map<string, Tx>();

	constructor() {
		const { memory } = this.machine;
		this.spied = new SpiedStore(memory, { tx: true });
		const { extend } = this.spied.store;
		const complete = async (basket: string, ref: Claim, outcome: Done, tx: Tx) => {
			const [isCurrent] = await memory.save(basket, [{ ref }]);
			if (!isCurrent || tx.completed.has(ref.token)) return false;
			this.#locks.set(ref.token, tx);
			tx.completed.add(ref.token);
			// The task cannot be claimed while the transaction is open.
			const leaseEndsAt = (await memory.get(basket, ref.id))!.dueAt!;
			await memory.extend(basket, [ref], 1_000_000_000);
			tx.onRollback = () => memory.extend(basket, [ref], Math.max(1, leaseEndsAt - this.machine.clock.now()));
			tx.changes.push(() => memory.turn(basket, { settle: [{ ref, outcome }], claim: [], lease: 1 }));
			return true;
		};
		const extendUnlocked = async (basket: string, refs: readonly Ref[], lease: number) => {
			for (const { token } of refs) await this.#locks.get(token)?.ended;
			return await extend(basket, refs, lease);
		};
		Object.assign(this.spied.store, { complete, extend: extendUnlocked });
		this.store = this.spied.store as unknown as Store<Tx>;
	}

	basket<Tasks extends { a: (payload: number, context: BasketContext<number, Tx>) => unknown }>(
		tasks: Tasks,
	): Basket<Tasks, Tx> {
		const { clock, errors, settled } = this.machine;
		return new Basket<Tasks, Tx>({
			store: this.store,
			clock,
			tasks,
			backoff: 1_000,
			onError: (error) => errors.push(error),
			onSettled: (one) => settled.push(one),
		});
	}
}

/** A transaction that can begin again after its end, like a connection that represents its transaction. */
export class Tx {
	changes: (() => Promise<unknown>)[] = [];
	readonly completed = new Set<string>();
	onRollback: (() => unknown) | undefined;
	#end = deferred();

	/** Absent if the transaction has no locks. */
	get ended(): Promise<void> | undefined {
		return this.completed.size > 0 ? this.#end.promise : undefined;
	}

	async commit(): Promise<void> {
		for (const change of this.changes) await change();
		this.onRollback = undefined;
		this.rollback();
	}

	rollback(): void {
		this.onRollback?.();
		this.changes = [];
		this.completed.clear();
		this.#end.resolve();
		this.#end = deferred();
	}
}

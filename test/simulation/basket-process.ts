// A simulated process with a basket.
import type { TaskSettled } from "../../mod.ts";
import type { BasketWorld } from "./basket-world.ts";
import type { Transaction } from "./ledger.ts";
import type { KindLimit } from "../../src/store.ts";
import { Basket } from "../../mod.ts";
import { Process } from "./process.ts";
import { type Limits, limitsOf, makeTasks } from "./tasks.ts";

export type SimulatedBasket = Basket<ReturnType<typeof makeTasks>>;

export class BasketProcess extends Process {
	readonly basket: SimulatedBasket;
	/** The limits of its kinds, as they are written in its tasks and as it asks the store for them. */
	readonly kindLimits: Limits;
	override readonly limits: readonly KindLimit[];
	/** The last time when all slots were taken, or the process did not work. */
	busyAt: number;
	readonly #world: BasketWorld;
	readonly #hints = new Set<() => void>();
	/** The number of stored outcomes that are not reported yet, by id. */
	readonly #untold = new Map<string, number>();

	constructor(world: BasketWorld, name: string) {
		super(world, name);
		this.#world = world;
		this.busyAt = world.clock.monotonic();
		this.kindLimits = world.limits;
		this.limits = limitsOf(world.limits);
		this.basket = new Basket({
			store: this.store,
			name: "simulated",
			worker: name,
			concurrency: this.concurrency,
			lease: this.lease,
			grace: this.grace,
			backoff: { start: 1_000, factor: 2, max: 32_000 },
			wake: { subscribe: (listener) => this.#subscribe(listener) },
			onSettled: (settled) => this.#onSettled(settled),
			onError: (error) => world.onError(this, error),
			clock: this.engineClock,
			tasks: makeTasks(world, this, this.kindLimits),
		});
	}

	get worker(): SimulatedBasket {
		return this.basket;
	}

	protected override get running(): number {
		return this.basket.getSnapshot().running;
	}

	pause(): void {
		this.isPaused = true;
		this.basket.pause();
	}

	resume(): void {
		this.isPaused = false;
		this.basket.resume();
	}

	/** Pauses or resumes a kind, or all kinds, for all processes. */
	pauseStored(kind: string | undefined, isPaused: boolean): Promise<boolean> {
		const options = { stored: true, kind } as const;
		return isPaused ? this.basket.pause(options) : this.basket.resume(options);
	}

	/** Hints to the basket that faults may have ended. */
	hint(): void {
		for (const listener of [...this.#hints]) listener();
	}

	onStored(id: string, outcome: string): void {
		const key = `${id} ${outcome}`;
		this.#untold.set(key, (this.#untold.get(key) ?? 0) + 1);
	}

	/** Begins a transaction of the store. */
	async begin(): Promise<Transaction> {
		const transaction = await this.hear(this.#world.ledger.begin(this));
		return {
			tx: transaction.tx,
			get isOpen() {
				return transaction.isOpen;
			},
			mark: (entry) => transaction.mark(entry),
			commit: () => this.hear(transaction.commit()),
			rollBack: () => transaction.rollBack(),
		};
	}

	#onSettled({ id, outcome }: TaskSettled): void {
		const key = `${id} ${outcome}`;
		const count = this.#untold.get(key) ?? 0;
		if (outcome === "done") this.#world.onTellsDone(this, id);
		if (count === 0 && outcome === "done" && this.#world.mayHaveBeenCommitted(this, id)) return;
		if (count === 0) this.#world.fail(`${this.name} tells that ${key}, which is not stored`);
		this.#untold.set(key, count - 1);
	}

	#subscribe(listener: () => void): () => void {
		this.#hints.add(listener);
		return () => void this.#hints.delete(listener);
	}
}

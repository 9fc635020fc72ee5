/**
 * The engine of a basket below its public interface. `Basket` uses it for functions, `Processor` for jobs.
 *
 * @module
 */

import type { BasketSettings } from "./options.ts";
import type { Added, Counts, NewTask } from "./store.ts";
import { shareOf } from "./adding.ts";
import { Batch } from "./batch.ts";
import { checkName } from "./options.ts";
import { Opening } from "./opening.ts";
import { Worker } from "./worker.ts";
import { check, checkSignal } from "../platform/check.ts";
import { Snapshot } from "../platform/snapshot.ts";

/** Options for {@link Basket.run} and {@link Basket.drain}. */
export interface WorkOptions {
	/** Ends the call. */
	signal?: AbortSignal | undefined;
}

/** The activity of a {@link Basket} in this process. */
export interface BasketSnapshot {
	/**
	 * `paused` by `pause()` or a closed gate; `stopping` while running tasks have time to end; `stopped` while neither
	 * `run` nor `drain` is active.
	 */
	readonly state: "stopped" | "starting" | "running" | "paused" | "stopping";
	/** The number of running tasks. */
	readonly running: number;
	/** The number of tasks that this object has completed. */
	readonly succeeded: number;
	/** The number of failed attempts that are retried. */
	readonly failed: number;
	/** The number of tasks that became dead. */
	readonly dead: number;
}

export class BasketEngine<Tx> {
	readonly settings: BasketSettings<Tx>;
	readonly worker: Worker<Tx>;
	readonly snapshot: Snapshot<BasketSnapshot>;
	readonly adding: Batch<NewTask, Added>;
	readonly #opening: Opening;
	#shown: BasketSnapshot | undefined;

	constructor(settings: BasketSettings<Tx>) {
		this.settings = settings;
		this.snapshot = new Snapshot(() => this.#read(), settings.onError);
		this.#opening = new Opening(settings);
		this.worker = new Worker(settings, () => this.open(), () => this.snapshot.changed());
		const { store, name, clock, lease } = settings;
		const patience = { clock, limit: lease / 3 };
		this.adding = new Batch((tasks) => store.add(name, tasks), patience, (tasks) => shareOf(store, tasks));
	}

	/** See `Basket.open`; likewise for the other methods. */
	open(): Promise<void> {
		return this.#opening.wait();
	}

	async counts(): Promise<Counts> {
		await this.open();
		return await this.settings.store.counts(this.settings.name);
	}

	async work(isDraining: boolean, options: WorkOptions): Promise<void> {
		const { signal } = check("options", options, "object");
		if (signal !== undefined) checkSignal(signal);
		await this.worker.users.join(isDraining, signal);
	}

	async change(id: string, change: "retry" | "hold" | "release"): Promise<boolean> {
		checkName("id", id);
		await this.open();
		const { store, name } = this.settings;
		const [applied] = await store.change(name, [id], change);
		this.changed();
		return applied!;
	}

	async delete(id: string): Promise<boolean> {
		checkName("id", id);
		await this.open();
		const { store, name } = this.settings;
		const claimed = this.worker.claims.get(id);
		const [deleted] = await store.delete(name, [id]);
		claimed?.lose(); // the id may have been added again meanwhile
		this.changed(); // the next task of its lane is due
		return deleted!;
	}

	/** Tasks were added or changed in the store. One of them may be due after this many milliseconds. */
	changed(delay = 0): void {
		this.worker.wakeIn(delay);
		this.snapshot.changed();
	}

	/** The same object until its content changes: listeners are also called for changes of `counts` and `list`. */
	#read(): BasketSnapshot {
		const { state, running, totals } = this.worker;
		const shown: BasketSnapshot = { state, running, ...totals };
		if (JSON.stringify(shown) !== JSON.stringify(this.#shown)) this.#shown = shown;
		return this.#shown!;
	}
}

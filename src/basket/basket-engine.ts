/**
 * The engine of a basket below its public interface. `Basket` uses it for functions, `Processor` for jobs.
 *
 * @module
 */

import type { Ending } from "./ending.ts";
import type { BasketSettings } from "./options.ts";
import type { Added, Change, Counts, NewTask, Pauses } from "./store.ts";
import type { TaskResult } from "./task-result.ts";
import { shareOf } from "./adding.ts";
import { Batch } from "./batch.ts";
import { decodeFailure, encodeFailure } from "./codec.ts";
import { Opening } from "./opening.ts";
import { declare } from "./scheduling.ts";
import { Endings } from "./waiting.ts";
import { Worker } from "./worker.ts";
import { check, checkDelay, checkedSignal } from "../platform/check.ts";
import { checkName } from "../platform/name.ts";
import { link, unlink } from "../platform/signals.ts";
import { Snapshot } from "../platform/snapshot.ts";

/** Options for {@link Basket.run} and {@link Basket.drain}. */
export interface WorkOptions {
	/** Ends the call. */
	signal?: AbortSignal | undefined;
	/**
	 * How long running tasks may continue after the abort before their signals abort, too, in milliseconds: see
	 * {@link BasketStopOptions.finish}. Calls that share the worker with others leave at once. @default 0
	 */
	finish?: number | undefined;
}

/** Options for {@link Basket.stop}. */
export interface BasketStopOptions {
	/**
	 * How long running tasks may continue before their signals abort, in milliseconds; `Infinity` until they have ended.
	 * Meanwhile no task begins, leases are renewed, and failures count. After that, tasks have the time of `grace`.
	 * @default 0
	 */
	finish?: number | undefined;
	/** Ends the time of `finish`. */
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
	readonly endings: Endings<TaskResult>;
	readonly #opening: Opening;
	#shown: BasketSnapshot | undefined;

	constructor(given: BasketSettings<Tx>) {
		const settings = this.settings = { ...given, onEnd: (task, ending) => this.#tell(task, ending) };
		this.endings = new Endings(settings.clock);
		this.snapshot = new Snapshot(() => this.#read(), settings.onError);
		this.#opening = new Opening(settings);
		this.worker = new Worker(settings, () => this.open().then(() => declare(this)), () => this.snapshot.changed());
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
		const signal = checkedSignal(options);
		const { finish = 0 } = options;
		checkDelay("finish", finish);
		const { worker } = this;
		if (signal === undefined || signal.aborted || finish === 0) return await worker.users.join(isDraining, signal);
		const controller = new AbortController();
		const leave = async () => {
			// The tasks of other users go on.
			const finishing = worker.users.size === 1 ? worker.finish(finish) : undefined;
			if (finishing !== undefined) await finishing;
			controller.abort(signal.reason);
		};
		const patience = { abort: () => void leave() };
		link(signal, patience);
		await worker.users.join(isDraining, controller.signal).finally(() => unlink(signal, patience));
	}

	async stop(options: BasketStopOptions): Promise<void> {
		const signal = checkedSignal(options);
		const { finish = 0 } = options;
		await this.worker.stop(checkDelay("finish", finish), signal);
	}

	/** Whether this process has a claim on the task. */
	holds(id: string): boolean {
		return this.worker.claims.get(id) !== undefined;
	}

	/** Changes or deletes a task. With a transaction, it is synchronous until the store is called. */
	async change(id: string, change: Change | "delete", options: { tx?: Tx | undefined } = {}): Promise<boolean> {
		checkName("id", id);
		const { tx } = check("options", options, "object");
		if (tx === undefined) await this.open();
		return await this.apply([id], change, tx) > 0;
	}

	/** The number of changed tasks. */
	async apply(ids: readonly string[], change: Change | "delete", tx?: Tx): Promise<number> {
		const { store, name } = this.settings;
		const isDeleting = change === "delete";
		const claims = isDeleting ? ids.map((id) => this.worker.claims.get(id)) : [];
		const changed = isDeleting ? await store.delete(name, ids, tx) : await store.change(name, ids, change, tx);
		// The ids may have been added again meanwhile. A transaction may be rolled back.
		if (tx === undefined) { for (const task of claims) task?.lose(); }
		this.changed(); // the next task of a lane may be due
		return changed.filter((isChanged) => isChanged).length;
	}

	/** Pauses or resumes a kind, or all kinds, in the store. */
	async pause(kind: string | undefined, isPaused: boolean): Promise<boolean> {
		if (kind !== undefined) checkName("kind", kind);
		await this.open();
		const { store, name } = this.settings;
		const isChanged = await store.pause(name, kind, isPaused);
		this.changed();
		return isChanged;
	}

	async pauses(): Promise<Pauses> {
		await this.open();
		return await this.settings.store.pauses(this.settings.name);
	}

	/** Tasks were added or changed in the store. One of them may be due after this many milliseconds. */
	changed(delay = 0): void {
		this.worker.wakeIn(delay);
		this.snapshot.changed();
	}

	/** A result is decoded for those who wait, as if they had read it. */
	#tell({ id, kind }: { readonly id: string; readonly kind: string }, ending: Ending): void {
		if (!this.endings.awaits(id)) return;
		const { codec } = this.settings.kinds.get(kind)!;
		const { outcome: { type }, value, error } = ending;
		const state = type === "done" ? type : "dead";
		const failure = type === "done" ? undefined : decodeFailure(encodeFailure(error));
		const tell = (result: unknown) => this.endings.tell(id, { state, result, error: failure });
		const decode = async () => value === undefined ? value : await codec.decode(await codec.encode(value));
		decode().then(tell, () => tell(undefined));
	}

	/** The same object until its content changes: listeners are also called for changes of `counts` and `list`. */
	#read(): BasketSnapshot {
		const { state, running, totals } = this.worker;
		const shown: BasketSnapshot = { state, running, ...totals };
		if (JSON.stringify(shown) !== JSON.stringify(this.#shown)) this.#shown = shown;
		return this.#shown!;
	}
}

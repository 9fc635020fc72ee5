/**
 * Saves the reported progress of all tasks together at intervals.
 *
 * @module
 */

import type { Calls } from "./calls.ts";
import type { ClaimedTask } from "./claimed-task.ts";
import type { BasketSettings } from "./options.ts";
import type { Save } from "./store.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The interval, in milliseconds. */
const interval = 1_000;

/** Its timer is set only while there is progress to save. */
export class Progress<Tx> {
	readonly #settings: BasketSettings<Tx>;
	readonly #calls: Calls;
	readonly #tasks: () => Iterable<ClaimedTask<Tx>>;
	readonly #timer: CallbackTimer = new CallbackTimer(() => void this.#save());

	constructor(settings: BasketSettings<Tx>, calls: Calls, tasks: () => Iterable<ClaimedTask<Tx>>) {
		this.#settings = settings;
		this.#calls = calls;
		this.#tasks = tasks;
	}

	saveSoon(): void {
		if (this.#timer.position < 0) this.#settings.clock.set(this.#timer, interval);
	}

	rest(): void {
		this.#settings.clock.clear(this.#timer);
	}

	async #save(): Promise<void> {
		const { store, name } = this.#settings;
		const saves: Save[] = [];
		for (const task of this.#tasks()) {
			const { progress, claim } = task;
			if (progress !== undefined && !task.isCompleting && !task.isOver) saves.push({ ref: claim, progress });
			task.progress = undefined;
		}
		if (saves.length > 0) await this.#calls.reach(() => store.save(name, saves));
	}
}

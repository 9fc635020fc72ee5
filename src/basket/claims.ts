/**
 * The claims that this process holds: their leases are renewed, and what their tasks report is saved.
 *
 * @module
 */

import type { BasketSettings } from "./options.ts";
import type { ClaimedTask, ClaimOwner } from "./claimed-task.ts";
import { report } from "../platform/observe.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** How often what was reported is saved, in milliseconds. */
const savingInterval = 1_000;

/** One timer renews all claims at once, three times in a lease; another one runs only while there is progress to save. */
export class Claims<Tx> implements ClaimOwner<Tx> {
	readonly settings: BasketSettings<Tx>;
	readonly #tasks = new Set<ClaimedTask<Tx>>();
	readonly #renewal: CallbackTimer = new CallbackTimer(() => void this.#renew());
	readonly #saving: CallbackTimer = new CallbackTimer(() => void this.#saveProgress());
	#isSaving = false;

	constructor(settings: BasketSettings<Tx>) {
		this.settings = settings;
	}

	add(task: ClaimedTask<Tx>): void {
		this.#tasks.add(task);
		if (this.#tasks.size === 1) this.#renewIn(this.settings.lease / 3);
	}

	delete(task: ClaimedTask<Tx>): void {
		this.#tasks.delete(task);
		if (this.#tasks.size === 0) this.#rest();
	}

	/** Forgets all of them: the leases run out by themselves. */
	abandon(): void {
		for (const task of this.#tasks) task.isOver = true;
		this.#tasks.clear();
		this.#rest();
	}

	/** The tasks were deleted, by this process. */
	lose(ids: readonly string[]): void {
		for (const task of this.#tasks) {
			if (ids.includes(task.id)) task.lose();
		}
	}

	onProgress(): void {
		if (this.#isSaving) return;
		this.#isSaving = true;
		this.settings.clock.set(this.#saving, savingInterval);
	}

	#renewIn(delay: number): void {
		this.settings.clock.set(this.#renewal, delay);
	}

	#rest(): void {
		this.#isSaving = false;
		this.settings.clock.clear(this.#renewal);
		this.settings.clock.clear(this.#saving);
	}

	async #renew(): Promise<void> {
		const { store, name, lease, clock, onError } = this.settings;
		// Whoever commits its transaction ends the claim of a completing task: to extend it now would wait for that.
		const tasks = [...this.#tasks].filter((task) => !task.isCompleting);
		const endsAt = clock.monotonic() + lease;
		let next = lease / 3;
		try {
			const states = await store.extend(name, tasks.map(({ claim }) => claim), lease);
			states.forEach((state, index) => this.#renewed(tasks[index]!, state === "lost", endsAt));
		} catch (error) {
			report(onError, error);
			next = lease / 10;
			const now = clock.monotonic();
			for (const task of tasks) if (task.leaseEndsAt <= now) task.lose();
		}
		if (this.#tasks.size > 0) this.#renewIn(next);
	}

	#renewed(task: ClaimedTask<Tx>, isLost: boolean, endsAt: number): void {
		// One that is being settled, or completed, may have gone for that reason.
		if (!isLost) task.leaseEndsAt = endsAt;
		else if (!task.hasEnded && !task.isCompleting) task.lose();
	}

	async #saveProgress(): Promise<void> {
		const { store, name, onError } = this.settings;
		this.#isSaving = false;
		const saves = [];
		for (const task of this.#tasks) {
			const { progress, claim } = task;
			if (progress !== undefined && !task.isCompleting) saves.push({ ref: claim, progress });
			task.progress = undefined;
		}
		try {
			if (saves.length > 0) await store.save(name, saves);
		} catch (error) {
			report(onError, error);
		}
	}
}

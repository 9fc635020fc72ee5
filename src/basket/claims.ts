/**
 * The claims that this process holds: their leases are renewed, and what their tasks report is saved.
 *
 * @module
 */

import type { BasketSettings } from "./options.ts";
import type { Claim } from "./store.ts";
import { ClaimedTask, type ClaimOwner } from "./claimed-task.ts";
import { report } from "../platform/observe.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** How often what was reported is saved, in milliseconds. */
const savingInterval = 1_000;

/** One timer renews all claims at once, three times in a lease; another one runs only while there is progress to save. */
export class Claims<Tx> implements ClaimOwner<Tx> {
	readonly settings: BasketSettings<Tx>;
	readonly #tasks = new Map<string, ClaimedTask<Tx>>();
	readonly #renewal: CallbackTimer = new CallbackTimer(() => void this.renew());
	readonly #saving: CallbackTimer = new CallbackTimer(() => void this.#saveProgress());
	#isSaving = false;
	/** Calls of the store that nobody else waits for. */
	readonly #calls = new Set<Promise<unknown>>();

	readonly trying: ClaimOwner<Tx>["trying"];

	constructor(settings: BasketSettings<Tx>, trying: ClaimOwner<Tx>["trying"]) {
		this.settings = settings;
		this.trying = trying;
	}

	/**
	 * Adds a claim.
	 *
	 * @returns the task that is to be run; `undefined` if it is running: a lease that ended while the machine slept, or by a
	 * clock that was set, was taken up again here, and the run goes on under the new claim
	 */
	add(claim: Claim, leaseEndsAt: number): ClaimedTask<Tx> | undefined {
		const before = this.#tasks.get(claim.id);
		if (before !== undefined && !before.isOver) {
			if (before.isContinuedBy(claim)) {
				before.claim = claim;
				before.leaseEndsAt = leaseEndsAt;
				return undefined;
			}
			before.lose();
		}
		const task = new ClaimedTask(this, claim, leaseEndsAt);
		this.#tasks.set(claim.id, task);
		if (this.#tasks.size === 1) this.#renewIn(this.settings.lease / 3);
		return task;
	}

	delete(task: ClaimedTask<Tx>): void {
		if (this.#tasks.get(task.id) === task) this.#tasks.delete(task.id);
		if (this.#tasks.size === 0) this.#rest();
	}

	/** Has a call of the store waited for when the worker stops. */
	track<T>(call: Promise<T>): Promise<T> {
		const ended = call.then(noop, noop).then(() => void this.#calls.delete(ended));
		this.#calls.add(ended);
		return call;
	}

	/** Forgets all of them: the leases run out by themselves. Resolves when the store is left in peace. */
	async abandon(): Promise<void> {
		for (const task of this.#tasks.values()) task.isOver = true;
		this.#tasks.clear();
		this.#rest();
		await Promise.all(this.#calls);
	}

	/** The tasks were deleted, by this process. */
	lose(ids: readonly string[]): void {
		for (const id of ids) this.#tasks.get(id)?.lose();
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

	/** Makes all leases as long as they can be. Never rejects. */
	async renew(): Promise<void> {
		if (this.#tasks.size === 0) return;
		const { store, name, lease, clock, onError } = this.settings;
		// Whoever commits its transaction ends the claim of a completing task: to extend it now would wait for that.
		const tasks = [...this.#tasks.values()].filter((task) => !task.isCompleting);
		const claims = tasks.map(({ claim }) => claim);
		const endsAt = clock.monotonic() + lease;
		let next = lease / 3;
		try {
			const states = await this.track(store.extend(name, claims, lease));
			tasks.forEach((task, index) => {
				// What was claimed anew meanwhile is not lost.
				if (task.claim === claims[index]) this.#renewed(task, states[index]!, endsAt);
			});
		} catch (error) {
			report(onError, error);
			next = lease / 10;
			const now = clock.monotonic();
			for (const task of tasks) if (task.leaseEndsAt <= now) task.lose();
		}
		if (this.#tasks.size > 0) this.#renewIn(next);
	}

	#renewed(task: ClaimedTask<Tx>, state: "ok" | "lost" | "posted", endsAt: number): void {
		if (state === "posted") task.onPosted?.();
		// One that is being settled, or completed, may have gone for that reason.
		if (state !== "lost") task.leaseEndsAt = endsAt;
		else if (!task.hasEnded && !task.isCompleting) task.lose();
	}

	async #saveProgress(): Promise<void> {
		const { store, name, onError } = this.settings;
		this.#isSaving = false;
		const saves = [];
		for (const task of this.#tasks.values()) {
			const { progress, claim } = task;
			if (progress !== undefined && !task.isCompleting) saves.push({ ref: claim, progress });
			task.progress = undefined;
		}
		try {
			if (saves.length > 0) await this.track(store.save(name, saves));
		} catch (error) {
			report(onError, error);
		}
	}
}

function noop(): void {}

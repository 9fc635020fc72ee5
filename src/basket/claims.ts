/**
 * The claims that this process holds, and their leases.
 *
 * Three times in a lease all of them are renewed. Each renewal is on its own: one that hangs keeps neither the next one nor
 * the end of a lease from coming. At the moment when the lease of a claim may be over, counted from before the call that got
 * or renewed it, the claim ends here, whatever the store has answered or will answer.
 *
 * A renewal also tells what others have done to a task, so that one is made at once when the store says that there is news.
 *
 * One timer does all that: it fires for the next renewal, or for the lease that ends first.
 *
 * @module
 */

import type { Calls } from "./calls.ts";
import type { BasketSettings } from "./options.ts";
import type { Claim } from "./store.ts";
import { ClaimedTask, type ClaimOwner, type LeaseState } from "./claimed-task.ts";
import { Progress } from "./progress.ts";
import { report } from "../platform/observe.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** How soon after a renewal the next one may follow because of a hint, in milliseconds: hints may come by the hundred. */
const pause = 250;

/** Who holds the claims. */
export interface LeaseOwner<Tx> {
	/** Calls {@link Claims.tick}, in the right async context. */
	tick(): void;
	/** The lease of a task may be over that has not ended. */
	onExpired(task: ClaimedTask<Tx>): void;
	/** Renewals succeed again. */
	onRecovered(): void;
}

export class Claims<Tx> implements ClaimOwner<Tx> {
	readonly settings: BasketSettings<Tx>;
	readonly calls: Calls;
	/** Whether the function of a task is being called right now. */
	isCalling = false;
	readonly #owner: LeaseOwner<Tx>;
	readonly #tasks = new Map<string, ClaimedTask<Tx>>();
	readonly #progress: Progress<Tx>;
	readonly #timer: CallbackTimer;
	/** When the timer fires, and when the next renewal is due. */
	#tickAt = Infinity;
	#renewAt = Infinity;
	/** When the last renewal was begun that has succeeded, and the last one that has failed. */
	#renewedAt = -Infinity;
	#failedAt = -Infinity;
	/** When the last renewal was begun, and when the last hint came. */
	#lookedAt = -Infinity;
	#heardAt = -Infinity;
	/** How many calls about tasks that are being completed have not come to an end, and when there may be another one. */
	#asking = 0;
	#askAt = -Infinity;

	constructor(settings: BasketSettings<Tx>, calls: Calls, owner: LeaseOwner<Tx>) {
		this.settings = settings;
		this.calls = calls;
		this.#owner = owner;
		this.#timer = new CallbackTimer(() => owner.tick());
		this.#progress = new Progress(settings, calls, () => this.#tasks.values());
	}

	/** Whether the last renewal has failed. */
	get isFailing(): boolean {
		return this.#failedAt > this.#renewedAt;
	}

	/**
	 * Adds a claim.
	 *
	 * @returns the task that is to be run; `undefined` if it is running: a lease that ended by a clock that was set was taken
	 * up again here, and the run goes on under the new claim
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
		// A third of the lease counts from before the call, as the lease does: a slow store leaves less time for the renewal.
		this.#renewAt = Math.min(this.#renewAt, leaseEndsAt - this.settings.lease * 2 / 3);
		this.#wakeAt(this.#renewAt);
		if (this.#heardAt >= leaseEndsAt - this.settings.lease) this.#lookSoon();
		return task;
	}

	/** A claim that is only to be given back. */
	stray(claim: Claim): ClaimedTask<Tx> {
		return new ClaimedTask(this, claim, -Infinity);
	}

	delete(task: ClaimedTask<Tx>): void {
		if (this.#tasks.get(task.id) === task) this.#tasks.delete(task.id);
		if (this.#tasks.size === 0) this.#rest();
	}

	/** Forgets all of them: the leases run out by themselves. */
	abandon(): void {
		for (const task of this.#tasks.values()) task.close();
		this.#tasks.clear();
		this.#rest();
	}

	/** The task that was claimed under this id last. */
	get(id: string): ClaimedTask<Tx> | undefined {
		return this.#tasks.get(id);
	}

	/** The machine may have slept: what ended meanwhile comes first. */
	async awake(): Promise<void> {
		this.expire();
		await this.renew();
	}

	/** Others may have deleted tasks that were claimed here, or may be just now, or posted to them. */
	look(): void {
		this.#heardAt = this.settings.clock.monotonic();
		if (this.#tasks.size > 0) this.#lookSoon();
	}

	/** Ends the claims whose leases may be over. */
	expire(): void {
		const now = this.settings.clock.monotonic();
		for (const task of this.#tasks.values()) {
			if (task.leaseEndsAt <= now && task.mayExpire) this.#owner.onExpired(task);
		}
	}

	/** Makes all leases as long as they can be. Never rejects. */
	async renew(): Promise<void> {
		if (this.#tasks.size === 0) return;
		const { clock, lease, onError } = this.settings;
		const begunAt = this.#lookedAt = clock.monotonic();
		this.#renewAt = begunAt + lease / 3;
		this.#renewCompleting();
		const tasks = [...this.#tasks.values()].filter(({ isOver, isCompleting }) => !isOver && !isCompleting);
		try {
			if (tasks.length > 0) await this.extend(tasks, this.calls.limit, () => this.#recover(begunAt));
			else this.#recover(Infinity);
		} catch (error) {
			report(onError, error);
			if (begunAt >= this.#renewedAt && this.#tasks.size > 0) {
				this.#failedAt = begunAt;
				this.#renewAt = Math.min(this.#renewAt, clock.monotonic() + lease / 10);
			}
		}
		this.#arm();
	}

	/**
	 * Makes leases longer. What the store says of a claim holds however late it comes.
	 *
	 * @param onAnswer called with each answer, before it is heeded
	 * @returns what the store says of each
	 */
	extend(tasks: readonly ClaimedTask<Tx>[], limit: number, onAnswer?: () => void): Promise<readonly LeaseState[]> {
		const { store, name, lease, clock } = this.settings;
		const claims = tasks.map(({ claim }) => claim);
		const endsAt = clock.monotonic() + lease;
		const heed = (states: readonly LeaseState[]) => {
			onAnswer?.();
			tasks.forEach((task, index) => {
				// What was claimed anew meanwhile is not lost.
				if (task.claim === claims[index]) task.renewed(states[index]!, endsAt);
			});
			return states;
		};
		return this.calls.track(() => store.extend(name, claims, lease), limit, heed).then(heed);
	}

	onProgress(): void {
		this.#progress.saveSoon();
	}

	/** The time has come for which the timer was set. */
	tick(): void {
		this.#tickAt = Infinity;
		this.expire();
		if (this.settings.clock.monotonic() >= this.#renewAt) void this.renew();
		this.#arm();
	}

	#lookSoon(): void {
		this.#renewAt = Math.min(this.#renewAt, Math.max(this.#heardAt, this.#lookedAt + pause));
		this.#wakeAt(this.#renewAt);
	}

	/** Sets the timer for what comes next. */
	#arm(): void {
		if (this.#tasks.size === 0) return;
		let next = this.#renewAt;
		for (const task of this.#tasks.values()) {
			if (task.mayExpire) next = Math.min(next, task.leaseEndsAt);
		}
		this.#wakeAt(next);
	}

	#wakeAt(instant: number): void {
		if (instant >= this.#tickAt) return;
		const { clock } = this.settings;
		this.#tickAt = instant;
		clock.set(this.#timer, Math.max(0, instant - clock.monotonic()));
	}

	#rest(): void {
		this.#tickAt = this.#renewAt = Infinity;
		this.#failedAt = -Infinity;
		this.settings.clock.clear(this.#timer);
		this.#progress.rest();
		this.#mayAsk();
	}

	/** Renewals that were begun until then do not matter any more. */
	#recover(until: number): void {
		const { isFailing } = this;
		this.#renewedAt = Math.max(this.#renewedAt, Math.min(until, this.settings.clock.monotonic()));
		if (isFailing && !this.isFailing) this.#owner.onRecovered();
	}

	/**
	 * A transaction of the caller that has completed a task may keep everybody else waiting until it ends, so that only one
	 * such call is made at a time, and nobody waits for it; but it may also hang, so that there is another one after a while,
	 * each time after twice as long. It keeps the claim if the transaction is rolled back.
	 */
	#renewCompleting(): void {
		const tasks = [...this.#tasks.values()].filter(({ isOver, isCompleting, isCompleted }) =>
			!isOver && isCompleting && !isCompleted
		);
		const now = this.settings.clock.monotonic();
		if (tasks.length === 0 || now < this.#askAt) return;
		this.#askAt = now + this.calls.limit * 2 ** this.#asking++;
		this.extend(tasks, Infinity).catch((error) => report(this.settings.onError, error)).finally(() => this.#mayAsk());
	}

	#mayAsk(): void {
		this.#asking = 0;
		this.#askAt = -Infinity;
	}
}

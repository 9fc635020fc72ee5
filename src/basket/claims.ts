/**
 * The claims that this process holds, and their leases.
 *
 * All claims are renewed three times per lease. Renewals are independent: a renewal that hangs delays neither the
 * next one nor the end of a lease. The lease is counted from before the call that got or renewed the claim. When it
 * may have expired, the claim ends here, whatever the store answers.
 *
 * A renewal also shows what others have done to a task. Therefore a renewal is made at once when the store reports
 * news.
 *
 * One timer serves all this: it fires for the next renewal, or for the lease that ends first.
 *
 * @module
 */

import type { Calls } from "./calls.ts";
import type { ClaimOwner, Leased, LeaseState } from "./claim-owner.ts";
import type { BasketSettings } from "./options.ts";
import type { Claim } from "./store.ts";
import { ClaimedTask } from "./claimed-task.ts";
import { Progress } from "./progress.ts";
import { report } from "../platform/observe.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The minimum time between a renewal and the next one because of a hint, in milliseconds: there may be hundreds of hints. */
const pause = 250;

/** The owner of the claims. */
export interface LeaseOwner<Tx> {
	/** Calls {@link Claims.tick} in the right async context. */
	tick(): void;
	/** The lease of a running task may have expired. */
	onExpired(task: ClaimedTask<Tx>): void;
	/** Renewals succeed again. */
	onRecovered(): void;
}

export class Claims<Tx> implements ClaimOwner<Tx> {
	readonly settings: BasketSettings<Tx>;
	readonly calls: Calls;
	/** Whether the function of a task is being called synchronously. */
	isCalling = false;
	readonly #owner: LeaseOwner<Tx>;
	readonly #tasks = new Map<string, ClaimedTask<Tx>>();
	readonly #progress: Progress<Tx>;
	readonly #timer: CallbackTimer;
	/** The time at which the timer fires, and the due time of the next renewal. */
	#tickAt = Infinity;
	#renewAt = Infinity;
	/** The starts of the last successful renewal and of the last failed one. */
	#renewedAt = -Infinity;
	#failedAt = -Infinity;
	/** The start of the last renewal, and the time of the last hint. */
	#lookedAt = -Infinity;
	#heardAt = -Infinity;
	/** The number of unanswered calls about tasks that are being completed, and the earliest time of the next one. */
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
	 * @returns the task to run; `undefined` if it already runs: its lease ended because a clock was set, this process
	 * claimed it again, and the run continues under the new claim
	 */
	add(claim: Claim, leaseEndsAt: number): ClaimedTask<Tx> | undefined {
		const before = this.#tasks.get(claim.id);
		if (before !== undefined && !before.isOver) {
			if (before.isContinuedBy(claim)) {
				before.claim = claim;
				before.leaseEndsAt = leaseEndsAt;
				return undefined;
			}
			// Before its lease can have expired, only the commit of its own transaction can have ended it.
			before.renewed("lost", 0);
			if (!before.isCompleted) before.lose();
		}
		const task = new ClaimedTask(this, claim, leaseEndsAt);
		this.#tasks.set(claim.id, task);
		// The third counts from before the call, like the lease: a slow store leaves less time for the renewal.
		this.#renewAt = Math.min(this.#renewAt, leaseEndsAt - this.settings.lease * 2 / 3);
		this.#wakeAt(this.#renewAt);
		if (this.#heardAt >= leaseEndsAt - this.settings.lease) this.#lookSoon();
		return task;
	}

	/** Creates a claim that will only be released. */
	stray(claim: Claim): ClaimedTask<Tx> {
		return new ClaimedTask(this, claim, -Infinity);
	}

	delete(task: ClaimedTask<Tx>): void {
		if (this.#tasks.get(task.id) === task) this.#tasks.delete(task.id);
		if (this.#tasks.size === 0) this.#rest();
	}

	/** Forgets all claims: their leases expire. */
	abandon(): void {
		for (const task of this.#tasks.values()) {
			task.close();
			this.settings.observing?.tell(this.settings, "lost", task);
		}
		this.#tasks.clear();
		this.#rest();
	}

	/** The last claimed task with this id. */
	get(id: string): ClaimedTask<Tx> | undefined {
		return this.#tasks.get(id);
	}

	/** The machine may have slept: expired leases are handled first. */
	async awake(): Promise<void> {
		this.expire();
		await this.renew();
	}

	/** Other processes may have deleted claimed tasks, or may be doing so now, or have posted messages to them. */
	look(): void {
		this.#heardAt = this.settings.clock.monotonic();
		if (this.#tasks.size > 0) this.#lookSoon();
	}

	/** Ends the claims whose leases may have expired. */
	expire(): void {
		const now = this.settings.clock.monotonic();
		for (const task of this.#tasks.values()) {
			if (task.leaseEndsAt <= now && task.mayExpire) this.#owner.onExpired(task);
		}
	}

	/** Renews all leases. Never rejects. */
	async renew(): Promise<void> {
		if (this.#tasks.size === 0) return;
		const { clock, lease, onError } = this.settings;
		const begunAt = this.#lookedAt = clock.monotonic();
		this.#renewAt = begunAt + lease / 3;
		const held = [...this.#tasks.values()].filter(({ isOver }) => !isOver);
		this.#renewCompleting(held.filter(({ isCompleting, isCompleted }) => isCompleting && !isCompleted));
		const tasks = held.filter(({ isCompleting }) => !isCompleting);
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
	 * Renews leases. The answer of the store about a claim is valid even if it is late.
	 *
	 * @param onAnswer called with each answer, before it is heeded
	 * @returns the answer of the store for each claim
	 */
	extend(tasks: readonly Leased[], limit: number, onAnswer?: () => void): Promise<readonly LeaseState[]> {
		const { store, name, lease, clock } = this.settings;
		const claims = tasks.map(({ claim }) => claim);
		const endsAt = clock.monotonic() + lease;
		const heed = (states: readonly LeaseState[]) => {
			onAnswer?.();
			tasks.forEach((task, index) => {
				// A task that was claimed again meanwhile is not lost.
				if (task.claim !== claims[index]) return;
				task.renewed(states[index]!, endsAt);
				if (states[index] !== "lost") this.settings.observing?.tell(this.settings, "renewed", task);
			});
			return states;
		};
		return this.calls.track(() => store.extend(name, claims, lease), limit, heed).then(heed);
	}

	onProgress(): void {
		this.#progress.saveSoon();
	}

	/** The timer has fired. */
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

	/** Sets the timer for the next event. */
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

	/** Renewals that began before do not matter anymore. */
	#recover(until: number): void {
		const { isFailing } = this;
		this.#renewedAt = Math.max(this.#renewedAt, Math.min(until, this.settings.clock.monotonic()));
		if (isFailing && !this.isFailing) this.#owner.onRecovered();
	}

	/**
	 * Renews claims that are being completed. The caller's transaction may block such a call until it ends, so only
	 * one call is made at a time, and nothing awaits it. The call may also hang, so another one follows after a delay
	 * that doubles each time. It keeps the claim if the transaction is rolled back.
	 */
	#renewCompleting(tasks: readonly Leased[]): void {
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

/**
 * The workers of a pool: created, lent to tasks, given back, and destroyed.
 *
 * @module
 */

import type { CreateWorkerContext, PoolOptions } from "./options.ts";
import { type BackoffSettings, checkBackoff, type Delayed, nextDelay } from "../run/backoff.ts";
import { PoolWorker } from "./worker.ts";
import { inContextAlways } from "../platform/async-context.ts";
import { check, checkCount, checkDelay, checkFunction } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The interface of a crew to its pool. */
export interface CrewOwner<W> {
	onSuccess(worker: PoolWorker<W>, value: unknown): unknown;
	onFailure(worker: PoolWorker<W>, error: unknown): unknown;
	/** A worker is available for a task, or may be. */
	onReady(): void;
	/** A worker could not be created. */
	onMakeError(error: unknown): void;
	/** A worker has died and left the crew. */
	onLost(worker: PoolWorker<W>, reason: unknown): void;
	/** The snapshot has changed. */
	onChange(): void;
	/** The crew has ended, and the last worker is gone. */
	onGone(): void;
}

export class Crew<W> implements Delayed {
	readonly workers: Map<number, PoolWorker<W>> = new Map();
	readonly #owner: CrewOwner<W>;
	readonly #min: number;
	readonly #idleTimeout: number;
	declare readonly createWorker: PoolOptions<W>["createWorker"];
	readonly #destroyWorker: PoolOptions<W>["destroyWorker"];
	readonly #onError: OnError | undefined;
	readonly #clock: Clock;
	/** The worker that became idle last is lent first. */
	readonly #idle: PoolWorker<W>[] = [];
	/** The delays after failed creations of workers. */
	readonly #backoff: BackoffSettings = checkBackoff({ start: 100, factor: 2, max: 30_000 });
	/** Set from a failed creation until a worker has worked. */
	lastDelay: number | undefined;
	/** Aborts running creations when the crew ends. */
	readonly #controller = new AbortController();
	readonly #retry = new CallbackTimer(() => this.#onRetry());
	#max: number;
	#nextId = 1;
	/**
	 * Calls `createWorker` and `destroyWorker` in the async context of the pool's constructor, because workers serve
	 * all callers.
	 */
	readonly #work: () => void;
	/** The numbers of workers that are being created and destroyed, including those whose turn has not come. */
	#making = 0;
	#ending = 0;
	#toMake = 0;
	readonly #toDestroy: W[] = [];
	#isDelayed = false;
	hasEnded = false;

	constructor(options: PoolOptions<W>, owner: CrewOwner<W>) {
		const { min = 0, max, idleTimeout = 10_000, createWorker, destroyWorker, onError } = options;
		this.#owner = owner;
		this.#min = check("min", min, "number", Number.isInteger(min) && min >= 0, "a whole number from 0");
		this.#max = checkMax(max, min);
		this.#idleTimeout = checkDelay("idleTimeout", idleTimeout);
		this.createWorker = checkFunction("createWorker", createWorker);
		this.#destroyWorker = checkFunction("destroyWorker", destroyWorker);
		this.#onError = checkFunction("onError", onError);
		this.#clock = checkClock(options.clock);
		// Never called synchronously inside the constructor of the pool or another call of the user.
		this.#work = inContextAlways(() => {
			for (const resource of this.#toDestroy.splice(0)) this.#destroy(resource);
			while (this.#toMake > 0) {
				this.#toMake--;
				this.#make();
			}
		});
		this.grow(0);
	}

	get max(): number {
		return this.#max;
	}

	set max(max: number) {
		this.#max = checkMax(max, this.#min);
		for (const worker of [...this.#idle]) this.#shrink(worker, this.#max);
	}

	/** The number of tasks that can get a worker at once. */
	get free(): number {
		return this.#idle.length + (this.createWorker === undefined ? this.#max - this.workers.size : 0);
	}

	/** Whether the crew has ended and has no workers left. */
	get isGone(): boolean {
		return this.hasEnded && this.workers.size + this.#making + this.#ending === 0;
	}

	/** Lends a worker, if one is idle or can be created synchronously. */
	take(): PoolWorker<W> | undefined {
		let worker = this.#idle.pop();
		if (worker !== undefined) this.#clock.clear(worker);
		else if (this.createWorker === undefined && this.workers.size < this.#max) worker = this.#newWorker();
		return worker;
	}

	/** Returns whether a worker that has done its task may take the next one at once. */
	mayGoOn(worker: PoolWorker<W>): boolean {
		if (worker.isGone) return false;
		worker.hasWorked = true;
		this.lastDelay = undefined;
		if (!this.hasEnded && this.workers.size <= this.#max) return true;
		this.#remove(worker);
		return false;
	}

	/** Removes a worker whose task was abandoned, because the task may still use the worker's resource. */
	giveUp(worker: PoolWorker<W>): void {
		if (worker.isGone) return;
		this.#remove(worker);
		this.#owner.onReady();
	}

	/** Takes back a worker for which there is no task. */
	giveBack(worker: PoolWorker<W>): void {
		this.#idle.push(worker);
		if (this.workers.size > this.#min) this.#clock.set(worker, this.#idleTimeout);
	}

	/** Creates workers: up to `min`, and one for each waiting task, up to `max`. */
	grow(wanted: number): void {
		if (this.hasEnded || this.#isDelayed) return;
		if (this.createWorker === undefined) {
			while (this.workers.size < this.#min) this.giveBack(this.#newWorker());
			return;
		}
		while (this.workers.size + this.#making < this.#min || this.#making < wanted) {
			if (this.workers.size + this.#making >= this.#max) return;
			this.#making++;
			this.#toMake++;
			this.#work();
		}
	}

	/** Ends the crew. Busy workers leave when their tasks are done. */
	end(reason: unknown): void {
		this.hasEnded = true;
		this.#clock.clear(this.#retry);
		this.#making -= this.#toMake;
		this.#toMake = 0;
		this.#controller.abort(reason);
		for (const worker of [...this.workers.values()]) {
			if (worker.job === undefined) this.#remove(worker);
		}
	}

	/** The caller reports the change when the worker is in place, because a subscriber may call anything. */
	#newWorker(): PoolWorker<W> {
		const worker: PoolWorker<W> = new PoolWorker(this.#nextId++, this.#owner, () => this.#shrink(worker, this.#min));
		if (this.createWorker === undefined) this.workers.set(worker.id, worker);
		return worker;
	}

	/** Removes an idle worker if the crew has more than `limit`. */
	#shrink(worker: PoolWorker<W>, limit: number): void {
		if (!worker.isGone && worker.job === undefined && this.workers.size > limit) this.#remove(worker);
	}

	async #make(): Promise<void> {
		const worker = this.#newWorker();
		try {
			worker.resource = await this.createWorker!(this.#context(worker));
			this.#making--;
			this.#onMade(worker);
		} catch (error) {
			this.#making--;
			this.#onMakeError(error);
		}
		this.#owner.onReady();
		this.#checkGone();
	}

	#context(worker: PoolWorker<W>): CreateWorkerContext {
		return {
			signal: this.#controller.signal,
			died: (reason = new Error("The worker has died")) => {
				worker.death ??= { reason };
				if (this.workers.has(worker.id)) this.#lose(worker, reason);
			},
		};
	}

	#onMade(worker: PoolWorker<W>): void {
		this.workers.set(worker.id, worker);
		if (worker.death === undefined && !this.hasEnded) {
			this.giveBack(worker);
			return this.#owner.onChange();
		}
		this.#remove(worker);
		if (worker.death !== undefined) this.#onMakeError(worker.death.reason);
	}

	#onMakeError(error: unknown): void {
		if (this.hasEnded) return;
		this.#hold();
		this.#owner.onMakeError(error);
	}

	/** Creates no worker for a while. */
	#hold(): void {
		this.#isDelayed = true;
		this.#clock.set(this.#retry, nextDelay(this.#backoff, this));
	}

	#onRetry(): void {
		this.#isDelayed = false;
		this.#owner.onReady();
	}

	#lose(worker: PoolWorker<W>, reason: unknown): void {
		if (!worker.hasWorked && !this.hasEnded) this.#hold();
		this.#remove(worker);
		this.#owner.onLost(worker, reason);
		this.#owner.onReady();
	}

	/** Removes a worker permanently; effective once per worker. */
	#remove(worker: PoolWorker<W>): void {
		worker.isGone = true;
		// Otherwise a worker that dies idle, and its resource, would stay in memory until a worker is requested.
		const index = this.#idle.indexOf(worker);
		if (index >= 0) this.#idle.splice(index, 1);
		this.#clock.clear(worker);
		this.workers.delete(worker.id);
		if (this.#destroyWorker !== undefined && this.createWorker !== undefined) {
			this.#ending++;
			this.#toDestroy.push(worker.resource as W);
			this.#work();
		}
		this.#checkGone();
		this.#owner.onChange();
	}

	async #destroy(resource: W): Promise<void> {
		try {
			await this.#destroyWorker!(resource);
		} catch (error) {
			report(this.#onError, error);
		}
		this.#ending--;
		this.#checkGone();
	}

	#checkGone(): void {
		if (this.isGone) this.#owner.onGone();
	}
}

function checkMax(max: number, min: number): number {
	return checkCount("max", max, Math.max(min, 1));
}

/**
 * The workers of a pool: made, lent to tasks, given back, and destroyed.
 *
 * @module
 */

import type { CreateWorkerContext, PoolOptions } from "./options.ts";
import { type BackoffSettings, checkBackoff, type Delayed, nextDelay } from "../run/backoff.ts";
import { PoolWorker } from "./worker.ts";
import { inContextAlways } from "../platform/async-context.ts";
import { check, checkDelay, checkFunction } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** What a crew needs of its pool. */
export interface CrewOwner<W> {
	onSuccess(worker: PoolWorker<W>, value: unknown): void;
	onFailure(worker: PoolWorker<W>, error: unknown): void;
	/** There is a worker for a task, or there may be one now. */
	onReady(): void;
	/** A worker could not be made. */
	onMakeError(error: unknown): void;
	/** A worker has died; it has left the crew. */
	onLost(worker: PoolWorker<W>, reason: unknown): void;
	/** Something that shows has changed. */
	onChange(): void;
	/** It has ended, and the last worker is gone. */
	onGone(): void;
}

export class Crew<W> implements Delayed {
	readonly workers: Map<number, PoolWorker<W>> = new Map();
	readonly #owner: CrewOwner<W>;
	readonly #min: number;
	readonly #idleTimeout: number;
	readonly #createWorker: PoolOptions<W>["createWorker"];
	readonly #destroyWorker: PoolOptions<W>["destroyWorker"];
	readonly #onError: OnError | undefined;
	readonly #clock: Clock;
	/** The one that has become idle last is lent first. */
	readonly #idle: PoolWorker<W>[] = [];
	/** How long not to try again when a worker could not be made. */
	readonly #backoff: BackoffSettings = checkBackoff({ start: 100, factor: 2, max: 30_000 });
	/** As long as no worker has worked since one could not be made. */
	lastDelay: number | undefined;
	/** Aborts what is being made when the crew ends. */
	readonly #controller = new AbortController();
	readonly #retry = new CallbackTimer(() => this.#onRetry());
	#max: number;
	#nextId = 1;
	/** Calls `createWorker` and `destroyWorker` as whoever made the pool would: what they make serves all callers. */
	readonly #work: () => void;
	/** How many are being made, and destroyed; those included whose turn has not come. */
	#making = 0;
	#ending = 0;
	#toMake = 0;
	readonly #toDestroy: W[] = [];
	#isDelayed = false;
	#hasEnded = false;

	constructor(options: PoolOptions<W>, owner: CrewOwner<W>) {
		const { min = 0, max, idleTimeout = 10_000, createWorker, destroyWorker, onError } = options;
		this.#owner = owner;
		this.#min = check("min", min, "number", Number.isInteger(min) && min >= 0, "a whole number from 0");
		this.#max = checkMax(max, min);
		this.#idleTimeout = checkDelay("idleTimeout", idleTimeout);
		this.#createWorker = checkFunction("createWorker", createWorker);
		this.#destroyWorker = checkFunction("destroyWorker", destroyWorker);
		this.#onError = checkFunction("onError", onError);
		this.#clock = checkClock(options.clock);
		// Never inside the pool's constructor, `go`, or anything else that the user calls.
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

	/** How many tasks can be given a worker without waiting for one. */
	get free(): number {
		return this.#idle.length + (this.#createWorker === undefined ? this.#max - this.workers.size : 0);
	}

	/** Whether it has ended and nobody is left. */
	get isGone(): boolean {
		return this.#hasEnded && this.workers.size + this.#making + this.#ending === 0;
	}

	/** Lends a worker, if one is idle or needs no making. */
	take(): PoolWorker<W> | undefined {
		let worker = this.#idle.pop();
		if (worker !== undefined) this.#clock.clear(worker);
		else if (this.#createWorker === undefined && this.workers.size < this.#max) worker = this.#newWorker();
		return worker;
	}

	/** A worker has done its task. Whether it may take the next one at once. */
	mayGoOn(worker: PoolWorker<W>): boolean {
		if (worker.isGone) return false;
		worker.hasWorked = true;
		this.lastDelay = undefined;
		if (!this.#hasEnded && this.workers.size <= this.#max) return true;
		this.#remove(worker);
		return false;
	}

	/** The task of a worker was given up, and may go on using what the worker works with. */
	giveUp(worker: PoolWorker<W>): void {
		if (worker.isGone) return;
		this.#remove(worker);
		this.#owner.onReady();
	}

	/** Takes a worker back for which there is no task. */
	giveBack(worker: PoolWorker<W>): void {
		this.#idle.push(worker);
		if (this.workers.size > this.#min) this.#clock.set(worker, this.#idleTimeout);
	}

	/** Makes workers: up to `min`, and one for each of the tasks that wait, up to `max`. */
	grow(wanted: number): void {
		if (this.#hasEnded || this.#isDelayed) return;
		if (this.#createWorker === undefined) {
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

	/** No more workers. Those that are busy go when they are done. */
	end(reason: unknown): void {
		this.#hasEnded = true;
		this.#clock.clear(this.#retry);
		this.#making -= this.#toMake;
		this.#toMake = 0;
		this.#controller.abort(reason);
		for (const worker of [...this.workers.values()]) {
			if (worker.job === undefined) this.#remove(worker);
		}
	}

	/** Whoever asks for it tells of the change, when the worker has its place: a subscriber may call anything. */
	#newWorker(): PoolWorker<W> {
		const worker: PoolWorker<W> = new PoolWorker(this.#nextId++, this.#owner, () => this.#shrink(worker, this.#min));
		if (this.#createWorker === undefined) this.workers.set(worker.id, worker);
		return worker;
	}

	/** Removes an idle worker if there are more than `limit`. */
	#shrink(worker: PoolWorker<W>, limit: number): void {
		if (!worker.isGone && worker.job === undefined && this.workers.size > limit) this.#remove(worker);
	}

	async #make(): Promise<void> {
		const worker = this.#newWorker();
		try {
			worker.resource = await this.#createWorker!(this.#context(worker));
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
		if (worker.death === undefined && !this.#hasEnded) {
			this.giveBack(worker);
			return this.#owner.onChange();
		}
		this.#remove(worker);
		if (worker.death !== undefined) this.#onMakeError(worker.death.reason);
	}

	#onMakeError(error: unknown): void {
		if (this.#hasEnded) return;
		this.#hold();
		this.#owner.onMakeError(error);
	}

	/** Makes no worker for a while. */
	#hold(): void {
		this.#isDelayed = true;
		this.#clock.set(this.#retry, nextDelay(this.#backoff, this));
	}

	#onRetry(): void {
		this.#isDelayed = false;
		this.#owner.onReady();
	}

	#lose(worker: PoolWorker<W>, reason: unknown): void {
		if (!worker.hasWorked && !this.#hasEnded) this.#hold();
		this.#remove(worker);
		this.#owner.onLost(worker, reason);
		this.#owner.onReady();
	}

	/** For good, and once for each worker. */
	#remove(worker: PoolWorker<W>): void {
		worker.isGone = true;
		// Or a worker that dies idle, and what it worked with, would be kept as long as nobody asks for one.
		const index = this.#idle.indexOf(worker);
		if (index >= 0) this.#idle.splice(index, 1);
		this.#clock.clear(worker);
		this.workers.delete(worker.id);
		if (this.#destroyWorker !== undefined && this.#createWorker !== undefined) {
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
	const least = Math.max(min, 1);
	const isAllowed = (Number.isInteger(max) || max === Infinity) && max >= least;
	return check("max", max, "number", isAllowed, `a whole number from ${least}, or Infinity`);
}

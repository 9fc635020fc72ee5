/**
 * The worker of a basket, which runs while it has users.
 *
 * State: `stopped` → (a user joins) → `starting` → (the store is open) → `running` → (the last user leaves) →
 * `stopping` → `stopped`. If a user joins during `stopping`, the worker starts again afterwards.
 *
 * Nothing here waits for a store forever: `stopping` ends with the grace period. A store that has answered since the
 * last request, or was asked less than a second ago, gets one more second for its last answers.
 *
 * @module
 */

import type { BasketSettings } from "./options.ts";
import type { Claims } from "./claims.ts";
import type { WorkerTotals } from "./outcomes.ts";
import type { WakeReason } from "./store.ts";
import type { TurnsOwner } from "./turns-owner.ts";
import { Calls } from "./calls.ts";
import { Turns } from "./turns.ts";
import { Users, type UsersOwner } from "./users.ts";
import { abortError } from "../platform/abort-error.ts";
import { onAwake } from "../platform/awake.ts";
import { systemClock } from "../platform/clock.ts";
import { observe, report } from "../platform/observe.ts";
import { link, unlink } from "../platform/signals.ts";
import { soon } from "../platform/soon.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The maximum sleep in milliseconds: a hint can be lost, and a wall clock can be set. */
const longestSleep = 60_000;
/** The time over which retries are spread after a wake-up hint, in milliseconds. */
const spread = 1_000;
/** The maximum wait for a call at the end of the grace period, in milliseconds. */
const lastMoment = 1_000;

export class Worker<Tx> implements TurnsOwner, UsersOwner {
	readonly #settings: BasketSettings<Tx>;
	readonly #open: () => Promise<void>;
	readonly onChange: () => void;
	readonly #calls: Calls;
	readonly turns: Turns<Tx>;
	readonly users: Users = new Users(this);
	readonly #timer: CallbackTimer = new CallbackTimer(() => this.wake());
	readonly #nextTurn: CallbackTimer = new CallbackTimer(() => this.#turnNow());
	#state: "stopped" | "starting" | "running" | "stopping" = "stopped";
	/** Set while the worker stops. Resolves when it has stopped. */
	stopping: Promise<void> | undefined;
	/** Aborts when the worker stops, so that earlier work does not affect the next start. */
	#life: AbortSignal | undefined;
	/** Functions that undo the start of the worker. */
	#undo: (() => void)[] = [];
	#isPaused = false;
	/** Set while running tasks may end before the worker stops. Ends this time. */
	#endPatience: (() => void) | undefined;
	/** The pending work of the next {@link Worker.work}. */
	#isTickDue = false;
	#isTurnDue = false;
	/** Whether a gate cannot be subscribed to. */
	#isGateMute = false;
	/** Called when the last running task has ended. */
	#onEnded: (() => void) | undefined;

	constructor(settings: BasketSettings<Tx>, open: () => Promise<void>, onChange: () => void) {
		this.#settings = settings;
		this.#open = open;
		this.onChange = onChange;
		this.#calls = new Calls(settings);
		this.turns = new Turns(settings, this.#calls, this);
	}

	get claims(): Claims<Tx> {
		return this.turns.claims;
	}

	get totals(): Readonly<WorkerTotals> {
		return this.turns.outcomes.totals;
	}

	get state(): "stopped" | "starting" | "running" | "paused" | "stopping" {
		if (this.#state !== "running") return this.#state;
		return this.#endPatience !== undefined ? "stopping" : this.isOpen ? "running" : "paused";
	}

	get running(): number {
		return this.turns.running;
	}

	get isWorking(): boolean {
		return this.#state === "running";
	}

	get isOpen(): boolean {
		const { gates, onError } = this.#settings;
		return this.isWorking && !this.#isPaused && this.#endPatience === undefined &&
			gates.every((gate) => observe(onError, () => gate.getSnapshot()) === true);
	}

	onJoined(): void {
		this.#endPatience?.(); // the work goes on
		if (this.#state === "stopped") this.#start();
		else this.wake();
	}

	/** Makes all users leave, when running tasks have had time to end. Users that join after the call stay. */
	async stop(finish: number, signal?: AbortSignal): Promise<void> {
		this.#endPatience?.();
		const { all } = this.users;
		const patience = this.finish(finish, signal);
		// Without patience at once: the caller sees aborted signals, and may run the basket again.
		if (patience !== undefined) await patience;
		const reason = abortError("The basket was stopped");
		for (const user of all) user.abort(reason);
		await this.stopping;
	}

	/**
	 * Begins nothing new, and waits until no task runs, `duration` milliseconds have passed, the signal aborts, or
	 * somebody wants the worker to go on or to stop at once. Returns `undefined` if there is nothing to wait for.
	 */
	finish(duration: number, signal?: AbortSignal): Promise<void> | undefined {
		if (duration <= 0 || this.running === 0 || !this.isWorking || signal?.aborted) return undefined;
		const { clock } = this.#settings;
		return new Promise<void>((resolve) => {
			const end = () => {
				clock.clear(timer);
				unlink(signal, patience);
				if (this.#endPatience === end) this.#endPatience = undefined;
				resolve();
			};
			const patience = { abort: end };
			const timer = new CallbackTimer(end);
			this.#endPatience?.();
			this.#endPatience = end;
			if (duration < Infinity) clock.set(timer, duration);
			link(signal, patience);
			this.#settings.onFinish?.();
			this.#openOrClosed();
		}).then(() => this.#openOrClosed());
	}

	pause(): void {
		this.#isPaused = true;
		this.#openOrClosed();
	}

	resume(): void {
		this.#isPaused = false;
		this.#openOrClosed();
	}

	/** There may be a task to claim. */
	wake(): void {
		this.turns.wake();
		if (this.#isGateMute) this.sleep(longestSleep);
		this.poke();
	}

	/** There will be a task to claim after the delay. */
	wakeIn(delay: number): void {
		// The answer of a running turn does not include it.
		if (delay === 0 || this.turns.isTurning) return this.wake();
		const { clock } = this.#settings;
		const isLate = this.#timer.position < 0 || this.#timer.at > clock.monotonic() + delay;
		if (isLate) this.sleep(delay);
	}

	poke(): void {
		if (this.isWorking) this.users.first?.work();
	}

	tick(): void {
		this.#isTickDue = true;
		// Also without users: leases are renewed until the grace period ends.
		(this.users.first ?? this).work();
	}

	turnSoon(): void {
		const { clock } = this.#settings;
		if (clock === systemClock) soon(() => this.#turnNow());
		else clock.set(this.#nextTurn, 0);
	}

	sleep(duration: number): void {
		if (this.isWorking) this.#settings.clock.set(this.#timer, Math.max(0, Math.min(duration, longestSleep)));
	}

	onProgress(): void {
		if (this.running === 0) this.#endPatience?.();
		this.#onEnded?.();
	}

	onQuiet(): void {
		this.users.quiet();
	}

	onFailure(error: unknown): void {
		if (!this.#life!.aborted) this.users.fail(error);
	}

	/** Does the pending work, in the async context of the first user. */
	work(): void {
		if (this.#isTickDue) this.claims.tick();
		if (this.#isTurnDue) void this.turns.turn();
		this.#isTickDue = this.#isTurnDue = false;
		this.turns.pump();
	}

	#turnNow(): void {
		this.#isTurnDue = true;
		this.users.first?.work();
	}

	#openOrClosed(): void {
		if (!this.isOpen) this.turns.releaseClaimed();
		this.wake();
		this.onChange();
	}

	#start(): void {
		this.#state = "starting";
		const life = this.#life = this.#calls.open();
		this.onChange();
		if (life.aborted) return;
		this.#calls.trying(() => this.#calls.track(this.#open, this.#settings.lease)).then(
			() => life.aborted || this.#begin(),
			(error) => life.aborted || this.onFailure(error),
		);
	}

	#begin(): void {
		if (this.#state !== "starting") return;
		this.#state = "running";
		const { store, name, gates, wake, onError } = this.#settings;
		const onWake = (reason?: WakeReason) => {
			if (reason === "claims") this.claims.look();
			this.wake();
			this.onChange();
		};
		for (const hint of wake) this.#listen(() => hint.subscribe(() => void this.#hasten()));
		// After a sleep, leases are handled first: a task that became due meanwhile may be running here.
		this.#listen(() => onAwake(() => void this.claims.awake().then(() => this.wake())));
		const muted = gates.filter((gate) => !this.#listen(() => gate.subscribe(() => this.#openOrClosed())));
		this.#isGateMute = muted.length > 0;
		if (store.watch !== undefined) this.#listen(() => store.watch!(name, onWake, (error) => report(onError, error)));
		// A subscriber may have stopped the worker.
		if (!this.isWorking) return;
		this.wake();
		this.onChange(); // the first turn may take long
	}

	/** Returns whether listening has begun. If it fails, the error is reported, and the worker continues without it. */
	#listen(begin: () => () => void): boolean {
		try {
			const undo = begin();
			if (this.isWorking) this.#undo.push(undo);
			else observe(this.#settings.onError, undo);
			return true;
		} catch (error) {
			report(this.#settings.onError, error);
			return false;
		}
	}

	async #hasten(): Promise<void> {
		const { store, name } = this.#settings;
		if (this.isWorking && await this.#calls.reach(() => store.hasten(name, spread))) this.wake();
	}

	/** The last user has left. */
	end(reason: unknown): Promise<void> {
		if (this.stopping !== undefined) return this.stopping;
		let onStopped!: () => void;
		// Set before subscribers are notified, because they may call anything.
		const stopping = this.stopping = new Promise<void>((resolve) => onStopped = resolve);
		this.#finish(reason).catch((error) => report(this.#settings.onError, error)).then(() => {
			this.stopping = undefined;
			this.#state = "stopped";
			onStopped();
			this.onChange();
			if (this.users.size > 0 && this.#state === "stopped") this.#start();
		});
		return stopping;
	}

	/** Waits for the running tasks during the grace period, and releases the others. */
	async #finish(reason: unknown): Promise<void> {
		const { clock, grace, onError } = this.#settings;
		this.#state = "stopping";
		this.onChange();
		for (const undo of this.#undo.splice(0)) observe(onError, undo);
		this.turns.releaseClaimed();
		this.#calls.leave(reason);
		// Its answer shows at the end of the grace period whether the store responds.
		if (this.running > 0) void this.claims.renew();
		this.turns.abort(reason);
		await this.#endInTime(grace);
		this.#calls.close();
		this.turns.rest();
		for (const timer of [this.#timer, this.#nextTurn]) clock.clear(timer);
	}

	async #endInTime(grace: number): Promise<void> {
		const { clock } = this.#settings;
		let isOver = false;
		const timer = new CallbackTimer(() => {
			const isInVain = isOver || this.#calls.isInVain(lastMoment);
			isOver = true;
			this.#onEnded?.();
			if (isInVain) return this.#calls.close();
			this.#calls.forsake(lastMoment);
			clock.set(timer, lastMoment);
		});
		clock.set(timer, grace);
		while (this.running > 0 && !isOver) {
			await this.turns.flush();
			if (this.running > 0 && !isOver) await new Promise<void>((resolve) => this.#onEnded = resolve);
		}
		this.turns.abandon();
		await this.turns.flush();
		await this.#calls.idle();
		clock.clear(timer);
	}
}

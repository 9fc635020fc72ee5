/**
 * What works off a basket while somebody wants it to.
 *
 * State: `stopped` → (somebody joins) → `starting` → (the store is open) → `running` → (the last one leaves) → `stopping` →
 * `stopped`. Who joins while it is stopping makes it run again afterwards.
 *
 * Nothing here waits for a store without end: `stopping` is over when the grace is. A store that has answered since it was
 * asked, or was asked less than a second ago, gets one more second for its last answers.
 *
 * @module
 */

import type { BasketSettings } from "./options.ts";
import type { Claims } from "./claims.ts";
import type { WorkerTotals } from "./outcomes.ts";
import type { WakeReason } from "./store.ts";
import { Calls } from "./calls.ts";
import { Turns, type TurnsOwner } from "./turns.ts";
import { abortError } from "../platform/abort-error.ts";
import { inContextAlways } from "../platform/async-context.ts";
import { onAwake } from "../platform/awake.ts";
import { systemClock } from "../platform/clock.ts";
import { observe, report } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { soon } from "../platform/soon.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** How long to sleep at most, in milliseconds: a hint can get lost, and a wall clock can be set. */
const longestSleep = 60_000;
/** Over how long the retries are spread that a hint has woken, in milliseconds. */
const spread = 1_000;
/** How long a call is waited for at the end of the grace, in milliseconds. */
const lastMoment = 1_000;

/** Somebody who wants the basket worked off. */
interface User extends Abortable {
	/** Leaves when nothing is due. */
	readonly isDraining: boolean;
	readonly signal: AbortSignal | undefined;
	/** Settles what the user awaits. */
	readonly onLeft: () => void;
	readonly onFailed: (error: unknown) => void;
	/** What the worker does, in the user's async context. */
	readonly pump: () => void;
	readonly turn: () => void;
	readonly tick: () => void;
}

export class Worker<Tx> implements TurnsOwner {
	readonly #settings: BasketSettings<Tx>;
	readonly #open: () => Promise<void>;
	readonly onChange: () => void;
	readonly #calls: Calls;
	readonly #turns: Turns<Tx>;
	readonly #users = new Set<User>();
	readonly #timer: CallbackTimer = new CallbackTimer(() => this.wake());
	readonly #nextTurn: CallbackTimer = new CallbackTimer(() => this.#turnNow());
	#state: "stopped" | "starting" | "running" | "stopping" = "stopped";
	#stopping: Promise<void> | undefined;
	/** Aborts when the worker stops: what was begun before must not touch the next start. */
	#life: AbortSignal | undefined;
	/** Ends what was begun with the worker. */
	#undo: (() => void)[] = [];
	#isPaused = false;
	/** Whether the gate cannot say when it changes. */
	#isGateMute = false;
	/** What the end of the worker waits for. */
	#onEnded: (() => void) | undefined;

	constructor(settings: BasketSettings<Tx>, open: () => Promise<void>, onChange: () => void) {
		this.#settings = settings;
		this.#open = open;
		this.onChange = onChange;
		this.#calls = new Calls(settings);
		this.#turns = new Turns(settings, this.#calls, this);
	}

	get claims(): Claims<Tx> {
		return this.#turns.claims;
	}

	get totals(): Readonly<WorkerTotals> {
		return this.#turns.outcomes.totals;
	}

	get state(): "stopped" | "starting" | "running" | "paused" | "stopping" {
		return this.#state === "running" && !this.isOpen ? "paused" : this.#state;
	}

	get running(): number {
		return this.#turns.running;
	}

	get isWorking(): boolean {
		return this.#state === "running";
	}

	get isOpen(): boolean {
		const { gate, onError } = this.#settings;
		return !this.#isPaused && (gate === undefined || observe(onError, () => gate.getSnapshot()) === true);
	}

	/** Works until the signal aborts; or, to drain, until nothing is due. */
	join(isDraining: boolean, signal: AbortSignal | undefined): Promise<void> {
		return new Promise((onLeft, onFailed) => {
			const abort = (reason: unknown) => this.#leave(user, isDraining ? () => onFailed(reason) : onLeft, reason);
			const pump = inContextAlways(() => this.#turns.pump());
			const turn = inContextAlways(() => void this.#turns.turn());
			const tick = inContextAlways(() => this.claims.tick());
			const user: User = { isDraining, signal, onLeft, onFailed, abort, pump, turn, tick };
			if (signal?.aborted) return isDraining ? onFailed(signal.reason) : onLeft();
			if (isDraining && this.claims.isCalling) {
				const text = "A task cannot wait until its own basket is drained: that would be for itself";
				return onFailed(new DOMException(text, "InvalidStateError"));
			}
			this.#users.add(user);
			if (signal !== undefined) link(signal, user);
			if (this.#state === "stopped") this.#start();
			else this.wake();
		});
	}

	/** Makes everybody leave. */
	async stop(): Promise<void> {
		const reason = abortError("The basket was stopped");
		for (const user of this.#users) user.abort(reason);
		await this.#stopping;
	}

	pause(): void {
		this.#isPaused = true;
		this.#openOrClosed();
	}

	resume(): void {
		this.#isPaused = false;
		this.#openOrClosed();
	}

	/** There may be something to claim. */
	wake(): void {
		this.#turns.isDue = true;
		if (this.#isGateMute) this.sleep(longestSleep);
		this.poke();
	}

	/** There will be something to claim. */
	wakeIn(delay: number): void {
		// The answer of a turn that is under way does not know of it.
		if (delay === 0 || this.#turns.isTurning) return this.wake();
		const { clock } = this.#settings;
		const isLate = this.#timer.position < 0 || this.#timer.at > clock.monotonic() + delay;
		if (isLate) this.sleep(delay);
	}

	poke(): void {
		if (this.isWorking) this.#first()?.pump();
	}

	tick(): void {
		const user = this.#first();
		if (user === undefined) this.claims.tick(); // leases are kept until the grace is over
		else user.tick();
	}

	turnSoon(): void {
		const { clock } = this.#settings;
		if (clock === systemClock) soon(() => this.#turnNow());
		else clock.set(this.#nextTurn, 0);
	}

	sleep(duration: number): void {
		if (this.isWorking) this.#settings.clock.set(this.#timer, Math.min(duration, longestSleep));
	}

	onProgress(): void {
		this.#onEnded?.();
	}

	onQuiet(): void {
		for (const user of this.#users) if (user.isDraining) this.#leave(user, user.onLeft, undefined);
	}

	onFailure(error: unknown): void {
		if (this.#life!.aborted) return;
		for (const user of this.#users) this.#leave(user, () => user.onFailed(error), error);
	}

	/** Tasks run in the async context of whoever wants that for the longest time. */
	#first(): User | undefined {
		for (const user of this.#users) return user;
	}

	#turnNow(): void {
		this.#first()?.turn();
	}

	#leave(user: User, settle: () => void, reason: unknown): void {
		if (!this.#users.delete(user)) return;
		if (user.signal !== undefined) unlink(user.signal, user);
		if (this.#users.size === 0) this.#stop(reason).then(settle);
		// The others may be leaving, too: then all of them wait for the same end.
		else queueMicrotask(() => this.#stopping === undefined ? settle() : this.#stopping.then(settle));
	}

	#openOrClosed(): void {
		if (!this.isOpen) this.#turns.releaseClaimed();
		this.wake();
		this.onChange();
	}

	#start(): void {
		this.#state = "starting";
		const life = this.#life = this.#calls.open();
		this.onChange();
		if (life.aborted) return;
		this.#calls.trying(() => this.#calls.track(this.#open(), this.#settings.lease)).then(
			() => life.aborted || this.#begin(),
			(error) => life.aborted || this.onFailure(error),
		);
	}

	#begin(): void {
		if (this.#state !== "starting") return;
		this.#state = "running";
		const { store, name, gate, wake, onError } = this.#settings;
		const onWake = (reason?: WakeReason) => {
			if (reason === "claims") this.claims.look();
			this.wake();
			this.onChange();
		};
		for (const hint of wake) this.#listen(() => hint.subscribe(() => void this.#hasten()));
		// After a sleep, leases come first: what has become due meanwhile may be a task that runs here.
		this.#listen(() => onAwake(() => void this.claims.awake().then(() => this.wake())));
		const isHeard = gate === undefined || this.#listen(() => gate.subscribe(() => this.#openOrClosed()));
		this.#isGateMute = !isHeard;
		if (store.watch !== undefined) this.#listen(() => store.watch!(name, onWake, (error) => report(onError, error)));
		// A subscriber may have ended all this.
		if (!this.isWorking) return;
		this.wake();
		this.onChange(); // the first turn may take long
	}

	/** Says whether it was begun. What cannot be is told, and the worker does without. */
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
		const { store, name, onError } = this.#settings;
		if (!this.isWorking) return;
		try {
			if (await this.#calls.track(store.hasten(name, spread)) > 0) this.wake();
		} catch (error) {
			report(onError, error);
		}
	}

	#stop(reason: unknown): Promise<void> {
		if (this.#stopping !== undefined) return this.#stopping;
		let onStopped!: () => void;
		// Before anybody is told, who may call anything.
		const stopping = this.#stopping = new Promise<void>((resolve) => onStopped = resolve);
		this.#finish(reason).catch((error) => report(this.#settings.onError, error)).then(() => {
			this.#stopping = undefined;
			this.#state = "stopped";
			onStopped();
			this.onChange();
			if (this.#users.size > 0 && this.#state === "stopped") this.#start();
		});
		return stopping;
	}

	/** Lets the running tasks end, for a while, and gives back the others. */
	async #finish(reason: unknown): Promise<void> {
		const { clock, grace, onError } = this.#settings;
		this.#state = "stopping";
		this.onChange();
		for (const undo of this.#undo.splice(0)) observe(onError, undo);
		this.#turns.releaseClaimed();
		this.#calls.leave(reason);
		// By its answer it is known at the end of the grace whether the store is there.
		if (this.running > 0) void this.claims.renew();
		this.#turns.abort(reason);
		await this.#endInTime(grace);
		this.#calls.close();
		this.#turns.rest();
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
			await this.#turns.flush();
			if (this.running > 0 && !isOver) await new Promise<void>((resolve) => this.#onEnded = resolve);
		}
		this.#turns.abandon();
		await this.#turns.flush();
		await this.#calls.idle();
		clock.clear(timer);
	}
}

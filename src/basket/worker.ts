/**
 * What works off a basket: it claims tasks, runs them, and settles them.
 *
 * State: `stopped` → (somebody joins) → `starting` → (the store is open) → `running` → (the last one leaves) → `stopping` →
 * `stopped`. Who joins while it is stopping makes it run again afterwards.
 *
 * One call to the store settles what has ended and claims what comes next; there is never more than one of these under way,
 * so that under load they are large. A slot is free for the next task as soon as the function before has returned: what is
 * told to others, and the end of a `drain`, wait until its settlement is stored.
 *
 * @module
 */

import type { BasketSettings, Settled } from "./options.ts";
import type { Claim, ClaimRequest, TurnResult } from "./store.ts";
import type { ClaimedTask, Ending } from "./claimed-task.ts";
import { Claims } from "./claims.ts";
import { ClaimLostError } from "./context.ts";
import { type BackoffSettings, checkBackoff } from "../backoff.ts";
import { Execution } from "../execution.ts";
import { defaultSettings, type RunnerSettings } from "../runner-options.ts";
import { abortError } from "../platform/abort-error.ts";
import { onAwake } from "../platform/awake.ts";
import { systemClock } from "../platform/clock.ts";
import { observe, report } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { soon } from "../platform/soon.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** How long to sleep at most, in milliseconds: a hint can get lost, and a wall clock can be set. */
const longestSleep = 60_000;
/** How many tasks to claim ahead of the free slots at most, and how long running those may take, in milliseconds. */
const mostAhead = 500;
const timeAhead = 50;
/** Over how long the retries are spread that a hint has woken, in milliseconds. */
const spread = 1_000;

/** Somebody who wants the basket worked off. */
interface User extends Abortable {
	/** Leaves when nothing is due. */
	readonly isDraining: boolean;
	readonly signal: AbortSignal | undefined;
	/** Settles what the user awaits. */
	readonly onLeft: () => void;
	readonly onFailed: (error: unknown) => void;
}

/** A task whose run has ended, and how. */
interface Ended<Tx> {
	readonly task: ClaimedTask<Tx>;
	readonly ending: Ending;
}

/** What a worker has done since it was made. */
export interface WorkerTotals {
	/** Tasks that were done. */
	succeeded: number;
	/** Attempts that failed and are tried again. */
	failed: number;
	/** Tasks that were given up. */
	dead: number;
}

export class Worker<Tx> {
	readonly claims: Claims<Tx>;
	readonly totals: WorkerTotals = { succeeded: 0, failed: 0, dead: 0 };
	readonly #settings: BasketSettings<Tx>;
	readonly #open: () => Promise<void>;
	readonly #onChange: () => void;
	readonly #storeSettings: RunnerSettings;
	/** All kinds, and those of which more may be claimed than run at once. */
	readonly #kinds: readonly string[];
	readonly #patientKinds: readonly string[];
	readonly #users = new Set<User>();
	readonly #running = new Set<ClaimedTask<Tx>>();
	readonly #timer: CallbackTimer = new CallbackTimer(() => this.wake());
	readonly #nextTurn: CallbackTimer = new CallbackTimer(() => void this.#turn());
	/** Claimed and not begun, the next one last. */
	#ahead: ClaimedTask<Tx>[] = [];
	/** Has crashed again and again: runs when nothing else does. */
	#suspect: ClaimedTask<Tx> | undefined;
	/** Where one was, more may follow: what is claimed together with one has to be given back. */
	#isCautious = false;
	/** To be settled. */
	#ended: Ended<Tx>[] = [];
	#state: "stopped" | "starting" | "running" | "stopping" = "stopped";
	#stopping: Promise<void> | undefined;
	/** Ends the waiting for a store that fails. */
	#patience = new AbortController();
	/** Ends what was begun with the worker. */
	#undo: (() => void)[] = [];
	#isPaused = false;
	/** Whether there may be something to claim. */
	#isDue = false;
	#isScheduled = false;
	#isTurning = false;
	/** How many runs have ended since the last claim has come, when that was, and how long they took together. */
	#pace = { ended: 0, since: 0, took: 0 };
	/** What the end of the worker waits for. */
	#onProgress: (() => void) | undefined;

	constructor(settings: BasketSettings<Tx>, open: () => Promise<void>, onChange: () => void) {
		this.#settings = settings;
		this.#open = open;
		this.#onChange = onChange;
		this.claims = new Claims(settings, (call) => this.#trying(call));
		this.#kinds = [...settings.kinds.keys()];
		this.#patientKinds = this.#kinds.filter((kind) => settings.kinds.get(kind)!.settings.attempts === Infinity);
		const backoff: BackoffSettings = checkBackoff({ start: 100, factor: 2, max: 30_000, jitter: "equal" });
		this.#storeSettings = {
			...defaultSettings,
			attempts: Infinity,
			backoff,
			clock: settings.clock,
			shouldRetry: isTransient,
			onAttemptFailed: ({ error, again }) => again && report(settings.onError, error),
		};
	}

	get state(): "stopped" | "starting" | "running" | "paused" | "stopping" {
		return this.#state === "running" && !this.#isOpen() ? "paused" : this.#state;
	}

	get running(): number {
		return this.#running.size;
	}

	/** Works until the signal aborts; or, to drain, until nothing is due. */
	join(isDraining: boolean, signal: AbortSignal | undefined): Promise<void> {
		return new Promise((onLeft, onFailed) => {
			const abort = (reason: unknown) => this.#leave(user, isDraining ? () => onFailed(reason) : onLeft, reason);
			const user: User = { isDraining, signal, onLeft, onFailed, abort };
			if (signal?.aborted) return isDraining ? onFailed(signal.reason) : onLeft();
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
		this.#isDue = true;
		this.#pump();
	}

	/** There will be something to claim. */
	wakeIn(delay: number): void {
		if (delay === 0) return this.wake();
		const { clock } = this.#settings;
		const isLate = this.#timer.position < 0 || this.#timer.at > clock.monotonic() + delay;
		if (this.#state === "running" && isLate) clock.set(this.#timer, Math.min(delay, longestSleep));
	}

	#leave(user: User, settle: () => void, reason: unknown): void {
		if (!this.#users.delete(user)) return;
		if (user.signal !== undefined) unlink(user.signal, user);
		if (this.#users.size === 0) this.#stop(reason).then(settle);
		else settle();
	}

	#openOrClosed(): void {
		if (!this.#isOpen()) this.#releaseClaimed();
		this.wake();
		this.#onChange();
	}

	#start(): void {
		this.#state = "starting";
		// What becomes of it after a stop must not touch the next start.
		const { signal } = this.#patience = new AbortController();
		this.#onChange();
		this.#trying(() => this.claims.track(this.#open())).then(
			() => signal.aborted || this.#begin(),
			(error) => signal.aborted || this.#fail(error),
		);
	}

	#begin(): void {
		if (this.#state !== "starting") return;
		this.#state = "running";
		const { store, name, gate, wake, onError } = this.#settings;
		const onWake = () => {
			this.wake();
			this.#onChange();
		};
		this.#undo = wake.map((hint) => hint.subscribe(() => void this.#hasten()));
		// After a sleep, leases come first: what has become due meanwhile may be a task that runs here.
		this.#undo.push(onAwake(() => void this.claims.renew().then(() => this.wake())));
		if (gate !== undefined) this.#undo.push(gate.subscribe(() => this.#openOrClosed()));
		if (store.watch !== undefined) this.#undo.push(store.watch(name, onWake, (error) => report(onError, error)));
		this.wake();
		this.#onChange(); // the first turn may take long
	}

	/** Nothing can be done any more. */
	#fail(error: unknown): void {
		if (this.#patience.signal.aborted) return;
		for (const user of this.#users) this.#leave(user, () => user.onFailed(error), error);
	}

	/** A call to the store, until it succeeds or there is no hope. */
	#trying<T>(call: () => Promise<T>): Promise<T> {
		return new Execution(call, this.#storeSettings, this.#patience.signal).run();
	}

	async #hasten(): Promise<void> {
		const { store, name, onError } = this.#settings;
		try {
			if (await this.claims.track(store.hasten(name, spread)) > 0) this.wake();
		} catch (error) {
			report(onError, error);
		}
	}

	#isOpen(): boolean {
		const { gate, onError } = this.#settings;
		return !this.#isPaused && (gate === undefined || observe(onError, gate.getSnapshot) === true);
	}

	/** Starts what can be started, and has a turn if there is need of one. */
	#pump(): void {
		if (this.#state !== "running") return this.#onProgress?.();
		this.#startTasks();
		if (this.#isTurning || this.#isScheduled) return;
		if (this.#ended.length === 0 && !(this.#isDue && this.#request().length > 0)) return this.#leaveIfQuiet();
		this.#isScheduled = true;
		const { clock } = this.#settings;
		// What ends in the same breath is settled together.
		if (clock === systemClock) soon(() => void this.#turn());
		else clock.set(this.#nextTurn, 0);
	}

	#startTasks(): void {
		if (this.#suspect !== undefined) return this.#startSuspect(this.#suspect);
		while (this.#ahead.length > 0 && this.#running.size < this.#settings.concurrency) {
			this.#startTask(this.#ahead.pop()!);
		}
	}

	/** Not before everything else is out of harm's way. */
	#startSuspect(suspect: ClaimedTask<Tx>): void {
		if (this.#running.size === 0 && this.#ended.length === 0 && !this.#isTurning) this.#startTask(suspect);
	}

	#startTask(task: ClaimedTask<Tx>): void {
		if (task.isOver) return this.#forget(task);
		if (task.leaseEndsAt <= this.#settings.clock.monotonic()) return this.#giveBack(task);
		this.#running.add(task);
		const begunAt = this.#settings.clock.monotonic();
		task.run().then((ending) => this.#end(task, ending, begunAt));
	}

	#end(task: ClaimedTask<Tx>, ending: Ending, begunAt: number): void {
		if (!this.#running.delete(task)) return; // abandoned
		this.#pace.ended++;
		this.#pace.took += this.#settings.clock.monotonic() - begunAt;
		if (task.isOver) this.#forget(task);
		else if (task.isCompleting) this.#completed(task, ending);
		else this.#ended.push({ task, ending });
		if (task === this.#suspect) this.#suspect = undefined;
		this.#pump();
	}

	/** Its own transaction has settled it. */
	#completed(task: ClaimedTask<Tx>, ending: Ending): void {
		this.#forget(task);
		this.#tell(task, ending);
		this.wake(); // for the next one in its lane
	}

	/** The store took so long that somebody else may run it by now. */
	#giveBack(task: ClaimedTask<Tx>): void {
		if (task === this.#suspect) this.#suspect = undefined;
		this.#release([task]);
	}

	#forget(task: ClaimedTask<Tx>): void {
		this.claims.delete(task);
		if (task === this.#suspect) this.#suspect = undefined;
	}

	async #turn(): Promise<void> {
		this.#isScheduled = false;
		if (this.#state !== "running" || this.#isTurning) return;
		this.#isTurning = true;
		try {
			await this.#trying(() => this.#exchange());
		} catch (error) {
			this.#fail(error);
		}
		this.#isTurning = false;
		this.#pump();
		this.#onChange();
	}

	/** One call to the store: what has ended, and what to do next. */
	async #exchange(): Promise<void> {
		const { store, name, lease, clock } = this.#settings;
		const claim = this.#request();
		const ended = this.#ended.slice();
		const settle = ended.map(({ task, ending }) => ({ ref: task.claim, outcome: ending.outcome }));
		const now = clock.monotonic();
		// A hint that comes from here on is not for this call.
		this.#isDue = claim.length === 0;
		let result: TurnResult;
		try {
			result = await store.turn(name, { settle, claim, lease });
		} catch (error) {
			this.#isDue = true;
			throw error;
		}
		this.#ended.splice(0, ended.length);
		ended.forEach((one, index) => this.#settled(one, result.settled[index]!));
		if (claim.length === 0) return;
		// The pace is that of the tasks: how long the store has taken does not matter.
		this.#pace = { ended: 0, since: clock.monotonic(), took: 0 };
		this.#take(result.claims, now + lease);
		if (result.dueIn <= 0) this.#isDue = true;
		else if (this.#state === "running") clock.set(this.#timer, Math.min(result.dueIn, longestSleep));
	}

	/** What to ask the store for. */
	#request(): ClaimRequest[] {
		const free = Math.min(this.#settings.concurrency - this.#running.size, 1_000);
		const isFull = free <= 0 || this.#ahead.length > 0 || this.#suspect !== undefined;
		if (isFull || this.#state !== "running" || this.#kinds.length === 0 || !this.#isOpen()) return [];
		if (this.#isCautious) return [{ kinds: this.#kinds, limit: 1 }];
		const ahead = this.#howManyAhead();
		if (ahead === 0 || this.#patientKinds.length === 0) return [{ kinds: this.#kinds, limit: free }];
		if (this.#patientKinds.length === this.#kinds.length) return [{ kinds: this.#kinds, limit: free + ahead }];
		return [{ kinds: this.#kinds, limit: free }, { kinds: this.#patientKinds, limit: ahead }];
	}

	/** As many as can be run in a moment: what takes longer is better left to others. Two that end together prove nothing. */
	#howManyAhead(): number {
		const { ended, since, took } = this.#pace;
		const { clock, concurrency } = this.#settings;
		const each = Math.max((clock.monotonic() - since) / ended, took / ended / concurrency, 0.001);
		return ended === 0 ? 0 : Math.min(mostAhead, Math.floor(timeAhead / each));
	}

	#take(claims: readonly Claim[], leaseEndsAt: number): void {
		const tasks: ClaimedTask<Tx>[] = [];
		for (const claim of claims) {
			const task = this.claims.add(claim, leaseEndsAt);
			if (task !== undefined) tasks.push(task);
		}
		this.#suspect = tasks.find(({ isSuspect }) => isSuspect);
		this.#isCautious = this.#suspect !== undefined;
		// When a suspect takes the process with it, nobody else is to be blamed.
		if (this.#suspect !== undefined) this.#release(tasks.filter((task) => task !== this.#suspect));
		else this.#ahead = tasks.reverse();
		if (this.#state !== "running" || !this.#isOpen()) this.#releaseClaimed();
	}

	/** Gives back what was not begun. */
	#releaseClaimed(): void {
		this.#release(this.#ahead.splice(0));
		if (this.#suspect === undefined || this.#suspect.hasBegun) return;
		this.#release([this.#suspect]);
		this.#suspect = undefined;
	}

	#release(tasks: Iterable<ClaimedTask<Tx>>): void {
		const ending: Ending = { outcome: { type: "release" }, error: undefined, delay: 0 };
		for (const task of tasks) this.#ended.push({ task, ending });
	}

	#settled({ task, ending }: Ended<Tx>, isStored: boolean): void {
		this.#forget(task);
		task.isOver = true;
		if (isStored) this.#tell(task, ending);
		else report(this.#settings.onError, new ClaimLostError(task.id));
	}

	#tell(task: ClaimedTask<Tx>, { outcome: { type }, error, delay }: Ending): void {
		if (!task.hasBegun) return;
		const outcome = type === "release" ? "released" : type as Settled["outcome"];
		if (outcome === "done") this.totals.succeeded++;
		else if (outcome === "retry") this.totals.failed++;
		else if (outcome === "dead") this.totals.dead++;
		const { onSettled, onError } = this.#settings;
		observe(onError, onSettled, { id: task.id, kind: task.kind, outcome, attempt: task.attempt, error, delay });
	}

	#leaveIfQuiet(): void {
		const isBusy = this.#running.size > 0 || this.#suspect !== undefined;
		if (isBusy || (this.#isDue && this.#kinds.length > 0)) return;
		for (const user of this.#users) if (user.isDraining) this.#leave(user, user.onLeft, undefined);
	}

	#stop(reason: unknown): Promise<void> {
		return this.#stopping ??= this.#finish(reason).finally(() => {
			this.#stopping = undefined;
			this.#state = "stopped";
			this.#onChange();
			if (this.#users.size > 0) this.#start();
		});
	}

	/** Lets the running tasks end, for a while, and gives back the others. */
	async #finish(reason: unknown): Promise<void> {
		const { clock, grace } = this.#settings;
		this.#state = "stopping";
		this.#onChange();
		for (const undo of this.#undo.splice(0)) observe(this.#settings.onError, undo);
		this.#releaseClaimed();
		this.#patience.abort(reason);
		let isOver = false;
		const timer = new CallbackTimer(() => {
			isOver = true;
			this.#onProgress?.();
		});
		if (this.#running.size > 0) clock.set(timer, grace);
		for (const task of this.#running) task.abort(reason);
		while (this.#running.size > 0 && !isOver) {
			await this.#flush();
			if (this.#running.size > 0 && !isOver) await new Promise<void>((resolve) => this.#onProgress = resolve);
		}
		this.#abandon();
		await this.#flush();
		await this.claims.abandon();
		for (const each of [timer, this.#timer, this.#nextTurn]) clock.clear(each);
		this.#isScheduled = false;
	}

	/** Those that have not ended are left to whoever claims them next. */
	#abandon(): void {
		for (const task of this.#running) task.isOver = true;
		this.#release(this.#running);
		this.#running.clear();
		this.#suspect = undefined;
	}

	async #flush(): Promise<void> {
		while (this.#isTurning) await new Promise<void>((resolve) => this.#onProgress = resolve);
		try {
			if (this.#ended.length > 0) await this.#exchange();
		} catch (error) {
			report(this.#settings.onError, error);
		}
	}
}

function isTransient(error: unknown): boolean {
	return (error as { isTransient?: boolean } | undefined)?.isTransient !== false;
}

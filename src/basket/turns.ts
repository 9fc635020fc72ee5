/**
 * The exchange between a worker and its store: tasks are claimed, run and settled.
 *
 * One call settles ended tasks and claims the next ones. At most one such call is awaited at a time, so the calls are
 * large; under load a second one, if the store can use it. A slot is free for the next task as soon as the previous function
 * has returned. Notifications, and the end of a `drain`, wait until the settlement is stored.
 *
 * A task is in one of these states: ahead (claimed, begins when a slot is free), parked (claimed, must not begin
 * yet), running, ended (its settlement must be stored). A released task goes from any state to ended.
 *
 * @module
 */

import type { Calls } from "./calls.ts";
import type { ClaimedTask } from "./claimed-task.ts";
import type { Ending } from "./ending.ts";
import type { BasketSettings } from "./options.ts";
import type { Claim, ClaimRequest, TurnResult } from "./store.ts";
import type { TurnsOwner } from "./turns-owner.ts";
import { isStrange } from "./calls.ts";
import { deadEnding } from "./ending.ts";
import { withHistory } from "./history.ts";
import { Claims } from "./claims.ts";
import { type Ended, Outcomes, settlementOf } from "./outcomes.ts";
import { Pace } from "./pace.ts";
import { mustWait, Parking } from "./parking.ts";
import { Requests } from "./requests.ts";
import { report } from "../platform/observe.ts";
import { codeOf } from "../platform/store-error.ts";
import { chain, isMade, nextLength } from "./lane-runs.ts";

export class Turns<Tx> {
	readonly claims: Claims<Tx>;
	readonly outcomes: Outcomes<Tx>;
	readonly #settings: BasketSettings<Tx>;
	readonly #owner: TurnsOwner;
	readonly #calls: Calls;
	readonly #requests: Requests;
	readonly #running = new Set<ClaimedTask<Tx>>();
	/** The next task is the last element. */
	#ahead: ClaimedTask<Tx>[] = [];
	readonly #parking: Parking<Tx>;
	#ended: Ended<Tx>[] = [];
	readonly #pace: Pace;
	/** The task that runs alone, if any. */
	#alone: ClaimedTask<Tx> | undefined;
	/** Whether a task was claimed that must run alone, and more may follow; or the claims of the last turn are unknown. */
	#isCautious = false;
	/** Whether there may be a task to claim. */
	isDue = false;
	/** The maximum number of tasks of a lane that are claimed together; more than 1 once there were such lanes. */
	#longestRun = 1;
	/** Whether a turn begins in a new macrotask, and the number of turns under way. */
	#isScheduled = false;
	#turning = 0;
	#onTurned: (() => void) | undefined;
	/** Whether the store has refused the last settlements with an error that is no `StoreError`: each is then sent alone. */
	#isSingle = false;

	constructor(settings: BasketSettings<Tx>, calls: Calls, owner: TurnsOwner) {
		this.#settings = settings;
		this.#calls = calls;
		this.#owner = owner;
		this.outcomes = new Outcomes(settings);
		this.claims = new Claims(settings, calls, {
			tick: () => owner.tick(),
			onExpired: (task) => this.#expired(task),
			onRecovered: () => owner.poke(),
		});
		this.#pace = new Pace(settings);
		this.#parking = new Parking(settings.clock, (tasks) => this.#release(tasks), () => owner.poke());
		this.#requests = new Requests(settings);
	}

	/** The number of running tasks. */
	get running(): number {
		return this.#running.size;
	}

	/** Whether a call to the store is running. */
	get isTurning(): boolean {
		return this.#turning > 0;
	}

	/** The number of taken slots: the tasks of a call share one. */
	get #slots(): number {
		return this.#running.size - (this.#settings.batches?.joined ?? 0);
	}

	/** There may be a task to claim. */
	wake(): void {
		this.isDue = true;
		this.#settings.batches?.wake();
	}

	/** Starts the tasks that can start, and schedules a turn if needed. */
	pump(): void {
		if (!this.#owner.isWorking) return this.#owner.onProgress();
		this.#startTasks();
		if (this.#isScheduled || (this.isTurning && !this.#mayOverlap)) return;
		const isAsking = (this.isDue || this.isTurning) && this.#request(this.isTurning).length > 0;
		this.#settings.batches?.settle(isAsking);
		if (this.#ended.length === 0 && !isAsking) return this.#restIfQuiet();
		this.#isScheduled = true;
		// Tasks that end at the same time are settled together.
		this.#owner.turnSoon();
	}

	async turn(): Promise<void> {
		const mayBegin = this.#isScheduled && this.#owner.isWorking;
		this.#isScheduled = false;
		if (!mayBegin) return;
		this.#turning++;
		try {
			await this.#calls.trying(() => this.#exchange());
		} catch (error) {
			this.#owner.onFailure(error);
		}
		this.#turning--;
		this.#onTurned?.();
		this.pump();
		this.#owner.onChange();
	}

	/** Releases tasks that have not begun. Calls that gather begin, unless the worker stops. */
	releaseClaimed(): void {
		if (this.#owner.isWorking) this.#settings.batches?.flush();
		for (const task of this.#running) this.#goOn(task, false);
		this.#release([...this.#ahead.splice(0), ...this.#parking.clear()]);
	}

	/** Aborts the running tasks. */
	abort(reason: unknown): void {
		for (const task of this.#running) task.abort(reason);
	}

	/** Leaves the tasks that have not ended to the next claim. */
	abandon(): void {
		for (const task of this.#running) {
			// If a transaction completes the task, its commit decides.
			if (!task.isCompleting) this.#release([task]);
			task.close();
			this.#settings.batches?.leave(task);
		}
		this.#running.clear();
	}

	/** Stores the ends of tasks, if the store answers. Never rejects. */
	async flush(): Promise<void> {
		while (this.isTurning) await new Promise<void>((resolve) => this.#onTurned = resolve);
		while (this.#ended.length > 0 && !this.#calls.isClosed) {
			try {
				await this.#exchange();
			} catch (error) {
				report(this.#settings.onError, error);
				if (!this.#isSingle) return;
			}
		}
	}

	/** Forgets everything: unsettled tasks run again when their leases have expired. */
	rest(): void {
		this.claims.abandon();
		this.#parking.rest();
		this.#ended = [];
		this.#alone = undefined;
		this.#isScheduled = this.#isCautious = false;
	}

	#startTasks(): void {
		const { batches, concurrency } = this.#settings;
		while (this.#alone === undefined) {
			const isFull = this.#slots >= concurrency;
			const task = isFull ? batches?.next(this.#ahead) : this.#next();
			if (task !== undefined) this.#startTask(task);
			else return isFull && batches !== undefined ? this.#release(batches.strays(this.#ahead)) : undefined;
		}
	}

	#next(): ClaimedTask<Tx> | undefined {
		if (this.#parking.size === 0) return this.#ahead.pop();
		const over = this.#runningInVain();
		const task = this.#parking.take(({ id, isSuspect }) => !isSuspect && !over.has(id));
		return task ?? this.#ahead.pop() ?? this.#nextSuspect();
	}

	/** Before it begins, all other tasks are settled or released, so that none of them is blamed if it kills the process. */
	#nextSuspect(): ClaimedTask<Tx> | undefined {
		if (this.#running.size > 0 || this.isTurning || this.#ended.length > 0) return undefined;
		const suspect = this.#parking.take(({ isSuspect }) => isSuspect);
		if (this.#parking.size === 0) return suspect;
		this.#release(this.#parking.clear());
		if (suspect !== undefined) this.#parking.add(suspect);
	}

	#startTask(task: ClaimedTask<Tx>): void {
		const begunAt = this.#settings.clock.monotonic();
		if (!task.isOver && task.leaseEndsAt <= begunAt) this.#expired(task);
		if (task.isOver) return this.#release([task]);
		this.#running.add(task);
		if (task.isSuspect) this.#alone = task;
		this.#settings.batches?.join(task);
		task.run(begunAt).then((ending) => this.#end(task, ending, begunAt));
	}

	#end(task: ClaimedTask<Tx>, ending: Ending, begunAt: number): void {
		if (!this.#running.delete(task)) return; // abandoned
		if (task === this.#alone) this.#alone = undefined;
		if (task.sharedRun === undefined) this.#pace.count(begunAt);
		else this.#settings.batches!.leave(task);
		if (task.isOver) this.claims.delete(task);
		else {
			const whole = withHistory(task, ending, this.#settings, begunAt);
			if (!task.isCompleted) this.#ended.push({ task, ending: whole });
			else { // its own transaction has settled it
				this.#close(task);
				this.outcomes.tell(task, whole);
				this.wake(); // the next task of its lane
			}
		}
		this.#goOn(task, !task.isOver && isMade(task) && ending.outcome.type === "done");
		this.pump();
		if (task.isOver) this.#owner.onChange();
		this.#owner.onProgress();
	}

	/** Its lease may have expired. It is released, so that the next claim does not count a crash. */
	#expired(task: ClaimedTask<Tx>): void {
		task.expire();
		if (!task.isOver) return;
		this.#parking.delete(task);
		this.#ended.push({ task, ending: task.released });
		this.#owner.poke();
	}

	/** A claim that is over is lost, so there is nothing to release, or was already released with its lease. */
	#release(tasks: Iterable<ClaimedTask<Tx>>): void {
		for (const task of tasks) {
			if (!task.isOver) this.#ended.push({ task, ending: task.released });
			else if (!task.isExpired) this.claims.delete(task);
			this.#goOn(task, false);
		}
	}

	/** The task behind this one in its run begins if this one surely leaves the lane; otherwise it is released. */
	#goOn(task: ClaimedTask<Tx>, isLeaving: boolean): void {
		const { next } = task;
		if (next === undefined) return;
		task.next = undefined;
		if (!isLeaving) this.#release([next]);
		else if (mustWait(next, this.#runningInVain())) this.#parking.add(next);
		else this.#ahead.push(next);
	}

	/** The ids of running tasks that have lost their claims, or whose transactions have ended them: they may be claimed. */
	#runningInVain(): Set<string> {
		const ids = new Set<string>();
		for (const { id, isOver, isCompleted } of this.#running) if (isOver || isCompleted) ids.add(id);
		return ids;
	}

	/** Makes one call to the store: settles ended tasks and claims new ones. */
	async #exchange(): Promise<void> {
		const { store, name, lease, clock, batches, limit: overall, worker } = this.#settings;
		const isSingle = this.#isSingle && this.#ended.length > 0;
		if (this.#ended.length > 0) batches?.wake(); // the next tasks of their lanes
		const claim = isSingle ? [] : this.#request(this.#turning > 1);
		const ended = this.#ended.splice(0, isSingle ? 1 : Infinity);
		const settle = ended.map(settlementOf);
		const begunAt = clock.monotonic();
		// Later hints are not covered by this call.
		this.isDue = !this.#requests.isForAll(claim);
		let result: TurnResult;
		try {
			const runs = batches?.runs ?? this.#requests.runs(Math.min(this.#longestRun, this.#pace.ahead));
			const terms = claim.length > 0 ? { limits: this.#requests.limits, runs } : {};
			const ask = () => store.turn(name, { settle, claim, lease, overall, worker, ...terms });
			result = await this.#calls.track(ask, this.#calls.turnLimit, (late) => this.#heedLate(ended, late));
		} catch (error) {
			this.isDue = true;
			this.#isCautious ||= claim.length > 0;
			batches?.settle(false);
			return this.#failed(ended, error, begunAt);
		}
		if (this.#turning < 2) this.#isSingle = isSingle; // the other one may have failed meanwhile
		this.#calls.measure(begunAt);
		for (const { task } of ended) this.#close(task);
		this.outcomes.settled(ended, result.settled);
		if (claim.length === 0) return;
		this.#pace.restart();
		batches?.answered(result.claims);
		this.#take(result.claims, begunAt + lease);
		this.#longestRun = nextLength(this.#longestRun, result);
		if (result.dueIn <= 0) this.isDue = true;
		// Counted from the request, not from the answer: the next request is under way as long as this one was.
		else this.#owner.sleep(result.dueIn - (clock.monotonic() - begunAt));
	}

	/** Whether a turn may begin beside another one: under load, if the store can use it, and unless it could change an order. */
	get #mayOverlap(): boolean {
		const { store: { capabilities: { turns = 1 } }, concurrency, batches } = this.#settings;
		if (concurrency === 1 || batches !== undefined || this.#longestRun > 1 || this.#isCautious) return false;
		return this.#pace.isHigh && this.#turning < turns;
	}

	/** The claims to request: beside another turn, which fills the slots, only tasks to claim in advance. */
	#request(isSecond: boolean): ClaimRequest[] {
		const isFull = this.#ahead.length > 0 || this.#alone !== undefined || !this.#parking.mayClaim;
		const isNextAlone = this.#running.size === 0 && this.#parking.size > 0;
		// A worker that cannot renew its claims must not take more.
		if (isFull || isNextAlone || this.claims.isFailing || !this.#owner.isOpen) return [];
		const { batches, concurrency } = this.#settings;
		const free = concurrency - this.#slots;
		const tasks = Math.min(free * (batches?.width ?? 1), 1_000);
		const ahead = Math.floor(2 * this.#pace.ahead / (this.#longestRun + 1));
		const counts = this.#isCautious ? [1] : isSecond ? [0, 0, ahead] : [1, tasks - 1, ahead];
		const requests = free > 0 ? this.#requests.of(counts) : [];
		return this.#isCautious || batches === undefined ? requests : [...requests, ...batches.requests()];
	}

	#take(claims: readonly Claim[], leaseEndsAt: number): void {
		const { batches } = this.#settings;
		const tasks = claims.map((claim) => this.claims.add(claim, leaseEndsAt)).filter((task) => task !== undefined);
		const heads = batches ? tasks : chain(tasks);
		const over = this.#runningInVain();
		const able = new Set(heads.filter((task) => !mustWait(task, over)).map(({ id }) => id));
		const behind = batches?.behind(claims, able);
		const ready: ClaimedTask<Tx>[] = [];
		for (const task of heads) {
			if (behind?.has(task.id)) this.#release([task]);
			else if (able.has(task.id)) ready.push(task);
			else this.#parking.add(task);
		}
		this.#isCautious = tasks.some(({ isSuspect }) => isSuspect);
		this.#ahead = [...ready.reverse(), ...this.#ahead];
		if (!this.#owner.isOpen) this.releaseClaimed();
	}

	/** Handles a failed turn. Throws the error if the next turn must wait. */
	#failed(ended: readonly Ended<Tx>[], error: unknown, begunAt: number): void {
		if (!this.#calls.isClosed) this.#ended = [...ended, ...this.#ended];
		const code = codeOf(error);
		const isCertain = code === "full" || code === "busy";
		if (!isCertain) { for (const one of ended) one.doubt = error ?? "unknown"; }
		if (this.#settings.clock.monotonic() - begunAt >= this.#calls.turnLimit) this.#calls.measure(begunAt);
		const isKnown = this.#isSingle;
		this.#isSingle = isStrange(error);
		// Settles each task separately, so that one settlement that the store refuses does not affect the others.
		if (!isKnown || !this.#isSingle || ended.length === 0) throw error;
		report(this.#settings.onError, error);
		this.#bury(ended[0]!, error);
	}

	/** Makes a task dead whose settlement cannot be stored. If that fails, too, its lease expires. */
	#bury(one: Ended<Tx>, reason: unknown): void {
		const { task } = one;
		if (one.isBuried) {
			this.#ended = this.#ended.filter((other) => other !== one);
			return this.#close(task);
		}
		one.isBuried = true;
		const error = new Error(`How it has ended cannot be stored: ${reason}`, { cause: reason });
		const attempts = Math.max(task.attempt, task.claim.attempts);
		one.ending = deadEnding(attempts, error);
	}

	/** A turn that was given up has taken effect nevertheless. */
	#heedLate(ended: readonly Ended<Tx>[], { settled, claims }: TurnResult): void {
		this.outcomes.late(ended, settled);
		if (!this.#calls.isClosed) this.#return(claims);
	}

	/** Releases late claims: other tasks may have been claimed instead, and much of their lease has passed. */
	#return(claims: readonly Claim[]): void {
		this.#release(claims.map((claim) => this.claims.stray(claim)));
		if (this.#owner.isWorking) this.#owner.poke();
		// While the worker stops, there may be no other turn.
		else if (claims.length > 0) this.#exchange().catch((error) => report(this.#settings.onError, error));
	}

	/** Nothing is left to be done about it. */
	#close(task: ClaimedTask<Tx>): void {
		this.claims.delete(task);
		task.close();
	}

	#restIfQuiet(): void {
		const isBusy = this.#running.size + this.#parking.size + this.#turning > 0 || this.#ended.length > 0;
		if (isBusy || this.#parking.isOffering || (this.isDue && this.#settings.kinds.size > 0)) return;
		this.#owner.onQuiet();
	}
}

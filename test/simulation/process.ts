// One simulated process: whatever works on a store, with its own view of that and of the time, which may die at any moment.
import type { Clock, Ref, Store, StoreError, Timer, Turn } from "../../mod.ts";
import type { Fault, StoreCall } from "../../src/testing.ts";
import type { Owner } from "./ledger.ts";
import type { World } from "./world.ts";
import { faultyStore } from "../../src/testing.ts";

/** The time of one process, or of a part of it: ends with it. */
export class ProcessClock implements Clock {
	readonly #clock: Clock;
	readonly #timers = new Set<Timer>();
	#isStopped = false;

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	now(): number {
		return this.#clock.now();
	}

	monotonic(): number {
		return this.#clock.monotonic();
	}

	set(timer: Timer, delay: number): void {
		if (this.#isStopped) return;
		this.#timers.add(timer);
		this.#clock.set(timer, delay);
	}

	clear(timer: Timer): void {
		this.#timers.delete(timer);
		this.#clock.clear(timer);
	}

	/** How many timers are set. */
	get pending(): number {
		let count = 0;
		for (const timer of this.#timers) {
			if (timer.position >= 0) count++;
			else this.#timers.delete(timer);
		}
		return count;
	}

	stop(): void {
		this.#isStopped = true;
		for (const timer of this.#timers) this.#clock.clear(timer);
		this.#timers.clear();
	}
}

/** What only the engine calls, and only while it works. */
const engineMembers: readonly string[] = ["turn", "extend", "save", "hasten"];

/** What is simulated. */
export interface SimulatedWorker {
	run(options: { signal: AbortSignal }): Promise<void>;
	drain(options: { signal: AbortSignal }): Promise<void>;
	stop(): Promise<void>;
}

export abstract class Process implements Owner {
	readonly name: string;
	abstract readonly worker: SimulatedWorker;
	/** The store as this process sees it. */
	protected readonly store: Store<never>;
	readonly concurrency: number;
	readonly lease: number;
	readonly grace: number;
	isAlive = true;
	isPaused = false;
	/** Counts the runs of the worker: tasks that were left behind by one are no concern of the next. */
	session = 0;
	/** Until when its tasks may go on after it was told to stop last, on the monotonic clock. */
	graceEndsAt = Infinity;
	/** When something has gone wrong last, on the monotonic clock. */
	disturbedAt = -Infinity;
	/** The number of the last turn that asked for tasks, and when that was by the wall clock. */
	lastTurn = { operation: 0, at: -Infinity };
	/** Calls of the engine on their way to the store. */
	#approaching = 0;
	/** Calls on their way, there or back. */
	calls = 0;
	readonly #world: World;
	/** The time of the engine, of the functions, and of the way to the store. */
	readonly engineClock: ProcessClock;
	readonly taskClock: ProcessClock;
	readonly #wayClock: ProcessClock;
	readonly #users = new Map<Promise<void>, AbortController>();
	/** Those who were told to stop, if these were all. */
	readonly #leaving = new Set<Promise<void>>();

	constructor(world: World, name: string) {
		this.#world = world;
		this.name = name;
		const { random, clock, ledger } = world;
		this.concurrency = random.pick([1, 2, 3, 5]);
		this.lease = random.pick([3_000, 6_000, 30_000]);
		this.grace = random.pick([0, 500, 5_000]);
		this.engineClock = new ProcessClock(clock);
		this.taskClock = new ProcessClock(clock);
		this.#wayClock = new ProcessClock(clock);
		this.store = faultyStore(ledger.storeFor(this), (call) => this.#plan(call), { clock: this.#wayClock });
	}

	get isWorking(): boolean {
		return this.#users.size > 0;
	}

	get isDisturbed(): boolean {
		return this.disturbedAt >= this.#world.clock.monotonic();
	}

	/** Whether it was told to stop and has not stopped yet. */
	get isStopping(): boolean {
		return this.#leaving.size > 0;
	}

	/** Begins to work, until {@link stop}, or until nothing is due. */
	work(isDraining: boolean): void {
		const controller = new AbortController();
		const { signal } = controller;
		if (!this.isWorking) this.#begin();
		const user = isDraining ? this.worker.drain({ signal }) : this.worker.run({ signal });
		this.#users.set(user, controller);
		this.#world.trace(`${this.name} ${isDraining ? "drains" : "runs"}`);
		user.then(() => this.#ended(user, isDraining), (error) => {
			if (!signal.aborted && !this.#leaving.has(user)) this.#world.fail(`${this.name} ended with ${error}`);
			this.#ended(user, false);
		});
	}

	#begin(): void {
		this.session++;
		this.graceEndsAt = Infinity;
		this.lastTurn = { operation: 0, at: -Infinity };
	}

	/** Tells one of those that work, or all of them, to stop. */
	stop(isForAll: boolean): void {
		const users = [...this.#users];
		if (users.length === 0 || this.isStopping) return;
		this.#world.trace(`${this.name} stops ${isForAll}`);
		if (isForAll || users.length === 1) { for (const [user] of users) this.#leaving.add(user); }
		if (this.isStopping) this.graceEndsAt = this.#world.clock.monotonic() + this.grace;
		if (isForAll) void this.worker.stop();
		else users[0]![1].abort(new Error("stop"));
		if (this.isStopping) this.#world.checkAborted(this);
	}

	#ended(user: Promise<void>, hasDrained: boolean): void {
		if (!this.isAlive) return;
		this.#users.delete(user);
		this.#world.trace(`${this.name} ${hasDrained ? "drained" : "ended"}`);
		if (hasDrained && !this.isStopping) this.#world.checkDrained(this);
		const isLast = this.#leaving.delete(user) ? !this.isStopping : !this.isWorking;
		if (!isLast) return;
		if (this.isWorking) return this.#begin();
		this.#world.checkStopped(this);
		if (this.#approaching > 0) {
			this.#world.fail(`${this.name} has stopped, and a call of it is on its way to the store`);
		}
	}

	/** As SIGKILL does it: nothing more happens here. */
	kill(): void {
		this.#world.trace(`${this.name} dies`);
		this.isAlive = false;
		for (const clock of [this.engineClock, this.taskClock, this.#wayClock]) clock.stop();
		this.#world.forget(this);
	}

	#plan(call: StoreCall): Fault | undefined {
		const { member, phase } = call;
		if (!this.isAlive) return { hang: true };
		if (member === "watch") return this.#world.faults.wake();
		const isEngines = engineMembers.includes(member);
		if (phase === "before") {
			if (isEngines && !this.isWorking) this.#world.fail(`${this.name} has stopped, and calls ${member}`);
			this.calls++;
			if (isEngines) this.#approaching++;
			if (isEngines && this.#world.faults.isFatal()) return this.#die(call);
			const fault = this.#disturb(this.#world.faults.before(), call);
			if (isEngines) this.#arrive(fault);
			if (fault?.error !== undefined) this.#return(fault);
			return fault;
		}
		if (member === "turn" && call.result !== undefined) this.#noteTurn(call.args[1] as Turn);
		if (isEngines && this.#world.faults.isFatal()) return this.#die(call);
		const fault = this.#disturb(this.#world.faults.after(), call);
		if (member === "extend" && fault === undefined && call.result !== undefined) this.#noteLost(call);
		if (fault === undefined && call.result !== undefined) this.onAnswered(call);
		this.#return(fault);
		return fault;
	}

	#die({ member, phase }: StoreCall): Fault {
		this.#world.trace(`${this.name} is about to die ${phase} ${member}`);
		this.kill();
		return { hang: true };
	}

	/** The store has answered, and nothing went wrong. */
	protected onAnswered(_call: StoreCall): void {}

	#noteLost({ args, result }: StoreCall): void {
		(args[1] as readonly Ref[]).forEach(({ token }, index) => {
			if ((result as readonly string[])[index] === "lost") this.#world.onLost(this.#world.ledger.records.get(token)!);
		});
	}

	#noteTurn({ claim }: Turn): void {
		if (claim.length > 0) this.lastTurn = { operation: this.#world.ledger.operations, at: this.#world.clock.now() };
	}

	/** It reaches the store now, later, or, if it fails, never. */
	#arrive(fault: Fault | undefined): void {
		this.#later(fault?.error === undefined ? fault?.delay : 0, () => this.#approaching--);
	}

	#return(fault: Fault | undefined): void {
		this.#later(fault?.delay, () => this.calls--);
	}

	#later(delay: number | undefined, action: () => void): void {
		if (!delay) action();
		else this.#world.after(delay, action, this.#wayClock);
	}

	#disturb(fault: Fault | undefined, { member, phase }: StoreCall): Fault | undefined {
		if (fault === undefined) return undefined;
		const { clock, ledger } = this.#world;
		const kind = fault.hang ? "hangs" : fault.error === undefined ? "" : (fault.error as StoreError).code;
		this.#world.trace(`${this.name} fault ${phase} ${member} ${kind} delay ${fault.delay}`);
		this.disturbedAt = Math.max(this.disturbedAt, clock.monotonic() + (fault.delay ?? 0));
		ledger.excuse(({ owner }) => owner === this);
		return fault;
	}
}

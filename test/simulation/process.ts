// A simulated process: a worker with its own view of the store and of the time, which may die at any time.
import type { Store, StoreError, WakeReason } from "../../mod.ts";
import type { KindLimit, Ref, Turn, TurnResult } from "../../src/store.ts";
import type { Fault, StoreCall } from "../../src/testing/testing.ts";
import type { ClaimRecord, Owner } from "./ledger.ts";
import type { World } from "./world.ts";
import { faultyStore } from "../../src/testing/testing.ts";
import { type Deferred, deferred } from "../support.ts";
import { lastMoment } from "./excuses.ts";
import { laws } from "./laws.ts";
import { type Cut, isOfEngine, Line } from "./line.ts";
import { ProcessClock } from "./process-clock.ts";

/** The kinds of disturbed calls. */
type Disturbed = "any" | "renewal" | "turn" | "lateTurn";

/** The simulated worker. */
export interface SimulatedWorker {
	run(options: { signal: AbortSignal }): Promise<void>;
	drain(options: { signal: AbortSignal }): Promise<void>;
	stop(options?: { readonly finish?: number; readonly signal?: AbortSignal }): Promise<void>;
}

export abstract class Process implements Owner {
	readonly name: string;
	abstract readonly worker: SimulatedWorker;
	/** The store as this process sees it. */
	protected readonly store: Store<never>;
	/** The limits with which it claims. */
	readonly limits: readonly KindLimit[] = [];
	readonly concurrency: number;
	readonly lease: number;
	readonly grace: number;
	/** The line to the store. */
	readonly line: Line;
	isAlive = true;
	isPaused = false;
	/** The number of the run of the worker. A run does not handle the abandoned tasks of the previous one. */
	session = 0;
	/** The monotonic time of the last stop request, and the time until which its tasks may then continue. */
	stoppedAt = -Infinity;
	graceEndsAt = Infinity;
	/** The time of the last attempt to renew its leases. */
	renewalSentAt = -Infinity;
	/** The end of the last disturbance of any call, of renewals, of turns, and of turns on their way to the store. */
	readonly #disturbances: Record<Disturbed, number> = {
		any: -Infinity,
		renewal: -Infinity,
		turn: -Infinity,
		lateTurn: -Infinity,
	};
	/** The time when it released tasks that have crashed often. Other processes may claim these tasks first. */
	offeredAt = -Infinity;
	/** The end of the last freeze. */
	frozenAt = -Infinity;
	/** The newest claim of each task that was reported to this process. */
	readonly told: Map<string, ClaimRecord> = new Map();
	/** The operation number of the last turn that requested tasks, and its wall-clock time. */
	lastTurn = { operation: 0, at: -Infinity };
	/** The start times of the engine calls that are on their way to the store. */
	readonly #approaching = new Set<{ readonly since: number; readonly session: number }>();
	/** The number of calls on their way to the store or back. */
	calls = 0;
	/** The pending calls of the engine, the number of all calls, and this number at the last answer. */
	readonly #unanswered = new Set<{ readonly sentAt: number; readonly number: number }>();
	#sent = 0;
	#answered = 0;
	readonly #world: World;
	/** The clocks of the engine and of the functions. */
	readonly engineClock: ProcessClock;
	readonly taskClock: ProcessClock;
	readonly #users = new Map<Promise<void>, AbortController>();
	/** The runs that a stop of the whole worker must end. */
	readonly #leaving = new Set<Promise<void>>();
	/** The runs that a stop has ended while the work went on. */
	readonly #replaced = new Set<Promise<void>>();
	/** Set while running tasks may end before a stop. Its abort ends this time. */
	#patience: AbortController | undefined;
	/** Resolves at the end of the current freeze. */
	#thawed: Deferred | undefined;

	constructor(world: World, name: string) {
		this.#world = world;
		this.name = name;
		const { random, clock, ledger } = world;
		this.concurrency = random.pick([1, 2, 3, 5]);
		this.lease = random.pick([3_000, 6_000, 30_000]);
		this.grace = random.pick([0, 500, 5_000]);
		this.engineClock = new ProcessClock(clock);
		this.taskClock = new ProcessClock(clock);
		this.line = new Line(world, this.lease);
		// A sent call arrives even if the process dies.
		const faulty = faultyStore(ledger.storeFor(this), (call) => this.#plan(call), { clock });
		this.store = this.#attend(faulty);
	}

	get isWorking(): boolean {
		return this.#users.size > 0;
	}

	get isFrozen(): boolean {
		return this.#thawed !== undefined;
	}

	/** Whether a requested stop has not ended yet. */
	get isStopping(): boolean {
		return this.#leaving.size > 0;
	}

	/** The number of tasks that the worker runs. */
	protected get running(): number {
		return 0;
	}

	/** Whether running tasks may end before a requested stop, and no task may begin. */
	get isFinishing(): boolean {
		return this.#patience !== undefined;
	}

	/** The monotonic time until which any call, a renewal or a turn is or was last disturbed. */
	get disturbedAt(): number {
		return this.#disturbed("any");
	}

	get renewalDisturbedAt(): number {
		return this.#disturbed("renewal");
	}

	get turnDisturbedAt(): number {
		return this.#disturbed("turn");
	}

	/** The time until which a turn is on its way to the store. */
	get lateTurnUntil(): number {
		return this.#disturbed("lateTurn");
	}

	/** Returns the end of the disturbance. A transaction that blocks the store delays all calls. */
	#disturbed(what: Disturbed): number {
		return Math.max(this.#disturbances[what], this.#world.ledger.lockedAt);
	}

	#disturbUntil(until: number, ...all: readonly (Disturbed)[]): void {
		for (const what of all) this.#disturbances[what] = Math.max(this.#disturbances[what], until);
	}

	/** Whether a call of the engine has been pending for long without an answer to any call. */
	get isInVain(): boolean {
		const now = this.#world.clock.monotonic();
		return [...this.#unanswered].some(({ sentAt, number }) =>
			sentAt <= now - lastMoment && sentAt > now - this.lease && this.#answered < number
		);
	}

	/** Starts the worker, which runs until {@link stop} or until no task is due. */
	work(isDraining: boolean): void {
		const controller = new AbortController();
		const { signal } = controller;
		// Somebody who wants work while tasks may end makes the worker go on. If none runs, the stop has begun.
		if (this.isFinishing && this.running > 0) this.#goOn();
		if (!this.isWorking) this.#begin();
		const user = isDraining ? this.worker.drain({ signal }) : this.worker.run({ signal });
		this.#users.set(user, controller);
		this.#world.trace(`${this.name} ${isDraining ? "drains" : "runs"}`);
		user.then(() => {
			const isAsked = isDraining || signal.aborted || this.#leaving.has(user) || this.#replaced.has(user);
			if (this.isAlive && !isAsked) this.#world.fail(`${this.name} has ended, and nobody has stopped it`);
			this.#ended(user, isDraining);
		}, (error) => {
			if (!signal.aborted && !this.#leaving.has(user) && !this.#replaced.has(user)) {
				this.#world.fail(`${this.name} ended with ${error}`);
			}
			this.#ended(user, false);
		});
	}

	#begin(): void {
		this.session++;
		this.stoppedAt = -Infinity;
		this.graceEndsAt = Infinity;
		this.lastTurn = { operation: 0, at: -Infinity };
	}

	/** Stops one or all of the runs. */
	stop(isForAll: boolean): void {
		if (this.isFinishing) isForAll = true; // all runs are about to end
		const users = [...this.#users];
		if (users.length === 0 || (this.isStopping && !this.isFinishing)) return;
		this.#patience = undefined;
		this.#world.trace(`${this.name} stops ${isForAll}`);
		if (isForAll || users.length === 1) { for (const [user] of users) this.#leaving.add(user); }
		if (this.isStopping) this.#beginGrace();
		if (isForAll) void this.worker.stop();
		else users[0]![1].abort(new Error("stop"));
		if (this.isStopping) this.#world.checkAborted(this);
	}

	/** Stops when no task runs, at the latest after this time. */
	finish(duration: number): void {
		if (!this.isWorking || this.isStopping) return;
		const { trace, after, clock } = this.#world;
		trace(`${this.name} finishes within ${duration}`);
		for (const user of this.#users.keys()) this.#leaving.add(user);
		this.stoppedAt = clock.monotonic();
		const patience = this.#patience = new AbortController();
		void this.worker.stop({ finish: Infinity, signal: patience.signal });
		after(duration, () => {
			if (this.#patience !== patience) return;
			this.#patience = undefined;
			this.#beginGrace();
			patience.abort();
		}, this.taskClock);
	}

	/** The work goes on, and only the earlier calls end. */
	#goOn(): void {
		this.#world.trace(`${this.name} goes on`);
		this.#patience = undefined;
		this.stoppedAt = -Infinity;
		for (const user of this.#leaving) this.#replaced.add(user);
		this.#leaving.clear();
	}

	/** Checks that the process has stopped at the end of the grace period, even if the store fails. */
	#beginGrace(): void {
		const { clock, after, fail } = this.#world;
		this.stoppedAt = clock.monotonic();
		this.graceEndsAt = this.stoppedAt + this.grace;
		const leaving = [...this.#leaving];
		const check = () => {
			if (!this.isAlive || !laws.stop || !leaving.some((user) => this.#leaving.has(user))) return;
			// The process has just thawed, and timers that were due meanwhile have not fired yet.
			if (this.frozenAt === clock.monotonic()) return after(1, check, this.taskClock);
			fail(`${this.name} has not stopped, and its grace of ${this.grace} is over`);
		};
		// Uses the time of the process: if it is frozen at the end of its grace period, its last moment begins at the thaw.
		after(this.grace, () => after(lastMoment + 1, check, this.taskClock), this.taskClock);
	}

	#ended(user: Promise<void>, hasDrained: boolean): void {
		if (!this.isAlive) return;
		this.#users.delete(user);
		if (this.#replaced.delete(user)) return;
		this.#world.trace(`${this.name} ${hasDrained ? "drained" : "ended"}`);
		if (hasDrained && !this.isStopping) this.#world.checkDrained(this);
		const isLast = this.#leaving.delete(user) ? !this.isStopping : !this.isWorking;
		if (!isLast) return;
		// If the last task has ended in time, the stop has begun then.
		const hasFinished = this.isFinishing;
		this.#patience = undefined;
		this.#world.checkGivenBack(this);
		if (this.isWorking) return this.#begin();
		this.#world.checkStopped(this);
		const now = this.#world.clock.monotonic();
		// The process must not wait without a limit.
		const isOnItsWay = [...this.#approaching].some(({ since, session }) =>
			session === this.session && since > now - Math.min(lastMoment, this.lease / 3)
		);
		if (isOnItsWay && now < this.graceEndsAt && !hasFinished) {
			this.#world.fail(`${this.name} has stopped, and a call of it is on its way to the store`);
		}
	}

	/** Ends the process like SIGKILL. */
	kill(): void {
		if (!this.isAlive) return; // another of its functions has killed it
		this.#world.trace(`${this.name} dies`);
		this.isAlive = false;
		for (const clock of [this.engineClock, this.taskClock]) clock.stop();
		this.#world.forget(this);
	}

	/** Freezes the process like SIGSTOP or a sleeping machine. No timer fires and no answer arrives until the thaw. */
	freeze(duration: number): void {
		if (this.isFrozen) return;
		const { trace, after, clock } = this.#world;
		trace(`${this.name} freezes for ${duration}`);
		for (const clock of [this.engineClock, this.taskClock]) clock.freeze();
		this.#thawed = deferred();
		after(duration, () => this.thaw(), clock);
	}

	thaw(): void {
		if (!this.isAlive || this.#thawed === undefined) return;
		const { resolve } = this.#thawed;
		const { trace, after, clock } = this.#world;
		trace(`${this.name} thaws`);
		this.#thawed = undefined;
		this.frozenAt = clock.monotonic();
		this.#disturbUntil(this.frozenAt, "any");
		for (const clock of [this.engineClock, this.taskClock]) clock.thaw();
		after(0, resolve, clock); // timers fire before answers arrive
		after(1, () => this.#world.checkLeases(this), clock);
	}

	/** Cuts the line to the store for a while. */
	cut(cut: Cut, duration: number): void {
		this.#world.trace(`${this.name} is cut: ${cut} for ${duration}`);
		this.line.cut(cut, duration);
	}

	/** Wraps a store so that its answers do not reach a frozen or dead process. */
	#attend(store: Store<never>): Store<never> {
		const attended: Record<string, unknown> = { ...store };
		for (const [member, original] of Object.entries(store)) {
			if (member === "capabilities") continue;
			attended[member] = member === "watch"
				? (basket: string, wake: (reason?: WakeReason) => void, onError: (error: unknown) => void) =>
					store.watch!(
						basket,
						(reason) => void (this.isFrozen ? this.#attending().then(() => wake(reason)) : wake(reason)),
						onError,
					)
				: (...args: unknown[]) => this.#call(member as StoreCall["member"], args, () => original(...args));
		}
		return attended as unknown as Store<never>;
	}

	async #call<T>(member: StoreCall["member"], args: readonly unknown[], call: () => Promise<T>): Promise<T> {
		const sentAt = this.#world.clock.monotonic();
		// The run of a job gets its messages.
		const isOnlyEngines = isOfEngine({ member, args });
		const isEngines = isOnlyEngines || member === "get";
		const own = { sentAt, number: isEngines ? ++this.#sent : 0 };
		if (isEngines) this.#unanswered.add(own);
		try {
			const result = await call();
			if (this.isFrozen) await this.#attending();
			// An answer to a user tells the engine nothing.
			if (isOnlyEngines) this.#answered = this.#sent;
			this.#hear(member, args, result, sentAt);
			return result;
		} catch (error) {
			if (this.isFrozen) await this.#attending();
			throw error;
		} finally {
			this.#unanswered.delete(own);
		}
	}

	/** Receives an answer that does not come from the store. */
	protected async hear<T>(answer: Promise<T>): Promise<T> {
		const result = await answer;
		await this.#attending();
		return result;
	}

	async #attending(): Promise<void> {
		while (this.isAlive && this.#thawed !== undefined) await this.#thawed.promise;
		if (!this.isAlive) await new Promise(() => {});
	}

	#plan(call: StoreCall): Fault | undefined {
		const { member, phase } = call;
		if (!this.isAlive) return { hang: true };
		if (member === "watch") return this.#world.loseWake();
		const isEngines = isOfEngine(call);
		if (phase === "before") {
			if (isEngines && !this.isWorking) this.#world.fail(`${this.name} has stopped, and calls ${member}`);
			this.calls++;
			this.#note(call);
			const approach = { since: this.#world.clock.monotonic(), session: this.session };
			if (isEngines) this.#approaching.add(approach);
			if (isEngines && this.#world.isFatal()) return this.#die(call);
			const fault = this.#disturb(this.line.before(call), call);
			if (isEngines) this.#later(fault, () => this.#approaching.delete(approach));
			if (fault?.error !== undefined || fault?.hang) this.#later(fault, () => this.calls--);
			return fault;
		}
		if (member === "turn" && call.result !== undefined) this.#noteTurn(call.args[1] as Turn);
		if (isEngines && this.#world.isFatal()) return this.#die(call);
		const fault = this.#disturb(this.line.after(call), call);
		if (member === "add" && fault?.error !== undefined) this.#world.ledger.forgetFresh(this);
		this.#later(fault, () => this.calls--);
		return fault;
	}

	#note({ member, args }: StoreCall): void {
		const { clock, ledger: { records } } = this.#world;
		if (member === "complete") records.get((args[1] as Ref).token)!.wasCompleting = true;
		if (member !== "extend") return;
		this.renewalSentAt = clock.monotonic();
		for (const { token } of args[1] as readonly Ref[]) records.get(token)!.tries++;
	}

	#die({ member, phase }: StoreCall): Fault {
		this.#world.trace(`${this.name} is about to die ${phase} ${member}`);
		this.kill();
		return { hang: true };
	}

	/** Handles an answer of the store. */
	#hear(member: StoreCall["member"], args: readonly unknown[], result: unknown, sentAt: number): void {
		const { ledger, clock } = this.#world;
		if (member === "turn") this.#learn((result as TurnResult).claims, sentAt, (args[1] as Turn).lease);
		if (member === "extend") {
			const refs = args[1] as readonly Ref[];
			const held = refs.filter((_, index) => (result as readonly string[])[index] !== "lost");
			this.#learn(held, sentAt, args[2] as number);
			// The process may ignore an answer that took longer.
			const isFresh = sentAt === clock.monotonic();
			for (const ref of refs) {
				if (isFresh && !held.includes(ref)) this.#world.onLost(ledger.records.get(ref.token)!);
			}
		}
		if (sentAt === clock.monotonic()) this.onAnswered(member, args, result);
	}

	/** Records that the process now knows that it holds these claims, and until when. */
	#learn(refs: readonly Ref[], askedAt: number, lease: number): void {
		const until = askedAt + lease;
		const now = this.#world.clock.monotonic();
		for (const { id, token } of refs) {
			const record = this.#world.ledger.records.get(token)!;
			const isNew = record.toldAt === Infinity;
			if (isNew) record.askedAt = askedAt;
			record.toldAt = Math.min(record.toldAt, now);
			if (record.learnedAt < now) record.knownBefore = record.knownUntil;
			// In the same millisecond, the end of the lease may precede the answer.
			if (!isNew && record.knownUntil <= now) record.overAt = Math.min(record.overAt, record.knownUntil);
			record.learnedAt = now;
			record.knownUntil = Math.max(record.knownUntil, until);
			const before = this.told.get(id);
			record.isLeftBehind ||= !this.isWorking;
			if (isNew && (before === undefined || before.number < record.number)) {
				this.told.set(id, record);
				this.#world.onTold?.(record, before);
			}
			this.#world.after(Math.max(0, until - now) + 1, () => this.#world.checkLease(record), this.#world.clock);
		}
	}

	/** Called when the store has answered without a delay. */
	protected onAnswered(_member: StoreCall["member"], _args: readonly unknown[], _result: unknown): void {}

	#noteTurn({ claim, settle }: Turn): void {
		const { ledger, clock } = this.#world;
		const isOffer = settle.some(({ ref, outcome }) =>
			outcome.type === "release" && ledger.records.get(ref.token)!.claim.crashes >= 2
		);
		if (isOffer) this.offeredAt = clock.monotonic();
		if (claim.length > 0) this.lastTurn = { operation: this.#world.ledger.operations, at: this.#world.clock.now() };
	}

	/** Calls an action at the end of a fault. A hanging call is abandoned at some time. */
	#later(fault: Fault | undefined, action: () => void): void {
		const delay = fault?.hang ? this.lease : fault?.delay;
		if (!delay) action();
		else this.#world.after(delay, action, this.#world.clock);
	}

	#disturb(fault: Fault | undefined, { member, phase }: StoreCall): Fault | undefined {
		if (fault === undefined) return undefined;
		const kind = fault.hang ? "hangs" : fault.error === undefined ? "" : (fault.error as StoreError).code;
		this.#world.trace(`${this.name} fault ${phase} ${member} ${kind} delay ${fault.delay}`);
		const until = this.#world.clock.monotonic() + (fault.hang ? this.lease : fault.delay ?? 0);
		this.#disturbUntil(until, "any");
		if (member === "extend") this.#disturbUntil(until, "renewal");
		if (member === "turn" && phase === "before") this.#disturbUntil(until, "lateTurn");
		if (member === "turn" || member === "open") this.#disturbUntil(until, "turn");
		return fault;
	}
}

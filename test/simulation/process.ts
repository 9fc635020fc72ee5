// One simulated process: whatever works on a store, with its own view of that and of the time, which may die at any moment.
import type { Store, StoreError, WakeReason } from "../../mod.ts";
import type { Ref, Turn, TurnResult } from "../../src/store.ts";
import type { Fault, StoreCall } from "../../src/testing/testing.ts";
import type { ClaimRecord, Owner } from "./ledger.ts";
import type { World } from "./world.ts";
import { faultyStore } from "../../src/testing/testing.ts";
import { type Deferred, deferred } from "../support.ts";
import { lastMoment } from "./excuses.ts";
import { laws } from "./laws.ts";
import { type Cut, engineMembers, Line } from "./line.ts";
import { ProcessClock } from "./process-clock.ts";

/** What something goes wrong with. */
type Disturbed = "any" | "renewal" | "turn" | "lateTurn";

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
	/** The way to the store. */
	readonly line: Line;
	isAlive = true;
	isPaused = false;
	/** Counts the runs of the worker: tasks that were left behind by one are no concern of the next. */
	session = 0;
	/** Since when, and until when, its tasks may go on after it was told to stop last, on the monotonic clock. */
	stoppedAt = -Infinity;
	graceEndsAt = Infinity;
	/** When it has tried to renew its leases last. */
	renewalSentAt = -Infinity;
	/** Of any call, of renewals, of turns, and of turns on their way to the store. */
	readonly #disturbances: Record<Disturbed, number> = {
		any: -Infinity,
		renewal: -Infinity,
		turn: -Infinity,
		lateTurn: -Infinity,
	};
	/** When it has given back tasks that have crashed often: others may claim these first. */
	offeredAt = -Infinity;
	/** Until when it was frozen last. */
	frozenAt = -Infinity;
	/** The newest claim of each task that it was told of. */
	readonly told: Map<string, ClaimRecord> = new Map();
	/** The number of the last turn that asked for tasks, and when that was by the wall clock. */
	lastTurn = { operation: 0, at: -Infinity };
	/** When the calls of the engine were begun that are on their way to the store. */
	readonly #approaching = new Set<{ readonly since: number; readonly session: number }>();
	/** Calls on their way, there or back. */
	calls = 0;
	/** The calls of the engine that have come to no end, how many there were, and how many when the last answer came. */
	readonly #unanswered = new Set<{ readonly sentAt: number; readonly number: number }>();
	#sent = 0;
	#answered = 0;
	readonly #world: World;
	/** The time of the engine, and of the functions. */
	readonly engineClock: ProcessClock;
	readonly taskClock: ProcessClock;
	readonly #users = new Map<Promise<void>, AbortController>();
	/** Those who were told to stop, if these were all. */
	readonly #leaving = new Set<Promise<void>>();
	/** While it is frozen: resolves when it is not any more. */
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
		// What was sent arrives, whatever becomes of the process.
		const faulty = faultyStore(ledger.storeFor(this), (call) => this.#plan(call), { clock });
		this.store = this.#attend(faulty);
	}

	get isWorking(): boolean {
		return this.#users.size > 0;
	}

	get isFrozen(): boolean {
		return this.#thawed !== undefined;
	}

	/** Whether it was told to stop and has not stopped yet. */
	get isStopping(): boolean {
		return this.#leaving.size > 0;
	}

	/** Until when something goes wrong, or went wrong last, with any call, a renewal, or a turn, on the monotonic clock. */
	get disturbedAt(): number {
		return this.#disturbed("any");
	}

	get renewalDisturbedAt(): number {
		return this.#disturbed("renewal");
	}

	get turnDisturbedAt(): number {
		return this.#disturbed("turn");
	}

	/** Until when a turn is on its way to the store. */
	get lateTurnUntil(): number {
		return this.#disturbed("lateTurn");
	}

	/** Somebody's transaction keeps all calls waiting. */
	#disturbed(what: Disturbed): number {
		return Math.max(this.#disturbances[what], this.#world.ledger.lockedAt);
	}

	#disturbUntil(until: number, ...all: readonly (Disturbed)[]): void {
		for (const what of all) this.#disturbances[what] = Math.max(this.#disturbances[what], until);
	}

	/** Whether a call of the engine is under way for long, and no answer to any has come since. */
	get isInVain(): boolean {
		const now = this.#world.clock.monotonic();
		return [...this.#unanswered].some(({ sentAt, number }) =>
			sentAt <= now - lastMoment && sentAt > now - this.lease && this.#answered < number
		);
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
		this.stoppedAt = -Infinity;
		this.graceEndsAt = Infinity;
		this.lastTurn = { operation: 0, at: -Infinity };
	}

	/** Tells one of those that work, or all of them, to stop. */
	stop(isForAll: boolean): void {
		const users = [...this.#users];
		if (users.length === 0 || this.isStopping) return;
		this.#world.trace(`${this.name} stops ${isForAll}`);
		if (isForAll || users.length === 1) { for (const [user] of users) this.#leaving.add(user); }
		if (this.isStopping) this.#beginGrace();
		if (isForAll) void this.worker.stop();
		else users[0]![1].abort(new Error("stop"));
		if (this.isStopping) this.#world.checkAborted(this);
	}

	/** Whatever the store does, it has stopped when that is over. */
	#beginGrace(): void {
		const { clock, after, fail } = this.#world;
		this.stoppedAt = clock.monotonic();
		this.graceEndsAt = this.stoppedAt + this.grace;
		const leaving = [...this.#leaving];
		const check = () => {
			if (!this.isAlive || !laws.stop || !leaving.some((user) => this.#leaving.has(user))) return;
			// It has just thawed: timers that were due meanwhile are coming.
			if (this.frozenAt === clock.monotonic()) return after(1, check, this.taskClock);
			fail(`${this.name} has not stopped, and its grace of ${this.grace} is over`);
		};
		// By its own time: a process that is frozen at the end of its grace begins its last moment when it thaws.
		after(this.grace, () => after(lastMoment + 1, check, this.taskClock), this.taskClock);
	}

	#ended(user: Promise<void>, hasDrained: boolean): void {
		if (!this.isAlive) return;
		this.#users.delete(user);
		this.#world.trace(`${this.name} ${hasDrained ? "drained" : "ended"}`);
		if (hasDrained && !this.isStopping) this.#world.checkDrained(this);
		const isLast = this.#leaving.delete(user) ? !this.isStopping : !this.isWorking;
		if (!isLast) return;
		this.#world.checkGivenBack(this);
		if (this.isWorking) return this.#begin();
		this.#world.checkStopped(this);
		const now = this.#world.clock.monotonic();
		// Nothing is waited for without end.
		const isOnItsWay = [...this.#approaching].some(({ since, session }) =>
			session === this.session && since > now - Math.min(lastMoment, this.lease / 3)
		);
		if (isOnItsWay && now < this.graceEndsAt) {
			this.#world.fail(`${this.name} has stopped, and a call of it is on its way to the store`);
		}
	}

	/** As SIGKILL does it: nothing more happens here. */
	kill(): void {
		this.#world.trace(`${this.name} dies`);
		this.isAlive = false;
		for (const clock of [this.engineClock, this.taskClock]) clock.stop();
		this.#world.forget(this);
	}

	/** As SIGSTOP does it, or a machine that sleeps: neither a timer fires nor is an answer heard, until {@link thaw}. */
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
		after(0, resolve, clock); // timers come first, then answers
		after(1, () => this.#world.checkLeases(this), clock);
	}

	/** Cuts its line to the store for a while. */
	cut(cut: Cut, duration: number): void {
		this.#world.trace(`${this.name} is cut: ${cut} for ${duration}`);
		this.line.cut(cut, duration);
	}

	/** The store as this process hears it: not at all while it is frozen or dead. */
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
		const isEngines = engineMembers.includes(member);
		const own = { sentAt, number: isEngines ? ++this.#sent : 0 };
		if (isEngines) this.#unanswered.add(own);
		try {
			const result = await call();
			if (this.isFrozen) await this.#attending();
			if (isEngines) this.#answered = this.#sent;
			this.#hear(member, args, result, sentAt);
			return result;
		} catch (error) {
			if (this.isFrozen) await this.#attending();
			throw error;
		} finally {
			this.#unanswered.delete(own);
		}
	}

	/** An answer that is none of the store's. */
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
		const isEngines = engineMembers.includes(member);
		if (phase === "before") {
			if (isEngines && !this.isWorking) this.#world.fail(`${this.name} has stopped, and calls ${member}`);
			this.calls++;
			this.#note(call);
			const approach = { since: this.#world.clock.monotonic(), session: this.session };
			if (isEngines) this.#approaching.add(approach);
			if (isEngines && this.#world.isFatal()) return this.#die(call);
			const fault = this.#disturb(this.line.before(member), call);
			if (isEngines) this.#later(fault, () => this.#approaching.delete(approach));
			if (fault?.error !== undefined || fault?.hang) this.#later(fault, () => this.calls--);
			return fault;
		}
		if (member === "turn" && call.result !== undefined) this.#noteTurn(call.args[1] as Turn);
		if (isEngines && this.#world.isFatal()) return this.#die(call);
		const fault = this.#disturb(this.line.after(member), call);
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

	/** The store has answered. */
	#hear(member: StoreCall["member"], args: readonly unknown[], result: unknown, sentAt: number): void {
		const { ledger, clock } = this.#world;
		if (member === "turn") this.#learn((result as TurnResult).claims, sentAt, (args[1] as Turn).lease);
		if (member === "extend") {
			const refs = args[1] as readonly Ref[];
			const held = refs.filter((_, index) => (result as readonly string[])[index] !== "lost");
			this.#learn(held, sentAt, args[2] as number);
			// One that has waited for longer may be of no interest any more.
			const isFresh = sentAt === clock.monotonic();
			for (const ref of refs) {
				if (isFresh && !held.includes(ref)) this.#world.onLost(ledger.records.get(ref.token)!);
			}
		}
		if (sentAt === clock.monotonic()) this.onAnswered(member, args, result);
	}

	/** From now on it knows that it holds these claims, until some moment on the monotonic clock. */
	#learn(refs: readonly Ref[], askedAt: number, lease: number): void {
		const until = askedAt + lease;
		const now = this.#world.clock.monotonic();
		for (const { id, token } of refs) {
			const record = this.#world.ledger.records.get(token)!;
			const isNew = record.toldAt === Infinity;
			if (isNew) record.askedAt = askedAt;
			record.toldAt = Math.min(record.toldAt, now);
			if (record.learnedAt < now) record.knownBefore = record.knownUntil;
			// In the very millisecond, its end may have come before the answer.
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

	/** The store has answered at once. */
	protected onAnswered(_member: StoreCall["member"], _args: readonly unknown[], _result: unknown): void {}

	#noteTurn({ claim, settle }: Turn): void {
		const { ledger, clock } = this.#world;
		const isOffer = settle.some(({ ref, outcome }) =>
			outcome.type === "release" && ledger.records.get(ref.token)!.claim.crashes >= 2
		);
		if (isOffer) this.offeredAt = clock.monotonic();
		if (claim.length > 0) this.lastTurn = { operation: this.#world.ledger.operations, at: this.#world.clock.now() };
	}

	/** When the fault is over; what hangs is given up at some time. */
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

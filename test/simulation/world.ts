// Everything that a simulated run consists of, and what must hold in it at any time.
import type { BasketContext, Settlement, Store } from "../../mod.ts";
import type { Fault, VirtualClock } from "../../src/testing.ts";
import type { ClaimRecord, Entry, LedgerWatcher, Owner } from "./ledger.ts";
import type { Process, ProcessClock } from "./process.ts";
import type { Profile } from "./profile.ts";
import type { Random } from "./random.ts";
import { StoreError } from "../../mod.ts";
import { sleep } from "../../mod.ts";
import { describe, Ledger } from "./ledger.ts";
import { type Payload, rules, type Run } from "./tasks.ts";

export class World implements LedgerWatcher {
	readonly random: Random;
	readonly profile: Profile;
	readonly clock: VirtualClock;
	readonly ledger: Ledger;
	readonly processes: Process[] = [];
	readonly runs: Map<ClaimRecord, Run> = new Map();
	/** Ends what would hang for ever. */
	readonly hanging: Set<() => void> = new Set();
	/** Nothing goes wrong any more. */
	isCalm = false;
	/** When the clock has jumped last, and a wake-up was lost, on the monotonic clock. */
	jumpedAt = 0;
	wakeLostAt = 0;
	/** Claims of which somebody was told that they are lost. */
	readonly #lost = new Set<ClaimRecord>();
	/** The first thing that was wrong. */
	failure: string | undefined;
	/** Of all that was traced. */
	hash = 0x811c9dc5;
	readonly #onTrace: ((line: string) => void) | undefined;

	constructor(
		random: Random,
		profile: Profile,
		clock: VirtualClock,
		store: Store<never>,
		onTrace: ((line: string) => void) | undefined,
	) {
		this.random = random;
		this.profile = profile;
		this.#onTrace = onTrace;
		this.clock = clock;
		this.ledger = new Ledger(store, clock, this);
	}

	readonly fail = (text: string): void => {
		this.trace(`WRONG: ${text}`);
		this.failure ??= text;
	};

	readonly trace = (text: string): void => {
		const line = `${this.clock.monotonic()} ${text}`;
		for (let i = 0; i < line.length; i++) this.hash = Math.imul(this.hash ^ line.charCodeAt(i), 0x01000193);
		this.#onTrace?.(line);
	};

	/** Calls back after a delay, unless the process dies before. */
	after(delay: number, action: () => void, clock: ProcessClock): void {
		void sleep(delay, { clock }).then(action);
	}

	/** What goes wrong on the way to the store and back. */
	readonly faults = {
		before: (): Fault | undefined => this.#fault(["unavailable", "busy", "full"]),
		// What was done may be known to have been done or not, but "full" and "busy" say that it was not.
		after: (): Fault | undefined => this.#fault(["unavailable"]),
		wake: (): Fault | undefined => {
			if (this.isCalm || !this.random.chance(this.profile.lostWakes)) return undefined;
			this.wakeLostAt = this.clock.monotonic();
			this.trace("a wake-up is lost or late");
			return this.random.chance(0.5) ? { hang: true } : { delay: this.random.below(2_000) };
		},
	};

	#fault(codes: readonly ("unavailable" | "busy" | "full")[]): Fault | undefined {
		if (this.isCalm) return undefined;
		const { random, profile } = this;
		if (random.chance(profile.slowness)) return { delay: random.pick([1, 20, 300, 2_000, 12_000]) };
		if (!random.chance(profile.errors)) return undefined;
		return { delay: random.pick([0, 0, 50]), error: new StoreError(random.pick(codes), "simulated") };
	}

	onError(process: Process, error: unknown): void {
		const name = (error as Error)?.name;
		this.trace(`${process.name} reports ${name} ${(error as Error)?.message}`);
		if (name !== "StoreError" && name !== "ClaimLostError") this.fail(`${process.name} reports ${error}`);
	}

	/** A function is called. */
	begin(process: Process, payload: Payload, context: BasketContext): Run {
		const record = this.#recordOf(context);
		const what = `${process.name} runs ${context.id}`;
		if (record.owner !== process) this.fail(`${what}, which was claimed by ${record.owner.name}`);
		if (this.runs.has(record)) this.fail(`${what} twice under one claim`);
		if (record.safeUntil <= this.clock.monotonic()) this.fail(`${what}, whose lease is over`);
		if (process.isPaused) this.fail(`${what}, but it is paused`);
		if (!process.isWorking || process.isStopping) this.fail(`${what}, but it has stopped`);
		this.#checkClaim(what, record, payload, context);
		// If it was told in time.
		const continued = record.isExcused ? undefined : record.before && this.#runOf(record.before);
		const isHere = continued?.process === process && continued.session === process.session;
		if (isHere && continued.isActive && continued.wasWell) {
			this.fail(`${what}, which it runs already under the claim before`);
		}
		const isCurrent = this.ledger.isCurrent(record);
		if (!isCurrent && !record.isExcused) this.fail(`${what}, whose claim is lost`);
		this.#checkOthers(what, process, record, isCurrent);
		const { session } = process;
		const saved = record.claim.payload as string;
		const state = {
			saved,
			isActive: true,
			outcome: undefined,
			isFinal: false,
			wasWell: true,
			endedAt: Infinity,
			endedInStop: false,
		};
		const run: Run = { process, session, record, attempt: context.attempt, context, payload, ...state };
		this.runs.set(record, run);
		return run;
	}

	/** Only the engine's own object says under which claim it runs. */
	#recordOf(context: BasketContext): ClaimRecord {
		const { token } = (context as unknown as { claim: { token: string } }).claim;
		return this.ledger.records.get(token)!;
	}

	/** A run may go on under a new claim, if its own has ended unnoticed. */
	#runOf(record: ClaimRecord): Run | undefined {
		const run = this.runs.get(record);
		if (run !== undefined) return run;
		const { entry } = record;
		// A task that was added again in the same millisecond cannot be told from the one before by its claims.
		const isSame = (other: Entry) => other.id === entry.id && other.addedAt === entry.addedAt;
		return [...this.runs.values()].find((run) => this.#recordOf(run.context) === record && isSame(run.record.entry));
	}

	#checkClaim(what: string, { claim }: ClaimRecord, payload: Payload, { attempt, crashes, kind }: BasketContext): void {
		const { attempts } = rules[kind]!;
		if (attempt !== claim.attempts + 1 || attempt > attempts) this.fail(`${what} as attempt ${attempt}`);
		if (crashes !== claim.crashes || crashes >= rules[kind]!.crashes) this.fail(`${what} after ${crashes} crashes`);
		if (JSON.stringify(payload) !== claim.payload) this.fail(`${what} with ${JSON.stringify(payload)}`);
	}

	#checkOthers(what: string, process: Process, record: ClaimRecord, isCurrent: boolean): void {
		let count = 1;
		const isAlone = record.claim.crashes >= 2;
		for (const run of this.runs.values()) {
			if (!run.isActive) continue;
			const { claim } = run.record;
			const isLive = isCurrent && run.process.isAlive && this.ledger.isCurrent(this.#recordOf(run.context));
			if (isLive && claim.lane !== undefined && claim.lane === record.claim.lane) {
				this.fail(`${what}, but ${claim.id} of the same lane is run`);
			}
			if (run.process !== process || run.session !== process.session || this.#isAbandoned(run)) continue;
			count++;
			if (run.record.entry === record.entry && !run.context.signal.aborted) this.fail(`${what} twice at once`);
			if (isAlone || claim.crashes >= 2) this.fail(`${what} beside ${claim.id}, and one of them has crashed too often`);
		}
		if (count > process.concurrency) this.fail(`${what}, the ${count}th of ${process.concurrency}`);
	}

	#isAbandoned({ record, context }: Run): boolean {
		return rules[record.claim.kind]!.isAbandoned && context.signal.aborted;
	}

	onSettle(owner: Owner, { outcome }: Settlement, isStored: boolean, record: ClaimRecord): void {
		const { claim } = record;
		const { attempts, crashes, isAbandoned } = rules[claim.kind]!;
		const what = `${owner.name} settles ${claim.id} as ${outcome.type}`;
		const run = this.#runOf(record);
		if (owner !== record.owner) this.fail(`${what}, which was claimed by ${record.owner.name}`);
		if (outcome.type === "done" && run?.outcome !== "succeeded") this.fail(`${what}, which has not succeeded`);
		if (outcome.type === "retry" || outcome.type === "dead") {
			const counted = run === undefined ? claim.attempts : run.attempt;
			if (outcome.attempts !== counted) this.fail(`${what} with ${outcome.attempts} attempts, should be ${counted}`);
		}
		if (outcome.type === "retry") {
			if (run?.outcome !== "failed" && !isAbandoned) this.fail(`${what}, which has not failed`);
			if (outcome.attempts >= attempts) this.fail(`${what} after ${outcome.attempts} attempts`);
			if (run?.endedInStop && !isAbandoned) this.fail(`${what}, which was aborted`);
		}
		if (outcome.type === "dead") {
			const isExhausted = outcome.attempts >= attempts || claim.crashes >= crashes;
			const isBroken = run === undefined && (claim.payload as string).includes("isBroken");
			if (!isExhausted && !run?.isFinal && !isBroken) this.fail(`${what} after ${outcome.attempts} attempts`);
		}
		const isOld = run?.session !== (owner as Process).session;
		const isEarly = this.clock.monotonic() < (owner as Process).graceEndsAt;
		if (outcome.type === "release" && run?.isActive && !isOld && !isAbandoned && isEarly) {
			this.fail(`${what}, whose grace is not over`);
		}
		if (outcome.type === "release" && run !== undefined && !isOld && !(owner as Process).isStopping) {
			this.fail(`${what}, which has begun and was not aborted`);
		}
		const isInTime = run?.outcome === "succeeded" && run.endedAt < (owner as Process).graceEndsAt;
		if (outcome.type === "release" && isInTime && !isOld && !isAbandoned) this.fail(`${what}, which has succeeded`);
		if (run !== undefined && !run.isActive && !isOld) this.#checkPayload(what, run, outcome);
		if (isStored) {
			(owner as Process).onStored(claim.id, outcome.type === "release" ? "released" : outcome.type);
		}
	}

	#checkPayload(what: string, run: Run, outcome: Settlement["outcome"]): void {
		const stored = outcome.payload ?? run.saved;
		if (outcome.type !== "done" && stored !== JSON.stringify(run.payload)) {
			this.fail(`${what} with ${stored}, should be ${JSON.stringify(run.payload)}`);
		}
	}

	onCrash({ id }: Entry, record: ClaimRecord): void {
		this.trace(`${record.owner.name} has lost ${id}`);
		const run = this.#runOf(record);
		if (run !== undefined) run.wasWell = !run.context.signal.aborted;
		if (!record.owner.isAlive || record.isExcused) return;
		this.fail(`${id} was claimed again, while ${record.owner.name} is well`);
	}

	/** A process was told to stop. */
	checkAborted(process: Process): void {
		for (const run of this.runs.values()) {
			if (run.process !== process || !run.isActive || run.context.signal.aborted) continue;
			this.fail(`${process.name} stops, and the signal of ${run.record.claim.id} has not aborted`);
		}
	}

	/** A process has ended because nothing was due. */
	checkDrained(process: Process): void {
		for (const { id, record } of this.ledger.entries.values()) {
			if (record?.owner === process && !record.isExcused && this.ledger.isCurrent(record)) {
				this.fail(`${process.name} has drained, and has not settled ${id}`);
			}
		}
		const { operation, at } = process.lastTurn;
		const left = this.ledger.findClaimable(({ changedIn, dueBy }) => changedIn < operation && dueBy <= at);
		if (left !== undefined) this.fail(`${process.name} has drained, and ${describe(left)} is due`);
	}

	/** A process has stopped. */
	checkStopped(process: Process): void {
		const isLeftRunning = [...this.runs.values()].some((run) =>
			run.process === process && run.isActive && rules[run.record.claim.kind]!.isAbandoned
		);
		if (process.engineClock.pending > 0 && !isLeftRunning) {
			this.fail(`${process.name} has stopped, and ${process.engineClock.pending} timers are set`);
		}
		for (const { id, record } of this.ledger.entries.values()) {
			if (record?.owner === process && !record.isExcused && this.ledger.isCurrent(record)) {
				this.fail(`${process.name} has stopped, and has not given back ${id}`);
			}
		}
	}

	/** A process was told that it has lost a claim. */
	onLost(record: ClaimRecord): void {
		this.#lost.add(record);
	}

	/** Between two steps, when all that can happen now has happened. */
	check(): void {
		for (const record of this.#lost) {
			const run = this.#runOf(record);
			const isGoingOn = run?.isActive && this.#recordOf(run.context) === record && !run.context.signal.aborted;
			if (isGoingOn) this.fail(`${record.owner.name} goes on with ${record.claim.id}, whose claim is lost`);
		}
		this.#lost.clear();
		for (const process of this.processes) {
			const isReady = process.isWorking && !process.isPaused && !process.isStopping && process.calls === 0;
			if (isReady) this.#checkAhead(process);
			if (isReady && process.disturbedAt < this.#calmSince) this.#checkIdleness(process);
		}
	}

	/** An engine looks at its store once a minute, whatever it was told. */
	get #calmSince(): number {
		return this.clock.monotonic() - 61_000;
	}

	/** Nobody must have what may be tried only so often, and not run it. */
	#checkAhead(process: Process): void {
		const claimed = [...this.ledger.entries.values()].flatMap(({ record }) =>
			record?.owner === process && !record.isExcused && this.ledger.isCurrent(record) ? [record] : []
		);
		if (claimed.some(({ claim }) => claim.crashes >= 2)) return;
		for (const record of claimed) {
			const { id, kind } = record.claim;
			if (rules[kind]!.attempts === Infinity || this.#runOf(record) !== undefined) continue;
			this.fail(`${process.name} has claimed ${id} ahead`);
		}
	}

	#checkIdleness(process: Process): void {
		if (this.jumpedAt >= this.#calmSince || this.#activeRuns(process) > 0) return;
		const wasTold = this.wakeLostAt < this.#calmSince;
		const left = this.ledger.findClaimable(({ addedBy, isFresh, lane }) =>
			wasTold || (addedBy === process && isFresh && lane === undefined)
		);
		if (left !== undefined) this.fail(`${process.name} has nothing to do, and ${describe(left)} is due`);
	}

	#activeRuns(process: Process): number {
		let count = 0;
		for (const run of this.runs.values()) if (run.isActive && run.process === process) count++;
		return count;
	}

	/** A process is gone. */
	forget(process: Process): void {
		this.processes.splice(this.processes.indexOf(process), 1);
		for (const run of this.runs.values()) if (run.process === process) run.isActive = false;
	}

	/** For ever, as long as not everything is calm. */
	hang(process: Process): Promise<void> {
		return new Promise((resolve) => this.hanging.add(() => process.isAlive && resolve()));
	}

	calm(): void {
		this.isCalm = true;
		this.jumpedAt = this.clock.monotonic();
		this.trace("calm");
	}

	/** The wall clock is set. */
	jump(by: number): void {
		this.trace(`the clock jumps by ${by}`);
		this.clock.setNow(this.clock.now() + by);
		this.jumpedAt = this.clock.monotonic();
		this.ledger.excuse(() => true);
	}
}

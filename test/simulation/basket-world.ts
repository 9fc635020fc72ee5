// The world of processes that work on one basket, and what must hold in it at any time.
import type { BasketContext, Settlement, Store } from "../../mod.ts";
import type { VirtualClock } from "../../src/testing.ts";
import type { BasketProcess } from "./basket-process.ts";
import type { ClaimRecord, Entry, Owner } from "./ledger.ts";
import type { Profile } from "./profile.ts";
import type { Random } from "./random.ts";
import { type Payload, rules, type Run } from "./tasks.ts";
import { World } from "./world.ts";

export class BasketWorld extends World<BasketProcess> {
	declare readonly profile: Profile;
	readonly runs: Map<ClaimRecord, Run> = new Map();
	/** Claims of which somebody was told that they are lost. */
	readonly #lost = new Set<ClaimRecord>();

	constructor(
		random: Random,
		profile: Profile,
		clock: VirtualClock,
		store: Store<never>,
		onTrace: ((line: string) => void) | undefined,
	) {
		super(random, profile, clock, store, onTrace);
	}

	override get calls(): number {
		return this.runs.size;
	}

	/** A function is called. */
	begin(process: BasketProcess, payload: Payload, context: BasketContext): Run {
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

	#checkOthers(what: string, process: BasketProcess, record: ClaimRecord, isCurrent: boolean): void {
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

	override onSettle(owner: Owner, { outcome }: Settlement, isStored: boolean, record: ClaimRecord): void {
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
		const isOld = run?.session !== (owner as BasketProcess).session;
		const isEarly = this.clock.monotonic() < (owner as BasketProcess).graceEndsAt;
		if (outcome.type === "release" && run?.isActive && !isOld && !isAbandoned && isEarly) {
			this.fail(`${what}, whose grace is not over`);
		}
		if (outcome.type === "release" && run !== undefined && !isOld && !(owner as BasketProcess).isStopping) {
			this.fail(`${what}, which has begun and was not aborted`);
		}
		const isInTime = run?.outcome === "succeeded" && run.endedAt < (owner as BasketProcess).graceEndsAt;
		if (outcome.type === "release" && isInTime && !isOld && !isAbandoned) this.fail(`${what}, which has succeeded`);
		if (run !== undefined && !run.isActive && !isOld) this.#checkPayload(what, run, outcome);
		if (isStored) {
			(owner as BasketProcess).onStored(claim.id, outcome.type === "release" ? "released" : outcome.type);
		}
	}

	#checkPayload(what: string, run: Run, outcome: Settlement["outcome"]): void {
		const stored = outcome.payload ?? run.saved;
		if (outcome.type !== "done" && stored !== JSON.stringify(run.payload)) {
			this.fail(`${what} with ${stored}, should be ${JSON.stringify(run.payload)}`);
		}
	}

	override onCrash({ id }: Entry, record: ClaimRecord): void {
		this.trace(`${record.owner.name} has lost ${id}`);
		const run = this.#runOf(record);
		if (run !== undefined) run.wasWell = !run.context.signal.aborted;
		if (!record.owner.isAlive || record.isExcused) return;
		this.fail(`${id} was claimed again, while ${record.owner.name} is well`);
	}

	/** A process was told to stop. */
	override checkAborted(process: BasketProcess): void {
		for (const run of this.runs.values()) {
			if (run.process !== process || !run.isActive || run.context.signal.aborted) continue;
			this.fail(`${process.name} stops, and the signal of ${run.record.claim.id} has not aborted`);
		}
	}

	/** A process has stopped. */
	override checkStopped(process: BasketProcess): void {
		const isLeftRunning = [...this.runs.values()].some((run) =>
			run.process === process && run.isActive && rules[run.record.claim.kind]!.isAbandoned
		);
		if (process.engineClock.pending > 0 && !isLeftRunning) {
			this.fail(`${process.name} has stopped, and ${process.engineClock.pending} timers are set`);
		}
		super.checkStopped(process);
	}

	/** A process was told that it has lost a claim. */
	override onLost(record: ClaimRecord): void {
		this.#lost.add(record);
	}

	/** Between two steps, when all that can happen now has happened. */
	override check(): void {
		for (const record of this.#lost) {
			const run = this.#runOf(record);
			const isGoingOn = run?.isActive && this.#recordOf(run.context) === record && !run.context.signal.aborted;
			if (isGoingOn) this.fail(`${record.owner.name} goes on with ${record.claim.id}, whose claim is lost`);
		}
		this.#lost.clear();
		for (const process of this.processes) {
			const isReady = process.isWorking && !process.isPaused && !process.isStopping && process.calls === 0;
			if (isReady) this.#checkAhead(process);
			if (isReady) this.checkIdleness(process);
		}
	}

	/** An engine looks at its store once a minute, whatever it was told. */
	get #calmSince(): number {
		return this.clock.monotonic() - 61_000;
	}

	/** Nobody must have what may be tried only so often, and not run it. */
	#checkAhead(process: BasketProcess): void {
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

	protected override activeCalls(process: BasketProcess): number {
		let count = 0;
		for (const run of this.runs.values()) if (run.isActive && run.process === process) count++;
		return count;
	}

	/** A process is gone. */
	override forget(process: BasketProcess): void {
		super.forget(process);
		for (const run of this.runs.values()) if (run.process === process) run.isActive = false;
	}
}

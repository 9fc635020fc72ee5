// The world of processes that work on one basket, and its invariants.
import type { BasketContext, Store } from "../../mod.ts";
import type { Claim, Data, Message, Outcome, Save, Settlement } from "../../src/store.ts";
import type { VirtualClock } from "../../src/testing/testing.ts";
import type { BasketProcess } from "./basket-process.ts";
import type { ClaimRecord, Entry, Owner } from "./ledger.ts";
import type { Profile } from "./profile.ts";
import type { Random } from "./random.ts";
import type { StoreTransactions } from "./transactions.ts";
import { excuseForSurprise, isLate, isOverFor, recovery } from "./excuses.ts";
import { laws } from "./laws.ts";
import { type Limits, makeLimits, type Payload, resultOf, rules, type Run, sharedKinds } from "./tasks.ts";
import { checkWaiting } from "./waiting.ts";
import { World } from "./world.ts";

export class BasketWorld extends World<BasketProcess> {
	declare readonly profile: Profile;
	/** The runs by the claims under which they began. */
	readonly runs: Map<ClaimRecord, Run> = new Map();
	/** The runs by each of their present and earlier claims. */
	readonly #runs = new Map<ClaimRecord, Run>();
	/** The claims under which runs continue, each with the previous claim of the run. */
	readonly #continued = new Map<ClaimRecord, ClaimRecord>();
	/** Claims that were reported as done. */
	readonly #isTold = new Set<ClaimRecord>();
	/** Claims that were reported as lost. */
	readonly #lost = new Set<ClaimRecord>();
	/** The limits of the processes that are started from now on. */
	limits: Limits;
	#payloads = 0;
	/** The number of the payload whose add was committed last, by id. */
	readonly #newest = new Map<string, number>();
	/** The ids of the tasks of all items whose adds were committed, by number, while no run with them is done. */
	readonly #items = new Map<number, string>();
	/** The numbers of the payloads with which tasks became done or dead. */
	readonly #over = new Set<number>();

	constructor(
		random: Random,
		profile: Profile,
		clock: VirtualClock,
		store: Store<never>,
		onTrace: ((line: string) => void) | undefined,
		transactions?: StoreTransactions | undefined,
	) {
		super(random, profile, clock, store, onTrace, transactions);
		this.limits = makeLimits(random);
	}

	override get calls(): number {
		return this.runs.size;
	}

	/** Returns a payload that no other add has. */
	payload(key = ""): Payload {
		return { n: ++this.#payloads, key, changes: 0 };
	}

	override onPayload(id: string, payload: Data): void {
		this.#newest.set(id, numberOf(payload));
	}

	override onItem(id: string, item: Data): void {
		this.#items.set(numberOf(item), id);
	}

	override onDelete(_owner: Owner, { id, isCollected, inbox }: Entry): void {
		this.#newest.delete(id);
		if (isCollected) { for (const { data } of inbox) this.#items.delete(numberOf(data)); }
	}

	/** A claim has the payload whose add was committed last. */
	override onClaim(owner: Owner, { claim: { id, payload }, entry: { isCollected } }: ClaimRecord): void {
		if (isCollected) return;
		const [n, newest] = [numberOf(payload), this.#newest.get(id)];
		if (n !== newest) this.fail(`${owner.name} claims ${id} with payload ${n}, and ${newest} was added last`);
	}

	/** Checks at the end that no newest payload was lost: each has run until its task was done or dead. */
	checkNewest(): void {
		for (const [id, n] of this.#newest) {
			if (!this.#over.has(n)) this.fail(`payload ${n} of ${id} was added last, and has neither succeeded nor failed`);
		}
	}

	/** Checks at the end that no item was lost: each was given to a run that is done, unless its task is dead. */
	checkItems(): void {
		for (const [n, id] of this.#items) {
			const entry = this.ledger.entries.get(id);
			const isKept = entry?.state === "dead" && entry.inbox.some(({ data }) => numberOf(data) === n);
			if (!isKept) this.fail(`item ${n} of ${id} was added, and no run with it is done`);
		}
	}

	/** Called when a function is called. */
	begin(process: BasketProcess, payload: Payload, context: BasketContext<Payload>, call: object): Run {
		const what = `${process.name} runs ${context.id}`;
		const record = process.told.get(context.id)!;
		const continued = this.#runs.get(record);
		if (continued !== undefined) continued.current = continued.record;
		if (record.owner !== process) this.fail(`${what}, which was claimed by ${record.owner.name}`);
		if (this.runs.has(record)) this.fail(`${what} twice under one claim`);
		if (record.safeUntil <= this.clock.monotonic()) this.fail(`${what}, whose lease is over`);
		// A call that gathers tasks begins at a pause.
		const isLast = sharedKinds.includes(context.kind) && (process.isFinishing || !process.isStopping);
		if (process.isPaused && !isLast) this.fail(`${what}, but it is paused`);
		if (!process.isWorking || (process.isStopping && !isLast)) this.fail(`${what}, but it has stopped`);
		this.#checkClaim(what, process, record, payload, context);
		const isCurrent = this.ledger.isCurrent(record);
		const isSurprise = record.isDeleted || excuseForSurprise(this, record) !== undefined;
		if (!isCurrent && !isSurprise) this.fail(`${what}, whose claim is lost`);
		this.#checkOthers(what, process, record, isCurrent, call);
		if (isCurrent) this.#checkLane(what, record, call);
		const { session } = process;
		const saved = record.claim.payload as string;
		const state = {
			saved,
			isActive: true,
			isSettled: false,
			isSaved: false,
			outcome: undefined,
			putOff: undefined,
			isFinal: false,
			isCommitted: false,
			endedAt: Infinity,
			endedInStop: false,
		};
		const run: Run = {
			...{ process, session, record, current: record, attempt: context.attempt, context, payload, call },
			...state,
		};
		this.runs.set(record, run);
		this.#runs.set(record, run);
		return run;
	}

	/**
	 * Called when a claim is reported. A run continues under a new claim of its process if its own claim has ended
	 * unnoticed.
	 */
	override onTold(record: ClaimRecord, before: ClaimRecord | undefined): void {
		const run = before && this.#runs.get(before);
		if (before === undefined || run === undefined || run.isSettled || run.session !== run.process.session) return;
		// The claims do not distinguish a task from one that is added again in the same millisecond.
		const isSame = before.claim.addedAt === record.claim.addedAt;
		if (!isSame || this.#mayBeLost(run, before)) return;
		// A claim that has ended when it is reported is only released.
		if (record.knownUntil <= this.clock.monotonic()) return void run.process.told.set(record.claim.id, before);
		run.current = record;
		this.#runs.set(record, run);
		this.#continued.set(record, before);
	}

	/** Whether the run ends or may end. A run that has exceeded its time may continue until it is abandoned. */
	#mayBeLost({ context: { signal }, isActive }: Run, record: ClaimRecord): boolean {
		// The run has ended, and the result of its transaction is not known yet.
		if (!isActive && record.wasCompleting && isOverFor(record, this.clock.monotonic())) return true;
		// The process takes a lost claim for a committed one.
		if (this.#lost.has(record) && this.mayCountAsCommitted(record)) return true;
		if (!signal.aborted) return false;
		return signal.reason?.name !== "TimeoutError" || this.#lost.has(record) ||
			isOverFor(record, this.clock.monotonic());
	}

	/** A claim that is reported late and released is no longer expected, so no run continues under it. */
	#forgetStray(record: ClaimRecord): void {
		const before = this.#continued.get(record);
		if (before === undefined || !isLate(record)) return;
		const run = this.#runs.get(record);
		if (run === undefined) return; // released before, and again
		this.#runs.delete(record);
		if (run.current !== record) return;
		run.current = before;
		run.process.told.set(record.claim.id, before);
	}

	/** Returns the run under a claim, even if it began under another one. */
	#runOf(record: ClaimRecord): Run | undefined {
		const run = this.#runs.get(record);
		const isLost = run?.context.signal.aborted && run.context.signal.reason?.name === "ClaimLostError";
		return run?.record !== record && isLost ? undefined : run;
	}

	#checkClaim(
		what: string,
		process: BasketProcess,
		{ claim, entry }: ClaimRecord,
		payload: Payload,
		{ attempt, crashes, kind }: BasketContext,
	): void {
		const { attempts } = rules[kind]!;
		if (attempt !== claim.attempts + 1 || attempt > attempts) this.fail(`${what} as attempt ${attempt}`);
		if (crashes !== claim.crashes || crashes >= rules[kind]!.crashes) this.fail(`${what} after ${crashes} crashes`);
		const limit = kind === "narrow" || kind === "slow" ? process.kindLimits[kind] : undefined;
		if (limit !== undefined && limit.keyOf(payload) !== claim.limitKey) this.fail(`${what} with ${claim.limitKey}`);
		const stored = entry.isCollected ? `[${firstItems(claim).map(({ data }) => data)}]` : claim.payload;
		if (JSON.stringify(payload) !== stored) this.fail(`${what} with ${JSON.stringify(payload)}`);
	}

	#checkOthers(what: string, process: BasketProcess, record: ClaimRecord, isCurrent: boolean, call: object): void {
		const calls = new Set([call]);
		const isAlone = record.claim.crashes >= 2;
		for (const run of this.runs.values()) {
			if (!run.isActive) continue;
			const { claim } = run.current;
			const isLive = isCurrent && run.process.isAlive && this.ledger.isCurrent(run.current);
			const isInLane = isLive && claim.lane !== undefined && claim.lane === record.claim.lane;
			if (isInLane && !(run.call === call && run.record.entry.order < record.entry.order)) {
				this.fail(`${what}, but ${claim.id} of the same lane is run`);
			}
			this.#checkOverlap(what, run, record);
			if (run.process !== process || run.session !== process.session || this.#isAbandoned(run)) continue;
			calls.add(run.call);
			if (run.record.entry === record.entry && !run.context.signal.aborted) this.fail(`${what} twice at once`);
			if (isAlone || run.record.claim.crashes >= 2) {
				this.fail(`${what} beside ${claim.id}, and one of them has crashed too often`);
			}
		}
		if (calls.size > process.concurrency) this.fail(`${what}, the ${calls.size}th of ${process.concurrency}`);
	}

	/** All tasks before it in its lane run in the same call. */
	#checkLane(what: string, { entry }: ClaimRecord, call: object): void {
		const inCall = [...this.runs.values()].flatMap((run) => run.call === call ? run.record.entry : []);
		const first = this.ledger.before(entry).find((one) => !inCall.includes(one));
		if (first !== undefined) this.fail(`${what}, but ${first.id} is before it in its lane`);
	}

	/** Checks for another run of the same task in any process. */
	#checkOverlap(what: string, run: Run, record: ClaimRecord): void {
		if (run.record.entry !== record.entry || !laws.overlap || run.context.signal.aborted) return;
		if (run.isCommitted) return; // its task is done, and what has replaced it may run
		if ([run.current, record].some((one) => excuseForSurprise(this, one) !== undefined)) return;
		this.fail(`${what}, while ${run.process.name} runs it`);
	}

	override checkLease(record: ClaimRecord): void {
		const run = this.#runs.get(record);
		if (
			!run?.isActive || run.isCommitted || this.mayCountAsCommitted(record) || run.current !== record ||
			record.knownUntil >= this.clock.monotonic()
		) {
			return;
		}
		const { process, context } = run;
		// The process may no longer have expected this claim. Then its run continues under the previous claim.
		const before = isLate(record) ? this.#continued.get(record) : undefined;
		if (before !== undefined && before.knownUntil > this.clock.monotonic()) {
			const left = before.knownUntil - this.clock.monotonic();
			return this.after(left + 1, () => this.checkLease(record), this.clock);
		}
		if (process.isFrozen || process.frozenAt === this.clock.monotonic() || context.signal.aborted || !laws.expiry) {
			return;
		}
		this.fail(`${process.name} goes on with ${context.id}, whose lease is over`);
	}

	#isAbandoned({ record, context }: Run): boolean {
		return rules[record.claim.kind]!.isAbandoned && context.signal.aborted;
	}

	override onSettle(owner: Owner, { outcome }: Settlement, isStored: boolean, record: ClaimRecord): void {
		const { claim } = record;
		const { attempts, crashes, isAbandoned } = rules[claim.kind]!;
		const what = `${owner.name} settles ${claim.id} as ${outcome.type}`;
		if (outcome.type === "release") this.#forgetStray(record);
		const run = this.#runOf(record);
		if (owner !== record.owner) this.fail(`${what}, which was claimed by ${record.owner.name}`);
		if (record.isCompleted) this.fail(`${what}, which its transaction has done`);
		if (record.isCompleting) this.fail(`${what}, whose transaction is open`);
		// A settlement is retried until it is stored, even if the process learns something new meanwhile.
		const isRepeated = record.settledAs === outcome.type;
		record.settledAs = outcome.type;
		if (isRepeated) return this.#onStored(owner as BasketProcess, record, outcome, isStored);
		const isPutOff = outcome.type === "release" && outcome.delay !== undefined;
		// What is released after it has begun counts as a start.
		const hasCounted = isPutOff && outcome.delay === 0 && run !== undefined && claim.kind === "slow";
		if (isPutOff && !hasCounted && (run?.outcome !== "put off" || outcome.delay !== run.putOff)) {
			this.fail(`${what} for ${outcome.delay}, which was not put off so`);
		}
		if (run?.outcome === "given back" && outcome.type !== "release") this.fail(`${what}, which another has kept back`);
		if (outcome.type === "dead" && run?.outcome === "put off" && !isAbandoned) this.fail(`${what}, which was put off`);
		if (outcome.type === "done") this.#checkResult(what, run, outcome.result);
		if (outcome.type === "done" && record.entry.isCollected) this.#checkSeen(what, run, outcome.seen);
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
		const isExpired = isOverFor(record, this.clock.monotonic());
		const { isStopping, isFinishing, isWorking } = owner as BasketProcess;
		const hasStopped = (isStopping && !isFinishing) || !isWorking;
		const isEarly = this.clock.monotonic() < (owner as BasketProcess).graceEndsAt;
		if (outcome.type === "release" && run?.isActive && !isOld && !isAbandoned && isEarly && !isExpired) {
			this.fail(`${what}, whose grace is not over`);
		}
		if (
			outcome.type === "release" && !isPutOff && run !== undefined && !isOld && !isExpired && !hasStopped &&
			run.outcome !== "given back"
		) {
			this.fail(`${what}, which has begun and was not aborted`);
		}
		// A run that ends together with the grace period is released unchanged.
		const isInTime = run !== undefined && run.endedAt < (owner as BasketProcess).graceEndsAt;
		if (outcome.type === "release" && isInTime && run.outcome === "succeeded" && !isOld && !isAbandoned && !isExpired) {
			this.fail(`${what}, which has succeeded`);
		}
		const isToldAll = isInTime || outcome.type !== "release";
		if (run !== undefined && !run.isActive && !isOld && !isExpired && isToldAll) this.#checkPayload(what, run, outcome);
		this.#onStored(owner as BasketProcess, record, outcome, isStored);
	}

	/**
	 * Only a commit can end the claim of a task that is being completed in time, unless the task is deleted or the
	 * clock is set. The process cannot distinguish these cases.
	 */
	override mayCountAsCommitted({ wasCompleting, isDeleted, extendedAt }: ClaimRecord): boolean {
		return wasCompleting && (isDeleted || this.jumpedAt >= extendedAt);
	}

	/** Whether a process may mistake a deleted task for a committed one. */
	mayHaveBeenCommitted(process: BasketProcess, id: string): boolean {
		for (const record of this.runs.keys()) {
			if (record.owner === process && record.claim.id === id && this.mayCountAsCommitted(record)) return true;
		}
		return false;
	}

	/** Called when a process reports that a task is done. */
	onTellsDone(process: BasketProcess, id: string): void {
		this.#isTold.add(process.told.get(id)!);
		// What has replaced the task may be claimed before the run ends that has completed it.
		for (const { current, isCommitted } of this.runs.values()) {
			if (isCommitted && current.owner === process && current.claim.id === id) this.#isTold.add(current);
		}
	}

	override onCompleted(owner: Owner, record: ClaimRecord): void {
		const run = this.#runs.get(record)!;
		run.isCommitted = run.isSettled = true;
		this.#over.add(numberOf(record.claim.payload));
		(owner as BasketProcess).onStored(record.claim.id, "done");
	}

	/** Called when a run with a committed transaction has ended, which must be reported unless a fault prevents it. */
	onEnd({ process, session, isCommitted, current }: Run): void {
		current.endedAt = this.clock.monotonic();
		const isLast = current.claim.crashes >= 2 || this.activeCalls(process) >= process.concurrency - 1;
		if (isLast) process.busyAt = current.endedAt;
		if (!isCommitted) return;
		const isWell = () => process.isAlive && process.session === session && process.isWorking && !process.isStopping;
		if (!isWell()) return;
		this.after(1, () => {
			const isDisturbed = Math.max(process.disturbedAt, process.frozenAt, this.jumpedAt) >= current.claimedAt;
			if (!isWell() || isDisturbed || process.isFrozen || this.#isTold.has(current)) return;
			this.fail(`${process.name} does not tell that ${current.claim.id} is done, which is committed`);
		}, this.clock);
	}

	#onStored(process: BasketProcess, record: ClaimRecord, outcome: Outcome, isStored: boolean): void {
		const { type } = outcome;
		const run = this.#runOf(record);
		if (run !== undefined) run.isSettled = true;
		if (!isStored) return;
		const { entry: { isCollected } } = record;
		if (type === "done" && isCollected) {
			for (const { data } of firstItems(run!.record.claim)) this.#items.delete(numberOf(data));
		} else if (!isCollected && (type === "done" || type === "dead")) this.#over.add(numberOf(record.claim.payload));
		// A release without a delay of its own may look as if it was put off for none.
		const isCut = type === "release" && outcome.delay === 0 && run?.endedInStop === true;
		const isPutOff = type === "release" && outcome.delay !== undefined && run?.outcome === "put off" && !isCut;
		process.onStored(record.claim.id, isPutOff ? "later" : type === "release" ? "released" : type);
	}

	/** The result is that of the run whose end is stored. */
	#checkResult(what: string, run: Run | undefined, result: Data | undefined): void {
		const hasResult = run !== undefined && rules[run.context.kind]!.hasResult;
		const expected = hasResult ? JSON.stringify(resultOf(run)) : undefined;
		if (result !== expected) this.fail(`${what} with the result ${result}, should be ${expected}`);
	}

	/** A run has seen the items that it got, and no others. */
	#checkSeen(what: string, run: Run | undefined, seen: number | undefined): void {
		const last = run && firstItems(run.record.claim).at(-1)?.n;
		if (seen === undefined || seen !== last) this.fail(`${what} with items up to ${seen}, should be up to ${last}`);
	}

	#checkPayload(what: string, run: Run, outcome: Settlement["outcome"]): void {
		if (run.record.entry.isCollected) {
			if (outcome.payload !== undefined) this.fail(`${what} with ${outcome.payload} in place of its items`);
			return;
		}
		// In a batch of a lane, a run behind one that was aborted or has failed does not count.
		if (run.record.claim.kind === "laned" && outcome.type === "release") return;
		const stored = outcome.payload ?? run.saved;
		if (outcome.type !== "done" && stored !== JSON.stringify(run.payload)) {
			this.fail(`${what} with ${stored}, should be ${JSON.stringify(run.payload)}`);
		}
	}

	override onSave(_owner: Owner, { payload }: Save, isStored: boolean, record: ClaimRecord): void {
		const run = this.#runOf(record);
		if (run !== undefined && payload !== undefined && isStored) run.isSaved = true;
	}

	/** Called when a process must stop. */
	override checkAborted(process: BasketProcess): void {
		for (const run of this.runs.values()) {
			if (run.process !== process || !run.isActive || run.context.signal.aborted) continue;
			this.fail(`${process.name} stops, and the signal of ${run.record.claim.id} has not aborted`);
		}
	}

	/** Called when a process has stopped. */
	override checkStopped(process: BasketProcess): void {
		const isLeftRunning = [...this.runs.values()].some((run) =>
			run.process === process && run.isActive && rules[run.record.claim.kind]!.isAbandoned
		);
		const isWaiting = process.calls > 0 || process.frozenAt === this.clock.monotonic(); // answers follow timers
		if (process.engineClock.pending > 0 && !isLeftRunning && !isWaiting) {
			this.fail(`${process.name} has stopped, and ${process.engineClock.pending} timers are set`);
		}
	}

	/** Checks an idle process: it retains nothing of ended runs, and has one timer. */
	checkIdle(process: BasketProcess): void {
		if (process.calls > 0 || process.isStopping || this.activeCalls(process) > 0) return;
		const { pending } = process.engineClock;
		if (pending > 1) this.fail(`${process.name} has nothing to do, and ${pending} timers are set`);
	}

	/** Called when a process learns that it has lost a claim. */
	override onLost(record: ClaimRecord): void {
		this.#lost.add(record);
	}

	/** Called between two steps, when no event is pending. */
	override check(): void {
		for (const record of this.#lost) {
			const run = this.#runOf(record);
			const isGoingOn = run?.isActive && run.current === record && !run.context.signal.aborted && !run.isCommitted;
			if (isGoingOn && !this.mayCountAsCommitted(record)) {
				this.fail(`${record.owner.name} goes on with ${record.claim.id}, whose claim is lost`);
			}
		}
		for (const process of this.processes) {
			const { isWorking, isPaused, isStopping, isFrozen, calls } = process;
			const isReady = isWorking && !isPaused && !isStopping && !isFrozen && calls === 0;
			if (isReady) this.#checkAhead(process);
			if (isReady) this.checkIdleness(process);
			if (isReady) checkWaiting(this, process, this.activeCalls(process), this.#isAloneIn(process));
			else process.busyAt = this.clock.monotonic();
		}
	}

	/** Whether the process runs a task that must run alone. */
	#isAloneIn(process: BasketProcess): boolean {
		return [...this.runs.values()].some((run) =>
			run.isActive && run.process === process && run.record.claim.crashes >= 2
		);
	}

	/** Checks that no process holds a task with limited attempts without running it. */
	#checkAhead(process: BasketProcess): void {
		const now = this.clock.monotonic();
		if (Math.max(process.turnDisturbedAt, process.frozenAt) >= now - recovery(process)) return;
		const claimed = [...this.ledger.entries.values()].flatMap(({ record }) =>
			record?.owner === process && this.ledger.isCurrent(record) ? [record] : []
		);
		if (claimed.some(({ claim }) => claim.crashes >= 2)) return;
		// The task may wait for the end of an earlier run in this process that has lost its claim and continues.
		const isRun = (id: string) =>
			[...this.runs.values()].some((run) => run.isActive && run.process === process && run.record.claim.id === id);
		for (const record of claimed) {
			const { id, kind } = record.claim;
			if (rules[kind]!.attempts === Infinity || record.toldAt === Infinity || record.isLeftBehind) continue;
			if (this.#runOf(record) !== undefined || isRun(id)) continue;
			this.fail(`${process.name} has claimed ${id} ahead`);
		}
	}

	protected override activeCalls(process: BasketProcess): number {
		const calls = new Set<object>();
		for (const run of this.runs.values()) if (run.isActive && run.process === process) calls.add(run.call);
		return calls.size;
	}

	/** Called when a process has ended. */
	override forget(process: BasketProcess): void {
		super.forget(process);
		for (const run of this.runs.values()) if (run.process === process) run.isActive = false;
	}
}

/** The items that a run under this claim gets. */
function firstItems({ payload, inbox }: Claim): readonly Message[] {
	return inbox.slice(0, JSON.parse((payload as string).slice(1)).most);
}

function numberOf(payload: Data): number {
	return (JSON.parse(payload as string) as Payload).n;
}

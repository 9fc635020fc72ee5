// The world of processes that run jobs, and its invariants.
import type { JobOutcome, JobRecord, RevertContext, Store } from "../../../mod.ts";
import type { Data, Outcome, Save, Settlement } from "../../../src/store.ts";
import type { JobCheckpoint } from "../../../src/job/state.ts";
import type { VirtualClock } from "../../../src/testing/testing.ts";
import type { ClaimRecord, Entry, Owner } from "../ledger.ts";
import type { Random } from "../random.ts";
import type { Call } from "./calls.ts";
import type { JobRules, StepRules } from "./definitions.ts";
import type { JobProcess } from "./process.ts";
import type { JobProfile } from "./profile.ts";
import { nameOf } from "../../../src/job/version.ts";
import { excuseForSurprise, isOverFor } from "../excuses.ts";
import { laws } from "../laws.ts";
import { World } from "../world.ts";
import { hasCancel, type JobBook, type JobClaim, makeBook, readEntry, readHead, readMessage } from "./books.ts";
import { describeCall } from "./calls.ts";
import { checkOutcome } from "./outcomes.ts";
import {
	equal,
	hasFailed,
	isAbandoned,
	judgeCommit,
	judgeEntry,
	judgeHead,
	sorted,
	type Transition,
} from "./transitions.ts";

/** The part of a save or a settlement that changes the job. */
type Stored = Pick<Save, "payload" | "log" | "seen">;

export class JobWorld extends World<JobProcess> {
	declare readonly profile: JobProfile;
	calls = 0;
	/** The records of all jobs, by their numbers. */
	readonly books: Map<number, JobBook> = new Map();
	readonly #byEntry = new Map<Entry, JobBook>();
	readonly #activeCalls = new Set<Call>();
	readonly #keys = new Map<string, string>();

	constructor(
		random: Random,
		profile: JobProfile,
		clock: VirtualClock,
		store: Store<never>,
		onTrace: ((line: string) => void) | undefined,
	) {
		super(random, profile, clock, store, onTrace);
	}

	get #now(): number {
		return this.clock.monotonic();
	}

	/** The stored jobs that have not ended. */
	get open(): JobBook[] {
		return [...this.books.values()].filter(({ endedAt, deletedAt }) => Math.min(endedAt, deletedAt) === Infinity);
	}

	override onAdd(_owner: Owner, entry: Entry): void {
		const rules = this.profile.rules.find(({ name }) => name === nameOf(entry.kind))!;
		const book = makeBook(entry, rules, this.#now);
		const { input, at, isBackward, attempts, logged, status, plan } = book.state;
		const start = { at: 0, isBackward: false, attempts: 0, logged: 0, plan: rules.steps.map(({ name }) => name) };
		equal(this, "the first head", { at, isBackward, attempts, logged, plan, status }, start);
		this.books.set(input as number, book);
		this.#byEntry.set(entry, book);
	}

	override onClaim(owner: Owner, record: ClaimRecord): void {
		const book = this.#byEntry.get(record.entry)!;
		const last = book.claims.get(owner);
		// The same run may continue with its knowledge from the previous claim.
		const { session } = owner as JobProcess;
		const isContinued = last !== undefined && last.session === session && isContinuedBy(last, record);
		book.isUnread = false;
		const before = isContinued ? last : undefined;
		const { age } = record.claim;
		const addedAt = Math.min(this.#now - age, before?.addedAt ?? Infinity);
		const leastAge = Math.min(age, before?.leastAge ?? Infinity);
		const { inbox = record.claim.inbox, calls = [] } = before ?? {};
		book.claims.set(owner, {
			...{ record, session, addedAt, leastAge, inbox, isContinued, calls },
			state: book.state,
			isLost: false,
		});
	}

	override onCrash(entry: Entry, record: ClaimRecord, next: Owner): void {
		this.#byEntry.get(entry)!.crashes++;
		super.onCrash(entry, record, next);
	}

	override checkLease(record: ClaimRecord): void {
		const process = record.owner as JobProcess;
		const now = this.#now;
		if (!laws.expiry || record.knownUntil >= now || process.isFrozen || process.frozenAt === now) return;
		if (process.told.get(record.claim.id) !== record) return;
		for (const call of this.#active(process)) {
			const isOther = call.book.entry !== record.entry || call.session !== process.session;
			if (isOther || call.context.signal.aborted) continue;
			this.fail(`${describeCall(call)}, and goes on, and its lease is over`);
		}
	}

	override onPost(_owner: Owner, entry: Entry, data: Data): void {
		const book = this.#byEntry.get(entry)!;
		const message = readMessage(data);
		book.postedAt.set(entry.posted + 1, this.#now);
		if (message.type !== "signal" || book.signals.has(message.name)) return;
		const { value } = message;
		book.signals.set(message.name, value === undefined ? {} : { value });
	}

	override onDelete(_owner: Owner, entry: Entry): void {
		this.#byEntry.get(entry)!.deletedAt = this.#now;
	}

	override onHasten(_owner: Owner, entry: Entry): void {
		const book = this.#byEntry.get(entry)!;
		if (book.isUnread) return;
		if (book.state.isFirm || book.state.attempts === 0) this.fail(`${entry.id} is hastened, which is not backing off`);
		book.isHastened = true;
	}

	override onSave(owner: Owner, save: Save, isStored: boolean, record: ClaimRecord): void {
		const book = this.#byEntry.get(record.entry)!;
		const what = `${owner.name} saves ${record.claim.id}`;
		if (owner !== record.owner) this.fail(`${what}, which was claimed by ${record.owner.name}`);
		if (save.payload === undefined && save.log === undefined) this.fail(`${what} without anything new`);
		if (!isStored) return;
		const { signals, isBackward } = book.state;
		this.#store(what, book, owner, save);
		if (save.payload !== undefined) {
			const news = JSON.stringify([book.state.signals, book.state.isBackward]);
			const isHeard = book.entry.inbox.some(({ n }) => n <= save.seen!);
			if (!isHeard && news === JSON.stringify([signals, isBackward])) {
				this.fail(`${what} with a head that says no more than the log`);
			}
		}
		if (book.state.status !== undefined) this.fail(`${what} as ${book.state.status}, and it is not done`);
	}

	override onSettle(owner: Owner, { outcome, log }: Settlement, isStored: boolean, record: ClaimRecord): void {
		const book = this.#byEntry.get(record.entry)!;
		const { id } = record.claim;
		const { type, payload } = outcome;
		const what = `${owner.name} settles ${id} as ${type}`;
		if (owner !== record.owner) this.fail(`${what}, which was claimed by ${record.owner.name}`);
		if (type === "dead") this.fail(what);
		if (!isStored) return;
		if (payload !== undefined || log !== undefined) {
			const seen = outcome.type === "later" ? outcome.seen : 0;
			this.#store(what, book, owner, { payload, log, seen }, type === "release");
		} else if (type === "done" || type === "later") this.fail(`${what} without its head`);
		const { status } = book.state;
		if ((type === "done") !== (status !== undefined)) this.fail(`${what}, status ${status}`);
		this.#checkCounted(what, book, owner as JobProcess, record);
		const { calls } = book.claims.get(owner)!;
		book.claims.get(owner)!.calls = [];
		if (outcome.type === "retry") this.#checkUnread(what, book, outcome, record, calls);
		if (outcome.type === "later") {
			book.crashes = book.hidden = 0;
			// The store resets its crash counter here. A remembered count would hide as many of the next crashes.
			equal(this, `${what}: crashes`, book.state.crashed, 0);
			this.#checkDelay(what, book, book.claims.get(owner)!, outcome.delay, outcome.backoff === true);
		}
		if (outcome.type !== "done") return;
		equal(this, `${id} is kept`, outcome.retain, this.profile.retain);
		book.endedAt = this.#now;
		(owner as JobProcess).ended[status!]++;
		this.#checkEnd(what, book);
	}

	/** Checks a claim that ends because the log could not be read: nothing was run or changed. */
	#checkUnread(
		what: string,
		book: JobBook,
		{ payload, hold, backoff }: Extract<Outcome, { readonly type: "retry" }>,
		record: ClaimRecord,
		calls: readonly Call[],
	): void {
		const { disturbedAt } = record.owner as JobProcess;
		if (disturbedAt < record.claimedAt) this.fail(`${what}, and the log could be read`);
		if (hold || !backoff || payload !== undefined || !record.claim.logged) this.fail(`${what}, which is not put off`);
		if (calls.some((call) => call.record === record)) this.fail(`${what}, and has run it`);
		book.isUnread = true;
		// The store has reset its counter, but the state still has the crashes up to the last step.
		book.hidden = Math.max(book.hidden, book.state.crashed);
		book.crashes = 0;
	}

	#store(what: string, book: JobBook, owner: Owner, { payload, log, seen = 0 }: Stored, isRelease = false): void {
		const claim = book.claims.get(owner)!;
		const { crashes } = this.profile;
		const before = book.state;
		const fail = (text: string) => this.fail(`${what} ${text}`);
		const transition = { book, claim, now: this.#now, crashes, fail };
		for (const [index, data] of log?.entries.entries() ?? []) {
			this.#append(what, book, owner as JobProcess, log!.after + index, data, transition);
		}
		if (payload !== undefined) {
			const next: JobCheckpoint = { ...readHead(payload), results: book.state.results };
			if (Object.hasOwn(readHead(payload), "results")) fail("with results in its head");
			judgeHead({ ...transition, next });
			book.state = next;
		}
		const { at, isBackward, attempts, status } = book.state;
		this.trace(`${what} at ${at}${isBackward ? " backward" : ""} attempts ${attempts} ${status} log ${log?.after}`);
		const inbox = book.entry.inbox.filter(({ n }) => n <= seen);
		const isLeft = claim.inbox.some(({ n }) => n > seen && book.entry.inbox.some((message) => message.n === n));
		if (isLeft && status === undefined && !isRelease) fail("and leaves messages behind that it knows");
		if (inbox.some(({ n }) => !claim.record.claim.inbox.some((known) => known.n === n))) {
			fail("and forgets messages that it cannot know of");
		}
		judgeCommit(transition, before, seen);
		claim.state = book.state;
		claim.calls = claim.calls.filter(({ isCounted }) => !isCounted);
		book.isHastened = false;
		if (at !== before.at || isBackward !== before.isBackward) book.crashes = book.hidden = 0;
	}

	/** Judges an entry. One that is there already may only be repeated as it is, after a fault. */
	#append(
		what: string,
		book: JobBook,
		process: JobProcess,
		index: number,
		data: Data,
		transition: Transition,
	): void {
		const stored = book.entry.log[index];
		if (stored !== undefined) {
			equal(this, `${what}: its entry ${index + 1} again`, data, stored);
			if (process.disturbedAt < book.loggedAt[index]!) this.fail(`${what} with entry ${index + 1} again`);
			return;
		}
		book.state = judgeEntry(transition, readEntry(data));
		book.loggedAt[index] = this.#now;
	}

	/** Checks that all calls that ended in time are recorded when the claim ends. */
	#checkCounted(what: string, book: JobBook, process: JobProcess, record: ClaimRecord): void {
		if (isOverFor(record, this.#now)) return;
		for (const call of book.claims.get(process)!.calls) {
			const { isActive, outcome, isCounted, endedAt } = call;
			if (isCounted || call.record !== record || call.session !== process.session) continue;
			const isInTime = endedAt < process.graceEndsAt;
			if (isActive && !isAbandoned(call) && this.#now < process.graceEndsAt) {
				this.fail(`${what} while ${describeCall(call)}`);
			}
			if (isActive || !isInTime) continue;
			const hasStopped = process.isStopping || !process.isWorking;
			const isWaiting = hasStopped && process.disturbedAt >= endedAt;
			if (outcome === "succeeded" && !isAbandoned(call) && !isWaiting) this.fail(`${what}, and forgets what was done`);
			const isInterrupted = process.isStopping || hasCancel(book.entry.inbox);
			if (hasFailed(call) && !isInterrupted) this.fail(`${what}, and forgets a failed attempt`);
		}
	}

	/** Checks that the delay of a waiting job agrees with its stored state. */
	#checkDelay(what: string, book: JobBook, { leastAge }: JobClaim, delay: number | null, isBackoff: boolean): void {
		const { state, rules: { steps } } = book;
		const { type, duration } = state.isBackward ? { type: "step", duration: 0 } : steps[state.at]!;
		if (isBackoff && delay !== 0 && (type !== "step" || state.attempts === 0 || state.isFirm)) {
			this.fail(`${what} to back off, which it does not`);
		}
		if (delay === null) {
			const isWaiting = type === "waitFor" && duration === Infinity;
			if (!isWaiting || Object.hasOwn(state.signals, steps[state.at]!.name)) this.fail(`${what} for ever`);
		} else if (delay > 0 && !(delay <= Math.ceil(untilOf(state) - leastAge))) {
			this.fail(`${what} for ${delay}, until ${untilOf(state)}, at the age of ${leastAge}`);
		}
	}

	/** Checks that completed steps are reverted in reverse order, or listed as unreverted. */
	#checkEnd(what: string, { rules, state: { status, results, unreverted = [] }, reverted }: JobBook): void {
		const done = rules.steps.filter(({ name, hasRevert }) => hasRevert && Object.hasOwn(results, name));
		const names = done.map(({ name }) => name).reverse();
		equal(this, `${what}: what was reverted`, [...reverted, ...unreverted], status === "completed" ? [] : names);
		if (status === "reverted") equal(this, `${what}: left`, unreverted, []);
	}

	/** Called when a function is called. */
	begin(
		process: JobProcess,
		rules: JobRules,
		step: StepRules,
		isRevert: boolean,
		context: RevertContext,
	): Call | undefined {
		const { id, input } = context;
		const what = `${process.name} ${isRevert ? "reverts" : "runs"} ${step.name} of ${id}`;
		const book = this.books.get(input as number);
		const claim = book?.claims.get(process);
		if (book === undefined || claim === undefined || book.rules !== rules || book.entry.id !== id) {
			this.fail(`${what}, which it has not claimed`);
			return undefined;
		}
		if (!process.isWorking || process.isStopping) this.fail(`${what}, but it has stopped`);
		this.#checkContext(what, book, claim, step, isRevert, context);
		this.#checkClaim(what, process, book, claim);
		this.#checkMessages(what, process, book, claim, isRevert);
		this.#checkOthers(what, process, book, claim);
		this.#checkKey(what, book, step, isRevert, context.idempotencyKey);
		const { record } = claim;
		const { session } = process;
		const facts = { process, session, record, book, step, isRevert, context, beganAt: this.#now };
		const open = {
			abortedAt: Infinity,
			endedAt: Infinity,
			isActive: true,
			outcome: undefined,
			value: undefined,
			message: undefined,
		};
		const call: Call = { ...facts, ...open, hint: undefined, delay: 0, isCounted: false };
		context.signal.addEventListener("abort", () => call.abortedAt = this.#now);
		this.calls++;
		this.#activeCalls.add(call);
		book.calls.push(call);
		claim.calls.push(call);
		return call;
	}

	/** Checks that the stored state allows the call. */
	#checkContext(
		what: string,
		book: JobBook,
		claim: JobClaim,
		step: StepRules,
		isRevert: boolean,
		context: RevertContext,
	): void {
		const { state } = claim;
		const current = state.plan[state.isBackward ? state.at - 1 : state.at];
		equal(this, `${what}: its turn`, [step.name, isRevert], [current, state.isBackward]);
		if (state.status !== undefined) this.fail(`${what}, which is ${state.status}`);
		const { attempt, results, error, result, previousError, input, version } = context;
		equal(this, `${what}: attempt`, attempt, state.attempts + 1);
		if (attempt > (isRevert ? step.revertAttempts : step.attempts)) this.fail(`${what} as attempt ${attempt}`);
		equal(this, `${what}: previous error`, (previousError as Error)?.message, state.previous?.message);
		equal(this, `${what}: results`, sorted(results as object), sorted(state.results));
		const isOver = isRevert ? book.reverted.includes(step.name) : Object.hasOwn(state.results, step.name);
		if (isOver) this.fail(`${what} again`);
		equal(this, `${what}: input`, [input, version, context.step], [state.input, state.version, step.name]);
		if (isRevert) equal(this, `${what}: result and error`, [result, error], [state.results[step.name], state.error]);
		const isEarly = this.#now - claim.addedAt < untilOf(state);
		if (isEarly && !book.isHastened && this.jumpedAt < book.addedAt) this.fail(`${what} before ${untilOf(state)}`);
		if (claim.calls.some(({ isActive, record }) => !isActive && record === claim.record)) {
			this.fail(`${what}, before what was done is stored`);
		}
	}

	#checkClaim(what: string, process: JobProcess, book: JobBook, { record, isLost, isContinued }: JobClaim): void {
		if (this.ledger.isCurrent(record)) {
			if (!isContinued && book.crashes >= this.profile.crashes + book.hidden) {
				this.fail(`${what} after ${book.crashes} crashes`);
			}
			return;
		}
		const isSurprise = record.isDeleted || excuseForSurprise(this, record) !== undefined;
		if (!isSurprise) this.fail(`${what}, whose claim is lost`);
		if (isLost) this.fail(`${what}, and knows that its claim is lost`);
		if (this.#isDeaf(process, record, book.deletedAt)) this.fail(`${what}, which was deleted`);
	}

	/** Whether a process must know a change by now, because it renews its leases three times per lease. */
	#isDeaf(process: JobProcess, record: ClaimRecord, since: number): boolean {
		if (process.isFrozen || Math.max(process.disturbedAt, this.jumpedAt) >= since || record.safeUntil < since) {
			return false;
		}
		return this.#now > since + process.lease / 3;
	}

	#checkMessages(
		what: string,
		process: JobProcess,
		book: JobBook,
		{ record, inbox }: JobClaim,
		isRevert: boolean,
	): void {
		if (!isRevert && hasCancel(inbox)) this.fail(`${what}, which was cancelled`);
		// A task that was claimed ahead does not know later messages until it begins.
		const first = book.calls.find((call) => call.record === record);
		if (!this.ledger.isCurrent(record) || first === undefined) return;
		for (const { n, data } of book.entry.inbox) {
			const { type } = readMessage(data);
			if (record.claim.inbox.some((known) => known.n === n) || type === "signal") continue;
			if (type === "cancel" && isRevert) continue;
			const since = Math.max(first.beganAt, book.postedAt.get(n)!);
			if (this.#isDeaf(process, record, since)) this.fail(`${what} in spite of ${type}`);
		}
	}

	#checkOthers(what: string, process: JobProcess, book: JobBook, claim: JobClaim): void {
		const isCurrent = this.ledger.isCurrent(claim.record);
		for (const call of book.calls) {
			if (!call.isActive || !isCurrent || isAbandoned(call) || this.#isLeft(call)) continue;
			if (call.process !== process ? this.#isElsewhere(call) : this.#isIgnorant(call, claim)) continue;
			this.fail(`${what}, while ${describeCall(call)}`);
		}
		let count = 1;
		for (const call of this.#active(process)) {
			if (!isAbandoned(call) && !this.#isLeft(call) && !this.#isIgnorant(call)) count++;
		}
		if (count > process.concurrency) this.fail(`${what}, the ${count}th of ${process.concurrency}`);
	}

	/** Whether another process may continue the job. */
	#isElsewhere({ record, context: { signal } }: Call): boolean {
		return signal.aborted || !laws.overlap || excuseForSurprise(this, record) !== undefined;
	}

	/** Whether the process has stopped meanwhile. */
	#isLeft({ process, session }: Call): boolean {
		return session !== process.session || process.graceEndsAt <= this.#now;
	}

	/** Whether the call continues although its claim was reported as lost. */
	#isIgnorant({ record, context: { signal } }: Call, claim?: JobClaim): boolean {
		return signal.aborted && record !== claim?.record && !this.ledger.isCurrent(record);
	}

	*#active(process: JobProcess): Generator<Call> {
		for (const call of this.#activeCalls) {
			if (!call.isActive) this.#activeCalls.delete(call);
			else if (call.process === process) yield call;
		}
	}

	#checkKey(what: string, { keys }: JobBook, { name }: StepRules, isRevert: boolean, key: string): void {
		const use = `${name} ${isRevert}`;
		const known = keys.get(use);
		if (known === undefined) {
			keys.set(use, key);
			if (this.#keys.has(key)) this.fail(`${what} with a key that is in use for ${this.#keys.get(key)}`);
			this.#keys.set(key, what);
		} else if (known !== key) this.fail(`${what} with another key than before`);
	}

	override checkAborted(process: JobProcess): void {
		for (const call of this.#active(process)) {
			if (call.context.signal.aborted) continue;
			this.fail(`${process.name} stops, and the signal of ${describeCall(call)} has not aborted`);
		}
	}

	override checkStopped(process: JobProcess): void {
		if (this.activeCalls(process) > 0) return;
		const { session } = process;
		// A run that was left behind may need a moment to notice this.
		this.after(0, () => process.isAlive && process.session === session && this.#checkEmpty(process), this.clock);
		if (process.engineClock.pending === 0 || process.waiting > 0 || process.calls > 0) return;
		if (process.frozenAt === this.#now) return; // answers follow timers
		this.fail(`${process.name} has stopped, and ${process.engineClock.pending} timers are set`);
	}

	#checkEmpty(process: JobProcess): void {
		const { jobs, state } = process.processor.getSnapshot();
		if (jobs.size > 0 || state !== "stopped") this.fail(`${process.name} has stopped, and shows ${jobs.size} ${state}`);
	}

	override onLost({ entry, owner, claim: { token } }: ClaimRecord): void {
		const claim = this.#byEntry.get(entry)!.claims.get(owner);
		if (claim?.record.claim.token === token) claim.isLost = true;
	}

	override check(): void {
		for (const process of this.processes) {
			if (process.isWorking && !process.isStopping && process.calls === 0) this.checkIdleness(process);
			for (const call of this.#active(process)) this.#checkHeeded(process, call);
		}
	}

	/** Checks that a cancel or a deletion reaches a running step within a third of the lease. */
	#checkHeeded(process: JobProcess, { book, record, isRevert, context: { signal }, ...call }: Call): void {
		if (signal.aborted || call.session !== process.session) return;
		const claim = book.claims.get(process)!;
		if (claim.isLost && claim.record === record) this.fail(`${process.name} goes on with ${record.claim.id}, lost`);
		if (this.#isDeaf(process, record, book.deletedAt)) {
			this.fail(`${process.name} goes on with ${record.claim.id}, deleted`);
		}
		if (isRevert || !this.ledger.isCurrent(record)) return;
		for (const { n, data } of book.entry.inbox) {
			const isCancel = readMessage(data).type === "cancel";
			if (isCancel && this.#isDeaf(process, record, book.postedAt.get(n)!)) {
				this.fail(`${process.name} goes on with ${record.claim.id}, cancelled`);
			}
		}
	}

	/** Checks that a process that has canceled a job without a fault aborts the running step. */
	checkCancelled(process: JobProcess, id: string): void {
		for (const { book, record, isRevert, context: { signal }, session } of this.#active(process)) {
			if (book.entry.id !== id || isRevert || signal.aborted || session !== process.session) continue;
			if (this.ledger.isCurrent(record) && hasCancel(book.entry.inbox)) this.fail(`${process.name} goes on with ${id}`);
		}
	}

	protected override activeCalls(process: JobProcess): number {
		return [...this.#active(process)].length;
	}

	override forget(process: JobProcess): void {
		super.forget(process);
		for (const call of this.#active(process)) call.isActive = false;
	}

	/** Checks that a job is shown as it was at some time: its head and its log are read one after the other. */
	checkShown(name: string, { id, input, results, history, direction, step, status }: JobRecord): void {
		const book = this.books.get(input as number);
		if (book?.entry.id !== id) return this.fail(`${name} is shown ${id} as ${status} without its state`);
		const { steps } = book.rules;
		const isOver = step === undefined;
		const at = steps.findIndex(({ name }) => name === step);
		const [next] = steps.filter(({ type }) => type === "step").filter(({ name }) => !Object.hasOwn(results, name));
		const isPast = at > steps.findIndex((step) => step === next) && next !== undefined;
		if (!isOver && direction === "forward" && isPast) {
			this.fail(`${name} is shown ${id} at ${step} without ${next.name}`);
		}
		const done = history.filter(({ isRevert, error }) => !isRevert && error === undefined);
		const lacks = done.find(({ step }) => !Object.hasOwn(results, step));
		if (lacks !== undefined) this.fail(`${name} is shown ${id} without the result of ${lacks.step}`);
	}

	/** Checks the outcome that a wait since the given time has received. */
	checkTold(what: string, id: string, since: number, outcome: JobOutcome | undefined): void {
		const books = [...this.books.values()].filter(({ entry, deletedAt }) => entry.id === id && deletedAt >= since);
		if (outcome === undefined) {
			if (!books.some(({ endedAt }) => endedAt >= since)) this.fail(`${what} that ${id} is not over`);
			return;
		}
		const problems = books.map((book) => checkOutcome(book, outcome));
		if (!problems.includes(undefined)) this.fail(`${what} of ${id} ${problems[0] ?? "what is not there"}`);
	}

	/** Checks a call since the given time that reported an unknown job. */
	checkMissing(what: string, id: string, since: number): void {
		const isHere = [...this.books.values()].some(({ entry, addedAt, deletedAt }) =>
			entry.id === id && addedAt < since && deletedAt === Infinity && !entry.mayBeGone
		);
		if (isHere) this.fail(`${what} that ${id} is not there`);
	}
}

/** Whether a run may continue under another claim because its own claim was not settled, and nobody else has stored a step. */
function isContinuedBy({ record: { claim }, state }: JobClaim, { claim: next }: ClaimRecord): boolean {
	const { attempts, crashes, logged = 0 } = next;
	return attempts === claim.attempts + 1 && crashes === claim.crashes + 1 && logged === state.logged;
}

/** Returns the age of a job before which it has no work. */
function untilOf({ until, delay, at, isBackward }: JobCheckpoint): number {
	return until ?? (at === 0 && !isBackward ? delay : undefined) ?? -Infinity;
}

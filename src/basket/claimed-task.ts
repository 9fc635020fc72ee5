/**
 * One task while this process has a claim on it: reading its payload, one attempt, and its outcome. Its states are
 * described in {@link ClaimState}.
 *
 * @module
 */

import type { BatchMember, SharedRun } from "./batches.ts";
import type { Calls } from "./calls.ts";
import type { ClaimOwner, LeaseState } from "./claim-owner.ts";
import type { JobClaim } from "./job-claim.ts";
import type { Ending } from "./ending.ts";
import type { Kind } from "./options.ts";
import type { Claim, Data, Done } from "./store.ts";
import type { ContextOwner } from "./user-context.ts";
import { type Collected, collectedIn, readPayload } from "./collecting.ts";
import { ClaimState, isNext } from "./claim-state.ts";
import { decodeFailure, errorOf } from "./codec.ts";
import { ClaimLostError, encodeProgress } from "./context.ts";
import type { Watched } from "./observing.ts";
import { againEnding, deadEnding, endingWith, released } from "./ending.ts";
import { withHistory } from "./history.ts";
import { beginTick, checkCompletable, endTick } from "./schedules.ts";
import { tickHostOf, type TickTask } from "./tick-host.ts";
import { chain, checkSize, checkTx, encodePayload, isThenable, synchronous } from "./payload.ts";
import { Execution, resume, type RunStep, step as takeStep } from "../run/execution.ts";
import { type Task, type TaskContext, unwrap } from "../run/task.ts";
import { isEnvelope } from "../schedule/envelope.ts";
import type { Tick } from "../schedule/ticks.ts";
import { report } from "../platform/observe.ts";

export class ClaimedTask<Tx> extends ClaimState implements ContextOwner<Tx>, BatchMember, JobClaim, TickTask {
	readonly id: string;
	readonly kind: string;
	/** The current claim. A renewed claim replaces it. */
	claim: Claim;
	/** The earliest time at which the lease may expire, on the monotonic clock. */
	leaseEndsAt: number;
	/** Reported progress that is not yet saved. */
	progress: string | undefined;
	/** The number of this attempt, also if the run continues under a newer claim; 0 if it has not begun. */
	attempt = 0;
	/** See {@link JobClaim}. */
	onPosted: (() => void) | undefined;
	isPosted = false;
	/** The task behind it: see lane-runs.ts. */
	next: ClaimedTask<Tx> | undefined;
	/** Set if it runs in a call with others. */
	sharedRun: SharedRun | undefined;
	/** See {@link BatchMember}. */
	isReturned = false;
	watched: Watched | undefined;
	readonly calls: Calls;
	readonly #owner: ClaimOwner<Tx>;
	readonly #kind: Kind;
	readonly #maxPayload: number | undefined;
	/** Its tick, while the function of a scheduled task may run. */
	tick: Tick | undefined;
	/** The store's clock at the claim, minus the monotonic clock when its answer arrived: never ahead of the store. */
	readonly ahead: number;
	#begunAt = 0;
	#execution: Execution<unknown> | undefined;
	#attempt: TaskContext | undefined;
	#payload: unknown;
	/** The payload in the store, and the number of entries in the log. */
	#stored: Data;
	#logged: number;
	/** Whether the basket stops: later failures do not count. */
	#isAborted = false;
	/** The items of this run, if the payload is collected items. */
	#collected: Collected | undefined;
	/** The last transaction in which the task was completed. */
	#completedIn: unknown;

	constructor(owner: ClaimOwner<Tx>, claim: Claim, leaseEndsAt: number) {
		super();
		this.#owner = owner;
		this.calls = owner.calls;
		({ id: this.id, kind: this.kind } = claim);
		this.claim = claim;
		this.leaseEndsAt = leaseEndsAt;
		this.#stored = claim.payload;
		this.#logged = claim.logged ?? 0;
		this.#kind = owner.settings.kinds.get(claim.kind)!;
		this.#maxPayload = owner.settings.store.capabilities.maxPayload;
		this.ahead = claim.addedAt + claim.age - owner.settings.clock.monotonic();
	}

	/** The signal of the current attempt. */
	get signal(): AbortSignal {
		return this.#attempt!.signal;
	}

	/** Its end if the task is given back. If its function was called, that remains a start for the rate of a limit. */
	get released(): Ending {
		const isStart = this.#execution !== undefined && this.#kind.limit?.bounds.spacing;
		return isStart ? { ...released, outcome: { type: "release", delay: 0 } } : released;
	}

	/** Whether the task has crashed so often that it must run alone. */
	get isSuspect(): boolean {
		return this.claim.crashes >= 2;
	}

	/** Makes one attempt, which begins now, on the monotonic clock. Never rejects. */
	async run(begunAt: number): Promise<Ending> {
		this.begin();
		this.#begunAt = begunAt;
		const isTick = this.#kind.mayRecur && isEnvelope(this.claim.payload);
		this.attempt = this.claim.attempts + 1;
		let ending: Ending;
		try {
			const unready = isTick ? await this.#beginTick() : undefined;
			if (unready !== undefined) this.attempt = 0;
			ending = unready ?? this.#refusal() ?? this.#release() ?? await this.#perform();
		} catch (refusal) {
			// An error of the codec, the schema or shouldRetry.
			ending = this.#dead(this.#execution === undefined ? this.claim.attempts : this.attempt, refusal);
		}
		const isKept = this.#execution === undefined || this.#collected !== undefined || this.isReturned;
		const isDone = ending.outcome.type === "done";
		const more: object | undefined = isDone ? this.#collected?.end : isKept ? undefined : await this.#changed();
		this.end();
		if (more !== undefined) ending = { ...ending, outcome: { ...ending.outcome, ...more } };
		return this.tick === undefined ? ending : endTick(this.tick, ending, this.attempt);
	}

	/** The present on the store's clock, or a little before it. */
	now(): number {
		return this.ahead + this.#owner.settings.clock.monotonic();
	}

	/** Decides what a claim of a schedule stands for. Returns its end if the function is not called now. */
	async #beginTick(): Promise<Ending | undefined> {
		const { schedules } = this.#owner.settings;
		const begun = await beginTick(schedules, this.#kind, this.claim.payload, tickHostOf(this.#owner, this));
		if ("type" in begun) return endingWith(begun);
		this.tick = begun;
	}

	/** The basket stops: later failures do not count. */
	abort(reason: unknown): void {
		this.#isAborted = true;
		this.#execution?.abort(reason);
	}

	/**
	 * Whether a new claim continues this one, without a change of the task in between: another worker may have
	 * claimed, saved and released it.
	 */
	isContinuedBy(next: Claim): boolean {
		return !this.isExpired && isNext({ ...this.claim, payload: this.#stored, logged: this.#logged }, next);
	}

	/** Records what the run itself has stored, for a kind whose payloads are stored unchanged. */
	saved(data: Data | undefined, logged: number = this.#logged): void {
		if (data !== undefined) this.#payload = this.#stored = data;
		this.#logged = logged;
	}

	/** Another worker has the claim. */
	lose(): void {
		if (this.isOver) return;
		this.close();
		this.#lost();
	}

	/** The store has answered whether the claim is still there. */
	renewed(state: LeaseState, endsAt: number): void {
		this.isPosted ||= state === "posted";
		if (state === "posted" && !this.isOver) this.onPosted?.();
		if (state !== "lost") this.leaseEndsAt = Math.max(this.leaseEndsAt, endsAt);
		else if (this.isCompleting) this.#completed();
		// One that is being settled may have gone for that reason.
		else if (!this.hasEnded) this.lose();
	}

	/** The claim is gone. If its lease cannot have expired, only the task's own transaction can have ended it. */
	#completed(): void {
		const isItsOwn = !this.isOver && this.#completedIn !== undefined;
		if (isItsOwn && !this.isExpired && !this.#isLeaseOver()) this.commit();
	}

	/** The lease may have expired. */
	override expire(): void {
		if (!this.mayExpire) return;
		super.expire();
		this.#lost();
	}

	#lost(): void {
		const { settings } = this.#owner;
		settings.observing?.tell(settings, "lost", this);
		this.#execution?.abort(new ClaimLostError(this.id));
	}

	async #perform(): Promise<Ending> {
		const collected = this.#collected = collectedIn(this.#kind, this.claim);
		const payload = readPayload(this.#kind, this.tick?.payload ?? this.claim.payload, collected?.items);
		this.#payload = isThenable(payload) ? await payload : payload;
		return this.#release() ?? this.#move() ?? this.#end(await this.#execute(this.#call));
	}

	/** Gives a task back that does not wait where its limit wants it: its payload or the limit was changed. */
	#move(): Ending | undefined {
		const limitKey = this.#kind.limit?.keyOf?.(this.#payload);
		if (limitKey === undefined || limitKey === this.claim.limitKey) return undefined;
		this.attempt = 0;
		return endingWith({ type: "release", limitKey });
	}

	#execute(task: Task<unknown>): Promise<RunStep<unknown>> {
		const { error, attempts } = this.claim;
		const { tick } = this;
		// The last error and the time since the add belong to earlier ticks.
		const before = tick !== undefined && attempts === 0 ? undefined : decodeFailure(error);
		const age = tick === undefined ? this.claim.age : Math.max(0, this.now() - tick.due);
		const execution = this.#execution = new Execution(task, this.#kind.settings);
		resume(execution, this.attempt - 1, before && errorOf(before), before?.delay, age);
		return takeStep(execution);
	}

	readonly #call = (attempt: TaskContext): unknown => {
		this.#attempt = attempt;
		return this.calling(() => this.#kind.call(this.#payload, this, attempt));
	};

	checkLeases(): void {
		this.#owner.expire();
	}

	calling<T>(call: () => T): T {
		this.#owner.isCalling = true;
		try {
			return call();
		} finally {
			this.#owner.isCalling = false;
		}
	}

	#end(step: RunStep<unknown>): Ending | Promise<Ending> {
		if (this.isCompleting) return this.#verify(step);
		if (step.ok) return this.#kind.hasResult ? this.#succeed(step.value) : this.#kind.end(step.value);
		if (this.#isAborted || this.isExpired || this.isReturned) return this.released;
		if (!step.again) return this.#dead(this.attempt, step.error);
		return againEnding(step, this.#execution!, this.attempt, this.#kind.limit !== undefined);
	}

	/** A result that cannot be stored is reported, and missing: the work is done nevertheless. */
	async #succeed(value: unknown): Promise<Ending> {
		const ending = this.#kind.end(value);
		try {
			const result = await encodePayload(this.#kind, value, this.#maxPayload);
			return { ...ending, outcome: { ...ending.outcome as Done, result } };
		} catch (error) {
			report(this.#owner.settings.onError, error);
			return ending;
		}
	}

	/**
	 * The state of the claim shows whether the transaction was committed. If the claim ended after its lease may have
	 * expired, it is unknown here who ended it.
	 */
	async #verify(step: RunStep<unknown>): Promise<Ending> {
		const state = this.isCompleted || this.isOver ? undefined : await this.#ask();
		if (this.isCompleted) return endingWith({ type: "done" });
		if (state === undefined || state === "lost") return this.#giveUp();
		this.endCommit();
		if (this.isExpired) return this.released;
		if (!step.ok) return this.#end(step);
		const error = new Error("The transaction given to complete() was not committed");
		return this.#end(await this.#execute(() => Promise.reject(error)));
	}

	/** The state of the claim; `undefined` if it cannot be determined. */
	async #ask(): Promise<LeaseState | undefined> {
		const ask = async (): Promise<LeaseState | undefined> => {
			const { claim } = this;
			const [state] = await this.#owner.extend([this], this.calls.limit);
			if (claim !== this.claim) return await ask(); // claimed anew meanwhile
			return state;
		};
		return await ask().catch(() => this.calls.trying(ask)).catch(() => undefined);
	}

	/** It is unknown whether the task is done. If it is not, it runs again when its lease has expired. */
	#giveUp(): Ending {
		this.lose();
		report(this.#owner.settings.onError, new ClaimLostError(this.id, { isUnknown: true }));
		return released;
	}

	/** The reason not to run the task at all, if any. */
	#refusal(): Ending | undefined {
		const { attempts, crashes } = this.claim;
		if (crashes < this.#kind.crashes && attempts < this.#kind.settings.attempts) return undefined;
		const text = `The process that ran it ended without a word: ${crashes} times in a row, in ${attempts} attempts`;
		return this.#dead(attempts, new Error(text));
	}

	/** The task was aborted before it began. */
	#release(): Ending | undefined {
		return this.#isAborted || this.isOver ? released : undefined;
	}

	#dead(attempts: number, thrown: unknown): Ending {
		return deadEnding(attempts, unwrap(thrown), this.#kind.retainDead);
	}

	/** The payload after the run, if it has changed. If it cannot be stored, this is reported. */
	async #changed(): Promise<Pick<Done, "payload"> | undefined> {
		try {
			const data = await this.#encode(this.#payload);
			return data === this.#stored ? undefined : { payload: data };
		} catch (error) {
			report(this.#owner.settings.onError, error);
		}
	}

	#encode(payload: unknown): Data | PromiseLike<Data> {
		const data = encodePayload(this.#kind, payload, this.#maxPayload);
		const { tick } = this;
		return tick === undefined ? data : chain(data, (data) => checkSize(tick.seal(data), this.#maxPayload));
	}

	/** See `BasketContext.report`. */
	report(value: number, description: string | undefined): void {
		const progress = encodeProgress(value, description);
		if (this.isOver) return;
		this.progress = progress;
		this.#owner.onProgress();
	}

	/** See `BasketContext.save`. */
	async save(payload: unknown, tx: Tx | undefined): Promise<void> {
		if (this.#collected !== undefined) {
			throw new TypeError("Collected items cannot be saved: they stay as they were added");
		}
		let data = this.#encode(payload);
		if (isThenable(data)) data = await synchronous(data, tx);
		this.#throwIfOver();
		const { claim } = this;
		const { store, name } = this.#owner.settings;
		// The engine sets no time limit for a transaction of the caller.
		const limit = tx === undefined ? undefined : Infinity;
		const [saved] = await this.calls.track(() => store.save(name, [{ ref: claim, payload: data }], tx), limit);
		if (!saved && claim !== this.claim) return await this.save(payload, tx); // claimed anew meanwhile
		if (!saved) this.#throwLost();
		if (tx !== undefined) return; // the transaction may be rolled back
		this.#payload = payload;
		this.#stored = data;
	}

	/** See `BasketContext.complete`. */
	async complete(tx: Tx): Promise<void> {
		this.#throwIfOver();
		checkTx(tx);
		checkCompletable(this.tick);
		const { settings, settings: { store, name } } = this.#owner;
		const { isCompleting, claim } = this;
		const before = this.#completedIn;
		this.beginCommit();
		this.#completedIn = tx;
		try {
			const done = endingWith({ ...this.#collected?.end, type: "done", retain: this.#kind.retain });
			const { outcome } = withHistory(this, done, settings, this.#begunAt);
			const isCompleted = await store.complete(name, claim, outcome as Done, tx);
			// Before the lease can have expired, nobody else can have ended the claim: this transaction did, in an
			// earlier call. By now the connection may have another transaction.
			const isRepeated = isCompleting && before === tx && !this.isCompleted && !this.#isLeaseOver();
			if (isCompleted || isRepeated) return;
			if (claim === this.claim) this.#throwLost();
			await this.complete(tx); // claimed anew meanwhile
		} catch (error) {
			// An earlier completion may still be committed.
			if (!isCompleting) this.endCommit();
			this.#completedIn = before;
			throw error;
		}
	}

	#isLeaseOver(): boolean {
		return this.leaseEndsAt <= this.#owner.settings.clock.monotonic();
	}

	/** After a sleep of the machine, this may run before the expiry of the lease was detected. */
	#throwIfOver(): void {
		if (this.isOver || this.isExpired || this.#isLeaseOver()) this.#throwLost();
	}

	#throwLost(): never {
		if (this.#isLeaseOver()) this.#owner.expire();
		else if (!this.isExpired) this.lose(); // if it is being completed, it may still be released
		throw new ClaimLostError(this.id);
	}
}

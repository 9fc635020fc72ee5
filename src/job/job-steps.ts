/**
 * The attempts of the steps of a job that this process has claimed: one by itself, or those of several branches at once.
 *
 * @module
 */

import { decodeFailure, encodeFailure, isThenable } from "../basket/engine.ts";
import type { Data, Outcome } from "../basket/store.ts";
import { ClaimedJob } from "./claimed-job.ts";
import { cancelled, textOf } from "./failures.ts";
import { LogGate } from "./log-gate.ts";
import { keepStep, openBranches, sortGroup } from "./groups.ts";
import { checkPlan, type JobEntry, type PreparedStep, type StoredAttempt, type Waiting } from "./state.ts";
import { type JobPosition, StepAttempt, type StepPlace } from "./step-attempt.ts";
import { entryOf, fail, follow, noAttempts, remember } from "./transitions.ts";
import { later } from "../run/task.ts";
import { widen } from "./value.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** What an attempt that has not succeeded leads to. */
export type Missed =
	/** The next attempt is due after a delay. */
	| { readonly type: "again"; readonly waiting: Waiting; readonly delay: number }
	/** The step has failed. */
	| { readonly type: "failed"; readonly error: unknown }
	/** The attempt was aborted, and does not count. */
	| { readonly type: "aborted" };

export abstract class JobSteps<Tx> extends ClaimedJob<Tx> implements JobPosition<Tx> {
	protected readonly attempts: Map<number, StepAttempt<Tx>> = new Map();
	protected isCancelled = false;
	/** The error because of which all branches end. */
	#failure: { readonly error: unknown } | undefined;
	#storing: Promise<boolean> | undefined;
	readonly gate: LogGate = new LogGate();

	get isLeft(): boolean {
		return this.task.isOver && this.attempts.size === 0;
	}

	protected cancel(): void {
		this.isCancelled = true;
		this.#abort(cancelled());
	}

	#abort(reason: unknown): void {
		for (const attempt of this.attempts.values()) attempt.abort(reason);
	}

	settle(): Promise<void> | undefined {
		this.gate.check();
		if (this.gate.shut !== undefined) return this.gate.shut;
		if (this.#storing === undefined && this.isStored) return undefined;
		return this.#store().then((isStored) => {
			if (isStored) return;
			this.gate.check();
			// This is no failure of the branch that waits.
			throw later(0, "The results of other branches could not be stored");
		});
	}

	/** Stores what branches have done while others run. Returns whether that was possible. */
	#store(): Promise<boolean> {
		return this.#storing ??= this.#storeAll().finally(() => this.#storing = undefined);
	}

	async #storeAll(): Promise<boolean> {
		// Results that come together are stored together.
		await undefined;
		while (!this.isStored) {
			if (this.gate.shut !== undefined) await this.gate.shut;
			else if (this.gate.broken !== undefined || !await this.save()) return false;
		}
		return true;
	}

	/** Makes one attempt of a step or of its revert. `undefined` if it is done. Rejects if the claim is lost. */
	protected async attempt(step: PreparedStep, place: StepPlace): Promise<Missed | undefined> {
		const { owner: { clock }, task: { signal } } = this;
		const { name } = step.definition;
		const attempt = new StepAttempt<Tx>(this, step, place);
		this.attempts.set(place.at, attempt);
		this.hasRun = true;
		this.owner.onChange();
		const { timeLeft } = this;
		const timer = timeLeft < Infinity ? new CallbackTimer(() => attempt.abort(this.overdue)) : undefined;
		if (timer !== undefined) clock.set(timer, timeLeft);
		try {
			const result = await attempt.run(signal);
			this.attempts.delete(place.at);
			if (this.task.isOver) throw signal.reason;
			if ("entry" in result) {
				this.log.stored++;
				this.#advance(result.entry, result.data);
				return undefined;
			}
			if (result.ok) return await this.succeed(place.at, result.value, (error) => attempt.record(error));
			if (signal.aborted || this.isCancelled || this.#failure !== undefined) return { type: "aborted" };
			const where = { step: name, isRevert: place.isBackward, attempt: attempt.number };
			if (this.timeLeft <= 0) {
				this.tell({ ...where, error: this.overdue, again: false, delay: 0 });
				return this.#failed(this.overdue, attempt.record(textOf(this.overdue)));
			}
			const { error, again, delay, later } = result;
			this.isKeyShut ||= again && attempt.isKeyShut && this.job.job.limit !== undefined;
			if (later) return { type: "again", waiting: attempt.postponed(delay), delay };
			this.tell({ ...where, error, again, delay });
			const record = attempt.record(textOf(error));
			if (!again) return this.#failed(error, record);
			this.state = { ...this.state, history: remember(this.state.history, record) };
			return { type: "again", waiting: attempt.next(error, delay), delay };
		} finally {
			if (timer !== undefined) clock.clear(timer);
			attempt.end();
		}
	}

	#failed(error: unknown, attempt?: StoredAttempt): Missed {
		if (attempt !== undefined) this.state = { ...this.state, history: remember(this.state.history, attempt) };
		return { type: "failed", error };
	}

	/** A step is done. A result that cannot be encoded fails it. */
	protected async succeed(
		at: number,
		value: unknown,
		record?: (error?: string) => StoredAttempt,
	): Promise<Missed | undefined> {
		try {
			const entry = entryOf(this.state, at, value, record?.(), this.task.claim.crashes);
			const encoded = this.encode(entry);
			const data = isThenable(encoded) ? await encoded : encoded;
			if (this.gate.isWaiting) await this.gate.pass();
			this.log.add(data);
			this.#advance(entry, data);
		} catch (error) {
			return this.#failed(error, record?.(textOf(error)));
		}
	}

	/** The state after an entry, which is in the log or will be stored next. */
	#advance(entry: JobEntry, data: Data): void {
		const { plan, results } = this.state;
		const { at, value, gaps } = entry;
		const next = follow(this.job, this.state, entry);
		if (!entry.isRevert) keepStep(results, plan, at, gaps === undefined ? value : widen(value, gaps));
		if (!entry.isRevert && next.open === undefined) sortGroup(results, plan, at);
		this.advance(next, data);
	}

	protected fail(error: unknown): undefined {
		const { crashes: crashed } = this.task.claim;
		const failure = decodeFailure(encodeFailure(error))!;
		const state = fail(this.job, this.state, failure, { crashed, history: this.state.history });
		if (state.status === undefined) this.problem = checkPlan(this.job, state);
		this.become(state);
	}

	/** The time until a branch may begin, in milliseconds. */
	#delayOf(at: number, isAwake: boolean): number {
		const { until = -Infinity, isFirm } = this.state.branches?.[at] ?? noAttempts;
		return isAwake && !isFirm ? 0 : Math.max(0, Math.ceil(until - this.age));
	}

	/** Ends the claim until the first branch may begin. */
	protected async waitForBranches(isAwake: boolean): Promise<Outcome | undefined> {
		const open = openBranches(this.state);
		const delay = open.reduce((least, at) => Math.min(least, this.#delayOf(at, isAwake)), Infinity);
		if (delay === 0) return undefined;
		return await this.later(delay, open.some((at) => !this.state.branches?.[at]?.isFirm));
	}

	/**
	 * Runs the current branches until all are done, one has failed, or those that are left must wait. Rejects if the claim is
	 * lost.
	 *
	 * @param isAwake whether somebody has asked for the next attempts now
	 */
	protected async runBranches(isAwake: boolean): Promise<void> {
		const { owner: { clock }, task: { signal }, state: { at: first } } = this;
		const running = new Set<number>();
		const timer = new CallbackTimer(() => wake());
		let wake!: () => void;
		this.#failure = undefined;
		const mayBegin = () =>
			this.#failure === undefined && this.gate.broken === undefined && !this.isYielding && !this.isCancelled &&
			!signal.aborted &&
			this.timeLeft > 0 && this.state.at === first;
		const begin = (at: number) => {
			running.add(at);
			const end = () => {
				running.delete(at);
				wake();
			};
			this.#runBranch(at, () => running.size > 1).catch((reason) => this.#abort(reason)).then(end);
		};
		do {
			const change = new Promise<void>((resolve) => wake = resolve);
			const waiting = openBranches(this.state).filter((at) => !running.has(at));
			let next = Infinity;
			for (const at of waiting) {
				if (!mayBegin()) break;
				const delay = this.#delayOf(at, isAwake);
				if (delay > 0) next = Math.min(next, delay);
				else if (this.mustQueue()) this.isYielding = true;
				else begin(at);
			}
			isAwake = false;
			if (running.size === 0) break;
			if (next < Infinity) clock.set(timer, next);
			await change;
			clock.clear(timer);
		} while (running.size > 0 || mayBegin());
		await this.#storing;
		this.gate.check();
		this.#endBranches();
	}

	#endBranches(): void {
		const failure = this.#failure;
		this.#failure = undefined;
		if (failure !== undefined) this.fail(failure.error);
	}

	/** Makes one attempt of a branch. */
	async #runBranch(at: number, othersRun: () => boolean): Promise<void> {
		const { plan, branches } = this.state;
		const place = { ...branches?.[at] ?? noAttempts, at, isBackward: false };
		const missed = await this.attempt(this.job.steps.get(plan[at]!)!, place);
		if (missed?.type === "failed") {
			this.#failure ??= missed;
			this.#abort(missed.error);
		}
		if (missed?.type === "again") {
			this.become({ ...this.state, branches: { ...this.state.branches, [at]: missed.waiting } });
		}
		if (othersRun() && !await this.#store()) this.isYielding = true;
	}
}

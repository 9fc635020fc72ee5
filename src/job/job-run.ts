/**
 * One job while this process has a claim on its task: it runs steps one after the other until the job must wait.
 *
 * Its invariants:
 *
 * - Each result is appended to the log of the job before the next step begins, and the end of the job is stored together
 *   with its last result. A lost claim can store nothing, and ends the run.
 * - A job that must wait (for the next attempt, a sleep, a signal) ends its claim, so that it holds neither a worker
 *   nor a lease.
 * - What cannot be stored now is stored with the settlement of the claim, which the worker retries until
 *   it succeeds or the claim is lost. It is never a failure of the step.
 *
 * @module
 */

import { decodeFailure, encodeFailure } from "../basket/engine.ts";
import type { Data, Outcome } from "../basket/store.ts";
import { cancelled, ClaimedJob, textOf } from "./claimed-job.ts";
import {
	checkPlan,
	type JobEntry,
	type JobMessage,
	keepResult,
	type PreparedStep,
	type StoredAttempt,
} from "./state.ts";
import { type JobPosition, StepAttempt } from "./step-attempt.ts";
import { entryOf, fail, follow, remember } from "./transitions.ts";
import { type LiveJob, position } from "./view.ts";
import { timeoutError } from "../run/attempt.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";
import { report } from "../platform/observe.ts";
import { validate } from "../platform/standard-schema.ts";

export class JobRun<Tx> extends ClaimedJob<Tx> implements JobPosition<Tx> {
	#attempt: StepAttempt<Tx> | undefined;
	#isCancelled = false;

	get place(): Pick<LiveJob, "direction" | "step" | "attempt"> {
		return { ...position(this.state), attempt: this.state.attempts + 1 };
	}

	get isLeft(): boolean {
		return this.task.isOver && this.#attempt === undefined;
	}

	async look(): Promise<void> {
		this.mustLook = this.state === undefined;
		if (this.mustLook) return;
		try {
			for (const [, message] of await this.readMessages()) this.#notice(message);
		} catch (error) {
			report(this.owner.onError, error);
		}
	}

	/** The step is running; the message itself is read with the next claim. */
	#notice(message: JobMessage | undefined): void {
		const isCancel = message?.type === "cancel" && !this.state.isBackward;
		if (!isCancel && message?.type !== "yield") return;
		this.isYielding = true;
		if (!isCancel) return;
		this.#isCancelled = true;
		this.#attempt?.abort(cancelled());
	}

	protected heed(message: JobMessage | undefined): void {
		const { plan, at, isBackward, signals, status } = this.state;
		if (isBackward || status !== undefined) return;
		if (message?.type === "cancel") this.fail(cancelled());
		if (message?.type !== "signal") return;
		const { name, value } = message;
		// The first signal with a name counts.
		const isOpen = plan.indexOf(name) >= at && !Object.hasOwn(signals, name);
		if (isOpen) this.become({ ...this.state, signals: { ...signals, [name]: { value } } });
	}

	protected async proceed(): Promise<Outcome> {
		const { signal } = this.task;
		// An empty inbox means that the backoff has ended or was cut short.
		let isAwake = this.task.claim.inbox.length === 0;
		for (;;) {
			const { plan, at, isBackward, status } = this.state;
			if (this.problem !== undefined) return await this.hold(this.problem);
			if (status !== undefined) return await this.done();
			if (this.timeLeft <= 0) {
				this.fail(this.overdue);
				continue;
			}
			const step = this.job.steps.get(plan[isBackward ? at - 1 : at]!)!;
			const isCall = isBackward || step.definition.type === "step";
			if (!isCall && this.log.isFull && !await this.save()) return await this.later(0);
			let delay = isCall ? this.#backoff(isAwake) : await this.#wait(step);
			if (delay === undefined && !isCall) continue;
			if (delay !== undefined) return await this.#later(delay, isCall);
			if (this.isYielding || this.mustQueue()) return await this.later(0);
			if (!this.isStored) {
				if (signal.aborted) return { type: "release", payload: await this.encodeHead() };
				if (!await this.save()) return await this.later(0);
				continue; // a message may have come meanwhile
			}
			delay = await this.#try(step, signal);
			if (delay !== undefined) return await this.#later(delay, true);
			isAwake = false;
		}
	}

	/** The remaining backoff before the next attempt; `undefined` if there is none. */
	#backoff(isAwake: boolean): number | undefined {
		// Not 0: if the clock was set back, the age of a job may be negative.
		const { until = -Infinity } = this.state;
		const delay = Math.ceil(until - this.age);
		return isAwake || delay <= 0 ? undefined : delay;
	}

	/**
	 * The time until there is work; `null` until a message arrives; `undefined` if the step is passed: the sleep is
	 * over, or the signal has arrived or timed out.
	 */
	async #wait({ definition: { name, type, duration, options: { schema } } }: PreparedStep): Promise<
		number | null | undefined
	> {
		const { until, signals } = this.state;
		const { age } = this;
		if (type === "waitFor" && Object.hasOwn(signals, name)) {
			const { [name]: signal, ...rest } = signals;
			const read = async () => schema === undefined ? signal!.value : await validate(schema, signal!.value);
			await read().then((value) => this.#succeed(value), (error) => this.fail(error));
			this.become({ ...this.state, signals: rest });
		} else if (duration === 0 || (until !== undefined && until <= age)) {
			if (type === "sleep") await this.#succeed(undefined);
			else this.fail(timeoutError(`No signal ${JSON.stringify(name)} came within ${duration} ms`, undefined));
		} else if (until !== undefined) return Math.ceil(until - age);
		else if (duration === Infinity) return null;
		else {
			this.state = { ...this.state, until: Math.floor(age + duration) };
			return duration;
		}
	}

	/** Makes one attempt of a step or of its revert. Returns the delay before the next attempt, if there is one. */
	async #try(step: PreparedStep, signal: AbortSignal): Promise<number | undefined> {
		const attempt = this.#attempt = new StepAttempt<Tx>(this, step);
		this.hasRun = true;
		this.owner.onChange();
		const { clock } = this.owner;
		const timer = new CallbackTimer(() => attempt.abort(this.overdue));
		if (this.timeLeft < Infinity) clock.set(timer, this.timeLeft);
		const result = await attempt.run(signal);
		clock.clear(timer);
		this.#attempt = undefined;
		if (this.task.isOver) throw signal.reason;
		if ("entry" in result) {
			this.log.stored++;
			return this.#advance(result.entry, result.data);
		}
		if (result.ok) return await this.#succeed(result.value, (error) => attempt.record(error));
		if (signal.aborted) throw signal.reason;
		if (this.#isCancelled) return 0;
		const where = { step: step.definition.name, isRevert: this.state.isBackward, attempt: attempt.number };
		if (this.timeLeft <= 0) {
			const error = this.overdue;
			this.tell({ ...where, error, again: false, delay: 0 });
			return this.fail(error, remember(this.state.history, attempt.record(textOf(error))));
		}
		const { error, again, delay } = result;
		this.isKeyShut = again && attempt.isKeyShut && this.job.job.limit !== undefined;
		if (result.later) {
			this.state = { ...this.state, ...attempt.postponed(delay) };
			return delay;
		}
		this.tell({ ...where, error, again, delay });
		const history = remember(this.state.history, attempt.record(textOf(error)));
		if (!again) return this.fail(error, history);
		this.state = { ...this.state, ...attempt.next(error, delay), history };
		return delay;
	}

	/** The state after an entry, which is in the log or will be stored next. */
	#advance(entry: JobEntry, data: Data): undefined {
		const { plan, results } = this.state;
		if (!entry.isRevert) keepResult(results, plan[entry.at]!, entry.value);
		return this.advance(follow(this.job, this.state, entry), data);
	}

	#later(wait: number | null, isBackoff: boolean): Promise<Outcome> {
		return this.later(wait, isBackoff && !this.state.isFirm);
	}

	/** A result that cannot be encoded fails its step. */
	async #succeed(value: unknown, record?: (error?: string) => StoredAttempt): Promise<undefined> {
		try {
			const entry = entryOf(this.state, value, record?.(), this.task.claim.crashes);
			const data = await this.encode(entry);
			this.log.add(data);
			this.#advance(entry, data);
		} catch (error) {
			const { history } = this.state;
			this.fail(error, record === undefined ? history : remember(history, record(textOf(error))));
		}
	}

	protected fail(error: unknown, history: readonly StoredAttempt[] = this.state.history): undefined {
		const { crashes: crashed } = this.task.claim;
		const failure = decodeFailure(encodeFailure(error))!;
		const state = fail(this.job, this.state, failure, { crashed, history });
		if (state.status === undefined) this.problem = checkPlan(this.job, state);
		this.become(state);
	}
}

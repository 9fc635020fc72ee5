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

import { cut, decodeFailure, encodeFailure, type TaskFailure } from "../basket/engine.ts";
import type { Data, Outcome } from "../basket/store.ts";
import { ClaimedJob, LogReadError } from "./claimed-job.ts";
import { checkPlan, fitInput, type JobMessage, type PreparedStep, type StoredAttempt } from "./state.ts";
import { StepAttempt } from "./step-attempt.ts";
import { entryOf, fail, remember } from "./transitions.ts";
import { timeoutError } from "../run/attempt.ts";
import type { FailedAttempt } from "../run/options.ts";
import { abortError } from "../platform/abort-error.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";
import { report } from "../platform/observe.ts";
import { validate } from "../platform/standard-schema.ts";

/** The decision after a failed attempt. */
type FailedStep = Omit<FailedAttempt, "attempt">;

export class JobRun<Tx> extends ClaimedJob<Tx> {
	#attempt: StepAttempt<Tx> | undefined;
	/** Whether the claim must end after the running step, because of a message. */
	#isYielding = false;
	#isCancelled = false;
	/** Whether messages may have arrived while the log was read. */
	#mustLook = false;
	/** Whether this claim has run a step, and whether the step holds back the other jobs of its limit. */
	#hasRun = false;
	#isKeyShut = false;
	/** The reason for which the job is held, if it is. */
	heldFor: TaskFailure | undefined;
	/** The problem that prevents the job from continuing. */
	#problem: unknown;

	/** Resumes the job. Rejects if it was aborted or has lost its claim, and if its log could not be read. */
	async run(data: Data): Promise<Outcome> {
		let limitKey;
		try {
			const state = await this.read(data);
			if (state.status === undefined) {
				const input = await fitInput(this.job, state);
				limitKey = this.job.job.limit?.keyOf(input);
				this.state = { ...state, input };
			} else this.state = state;
		} catch (error) {
			if (error instanceof LogReadError) throw error.cause;
			return await this.#hold(error);
		}
		// The limit was changed.
		if (limitKey !== undefined && limitKey !== this.task.claim.limitKey) return { type: "release", limitKey };
		this.task.onPosted = () => void this.look();
		if (this.#mustLook) void this.look();
		this.owner.onChange();
		await this.#readInbox();
		this.#checkCrashes();
		const early = this.#early();
		return early > 0 ? await this.#later(early) : await this.#proceed();
	}

	/** Whether nobody waits for it anymore: its claim is over, and no step is running. */
	get isLeft(): boolean {
		return this.task.isOver && this.#attempt === undefined;
	}

	/** Ends the claim after the running step. */
	yield(): void {
		this.#isYielding = true;
	}

	/** Checks for messages that concern the running step. Never rejects. */
	async look(): Promise<void> {
		this.#mustLook = this.state === undefined;
		if (this.#mustLook) return;
		const { store, name, onError } = this.owner;
		try {
			const task = await this.task.calls.track(() => store.get(name, this.task.id));
			for (const { n, data } of task?.inbox ?? []) if (n > this.seen) this.#heed(await this.#decode(data));
		} catch (error) {
			report(onError, error);
		}
	}

	#heed(message: JobMessage | undefined): void {
		const isCancel = message?.type === "cancel" && !this.state.isBackward;
		if (!isCancel && message?.type !== "yield") return;
		this.#isYielding = true;
		if (!isCancel) return;
		this.#isCancelled = true;
		this.#attempt?.abort(cancelled());
	}

	async #decode(message: Data): Promise<JobMessage | undefined> {
		try {
			return await this.owner.codec.decode(message) as JobMessage;
		} catch (error) {
			report(this.owner.onError, error);
		}
	}

	async #readInbox(): Promise<void> {
		for (const { n, data } of this.task.claim.inbox) {
			const message = await this.#decode(data);
			this.seen = n;
			const { plan, at, isBackward, signals, status } = this.state;
			if (isBackward || status !== undefined) continue;
			if (message?.type === "cancel") this.#fail(cancelled());
			if (message?.type !== "signal") continue;
			const { name, value } = message;
			// The first signal with a name counts.
			const isOpen = plan.indexOf(name) >= at && !Object.hasOwn(signals, name);
			if (isOpen) this.become({ ...this.state, signals: { ...signals, [name]: { value } } });
		}
	}

	#checkCrashes(): void {
		const { crashes } = this.task.claim;
		const { crashed, status } = this.state;
		// Crashes before the checkpoint belong to another step.
		const count = crashes >= crashed ? crashes - crashed : crashes;
		if (status !== undefined || count < this.owner.crashes) return;
		this.#fail(new Error(`The process that ran the step ended without a word, ${count} times in a row`));
	}

	async #proceed(): Promise<Outcome> {
		const { signal } = this.task;
		// An empty inbox means that the backoff has ended or was cut short.
		let isAwake = this.task.claim.inbox.length === 0;
		for (;;) {
			const { plan, at, isBackward, status } = this.state;
			if (this.#problem !== undefined) return await this.#hold(this.#problem);
			if (status !== undefined) return await this.#done();
			if (this.#timeLeft <= 0) {
				this.#fail(this.#overdue);
				continue;
			}
			const step = this.job.steps.get(plan[isBackward ? at - 1 : at]!)!;
			const isCall = isBackward || step.definition.type === "step";
			if (!isCall && this.log.isFull && !await this.save()) return await this.#later(0);
			let delay = isCall ? this.#backoff(isAwake) : await this.#wait(step);
			if (delay === undefined && !isCall) continue;
			if (delay !== undefined) return await this.#later(delay, isCall);
			if (this.#isYielding || this.#mustQueue()) return await this.#later(0);
			if (!this.isStored) {
				if (signal.aborted) return { type: "release", payload: await this.encodeHead() };
				if (!await this.save()) return await this.#later(0);
				continue; // a message may have come meanwhile
			}
			delay = await this.#try(step, signal);
			if (delay !== undefined) return await this.#later(delay, true);
			isAwake = false;
		}
	}

	/** The time until the deadline of the job, in milliseconds. There is none for reverts. */
	get #timeLeft(): number {
		return this.state.isBackward ? Infinity : Math.ceil(this.job.job.deadline - this.age);
	}

	get #overdue(): DOMException {
		return timeoutError(`The job was not completed within ${this.job.job.deadline} ms`, undefined);
	}

	/** Each step is a start of its own where these are limited. */
	#mustQueue(): boolean {
		return this.#hasRun && (this.job.job.limit?.bounds.spacing ?? 0) > 0;
	}

	/** The remaining delay of a job that was added with a delay and became due early because of a message. */
	#early(): number {
		const { at, isBackward, delay = 0 } = this.state;
		const isTold = this.task.claim.inbox.length > 0;
		// Limited to the delay, in case the clock was set back.
		return isTold && at === 0 && !isBackward ? Math.min(delay, Math.ceil(delay - this.age)) : 0;
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
			await read().then((value) => this.#succeed(value), (error) => this.#fail(error));
			this.become({ ...this.state, signals: rest });
		} else if (duration === 0 || (until !== undefined && until <= age)) {
			if (type === "sleep") await this.#succeed(undefined);
			else this.#fail(timeoutError(`No signal ${JSON.stringify(name)} came within ${duration} ms`, undefined));
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
		this.#hasRun = true;
		this.owner.onChange();
		const { clock } = this.owner;
		const timer = new CallbackTimer(() => attempt.abort(this.#overdue));
		if (this.#timeLeft < Infinity) clock.set(timer, this.#timeLeft);
		const result = await attempt.run(signal);
		clock.clear(timer);
		this.#attempt = undefined;
		if (this.task.isOver) throw signal.reason;
		if ("entry" in result) {
			this.log.stored++;
			return this.advance(result.entry, result.data);
		}
		if (result.ok) return await this.#succeed(result.value, (error) => attempt.record(error));
		if (signal.aborted) throw signal.reason;
		if (this.#isCancelled) return 0;
		if (this.#timeLeft <= 0) {
			const error = this.#overdue;
			this.#tell(step, attempt.number, { error, again: false, delay: 0 });
			return this.#fail(error, remember(this.state.history, attempt.record(textOf(error))));
		}
		const { error, again, delay } = result;
		this.#isKeyShut = again && attempt.isKeyShut && this.job.job.limit !== undefined;
		if (result.later) {
			this.state = attempt.postponed(delay);
			return delay;
		}
		this.#tell(step, attempt.number, result);
		const history = remember(this.state.history, attempt.record(textOf(error)));
		if (!again) return this.#fail(error, history);
		this.state = attempt.next(error, delay, history);
		return delay;
	}

	#tell({ definition: { name } }: PreparedStep, attempt: number, { error, again, delay }: FailedStep): void {
		const { task: { id, kind }, state: { isBackward } } = this;
		const where = { id, job: kind, step: name, isRevert: isBackward };
		this.owner.onAttemptFailed({ ...where, error, attempt, again, delay });
	}

	/** A result that cannot be encoded fails its step. */
	async #succeed(value: unknown, record?: (error?: string) => StoredAttempt): Promise<undefined> {
		try {
			const entry = entryOf(this.state, value, record?.(), this.task.claim.crashes);
			const data = await this.encode(entry);
			this.log.add(data);
			this.advance(entry, data);
		} catch (error) {
			const { history } = this.state;
			this.#fail(error, record === undefined ? history : remember(history, record(textOf(error))));
		}
	}

	/** Forward, the job turns backward; backward, the job ends. */
	#fail(error: unknown, history: readonly StoredAttempt[] = this.state.history): undefined {
		const { crashes: crashed } = this.task.claim;
		const failure = decodeFailure(encodeFailure(error))!;
		const state = fail(this.job, this.state, failure, { crashed, history });
		if (state.status === undefined) this.#problem = checkPlan(this.job, state);
		this.become(state);
	}

	/** Ends the claim, which resets the crashes. */
	async #later(wait: number | null, isBackoff = false): Promise<Outcome> {
		const most = Math.max(0, Math.min(wait ?? Infinity, this.#timeLeft));
		const delay = most < Infinity ? most : null;
		try {
			const payload = await this.encodeHead({ crashed: 0 });
			const { isFirm } = this.state;
			const backoff = isBackoff && !isFirm;
			return { type: "later", delay, seen: this.seen, payload, backoff, isKeyShut: this.#isKeyShut };
		} catch (error) {
			// The step must not be tried more often than allowed.
			return await this.#hold(error);
		}
	}

	/** The job has ended, and its head has the outcome. */
	async #done(): Promise<Outcome> {
		try {
			return { type: "done", retain: this.owner.retain, payload: await this.encodeHead() };
		} catch (error) {
			return await this.#hold(error);
		}
	}

	/** Holds the job and stores the reason, because a job whose state is uncertain never runs. */
	async #hold(reason: unknown): Promise<Outcome> {
		const error = encodeFailure(new DOMException(textOf(reason), "InvalidStateError"));
		this.heldFor = decodeFailure(error);
		const payload = this.state && await this.encodeHead().catch(() => undefined);
		return { type: "retry", delay: 0, attempts: 0, error, payload, hold: true };
	}
}

function cancelled(): DOMException {
	return abortError("The job was cancelled");
}

function textOf(error: unknown): string {
	return cut(decodeFailure(encodeFailure(error))!.message, 200);
}

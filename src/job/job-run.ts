/**
 * One job while this process has a claim on its task: it runs steps one after the other until the job must wait.
 *
 * Its invariants:
 *
 * - Each result is stored before the next step begins, and the end of the job together with its last result. A lost
 *   claim can store nothing, and ends the run.
 * - A job that must wait (for the next attempt, a sleep, a signal) ends its claim, so that it holds neither a worker
 *   nor a lease.
 * - A checkpoint that cannot be stored now is stored with the settlement of the claim, which the worker retries until
 *   it succeeds or the claim is lost. It is never a failure of the step.
 *
 * @module
 */

import {
	ClaimLostError,
	cut,
	decodeFailure,
	encodeFailure,
	encodePayload,
	type JobClaim,
	type TaskFailure,
} from "../basket/engine.ts";
import type { Data, Outcome, Save } from "../basket/store.ts";
import type { JobCheckpoint, PreparedJob, PreparedStep, StoredAttempt } from "./state.ts";
import { timeoutError } from "../run/attempt.ts";
import { abortError } from "../platform/abort-error.ts";
import { report } from "../platform/observe.ts";
import { validate } from "../platform/standard-schema.ts";
import type { FailedAttempt } from "../run/options.ts";
import type { JobOwner } from "./owner.ts";
import { decodeCheckpoint } from "./decode.ts";
import { checkPlan, fitCheckpoint } from "./state.ts";
import { type Checkpoint, type JobPosition, StepAttempt } from "./step-attempt.ts";
import { fail, succeed } from "./transitions.ts";

/** The decision after a failed attempt. */
type FailedStep = Omit<FailedAttempt, "attempt">;

/** A message to a job. */
export type JobMessage =
	| { readonly type: "cancel" }
	| { readonly type: "signal"; readonly name: string; readonly value?: unknown }
	/** Ends the claim after the running step, because something has changed. */
	| { readonly type: "yield" };

export class JobRun<Tx> implements JobPosition<Tx> {
	readonly owner: JobOwner<Tx>;
	readonly job: PreparedJob;
	readonly task: JobClaim;
	/** The checkpoint; `undefined` before it was read. */
	state!: JobCheckpoint;
	seen = 0;
	/** The time at which the job was added, on the monotonic clock. */
	readonly #addedAt: number;
	/** The encoded state to store. */
	#data: Data | undefined;
	#isStored = true;
	#attempt: StepAttempt<Tx> | undefined;
	/** Whether the claim must end after the running step, because of a message. */
	#isYielding = false;
	#isCancelled = false;
	/** Whether this claim has run a step, and whether the step holds back the other jobs of its limit. */
	#hasRun = false;
	#isKeyShut = false;
	/** The reason for which the job is held, if it is. */
	heldFor: TaskFailure | undefined;
	/** The problem that prevents the job from continuing. */
	#problem: unknown;

	constructor(owner: JobOwner<Tx>, job: PreparedJob, task: JobClaim) {
		this.owner = owner;
		this.job = job;
		this.task = task;
		this.#addedAt = owner.clock.monotonic() - task.claim.age;
	}

	/** The current age of the job. */
	get age(): number {
		return this.owner.clock.monotonic() - this.#addedAt;
	}

	/** Resumes the job. Rejects if it was aborted or has lost its claim. */
	async run(data: Data): Promise<Outcome> {
		let limitKey;
		try {
			this.state = await fitCheckpoint(this.job, await decodeCheckpoint(this.owner.codec, data));
			limitKey = this.state.status === undefined ? this.job.job.limit?.keyOf(this.state.input) : undefined;
		} catch (error) {
			return this.#hold(error);
		}
		// The limit was changed.
		if (limitKey !== undefined && limitKey !== this.task.claim.limitKey) return { type: "release", limitKey };
		this.task.onPosted = () => void this.look();
		this.owner.onChange();
		await this.#readInbox();
		await this.#checkCrashes();
		const early = this.#early();
		return early > 0 ? await this.#later(early) : await this.#proceed();
	}

	/** Ends the claim after the running step. */
	yield(): void {
		this.#isYielding = true;
	}

	/** Checks for messages that concern the running step. Never rejects. */
	async look(): Promise<void> {
		const { store, name, onError } = this.owner;
		try {
			const task = await this.task.calls.track(() => store.get(name, this.task.id));
			for (const { n, data } of task?.inbox ?? []) if (n > this.seen) this.#heed(await this.#read(data));
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

	async #read(message: Data): Promise<JobMessage | undefined> {
		try {
			return await this.owner.codec.decode(message) as JobMessage;
		} catch (error) {
			report(this.owner.onError, error);
		}
	}

	async #readInbox(): Promise<void> {
		for (const { n, data } of this.task.claim.inbox) {
			const message = await this.#read(data);
			this.seen = n;
			const { plan, at, isBackward, signals, status } = this.state;
			if (isBackward || status !== undefined) continue;
			if (message?.type === "cancel") await this.#fail(cancelled());
			if (message?.type !== "signal") continue;
			const { name, value } = message;
			// The first signal with a name counts.
			const isOpen = plan.indexOf(name) >= at && !Object.hasOwn(signals, name);
			if (isOpen) await this.#become({ ...this.state, signals: { ...signals, [name]: { value } } });
		}
	}

	async #checkCrashes(): Promise<void> {
		const { crashes } = this.task.claim;
		const { crashed, status } = this.state;
		// Crashes before the checkpoint belong to another step.
		const count = crashes >= crashed ? crashes - crashed : crashes;
		if (status !== undefined || count < this.owner.crashes) return;
		await this.#fail(new Error(`The process that ran the step ended without a word, ${count} times in a row`));
	}

	async #proceed(): Promise<Outcome> {
		const { signal } = this.task;
		// An empty inbox means that the backoff has ended or was cut short.
		let isAwake = this.task.claim.inbox.length === 0;
		for (;;) {
			const { plan, at, isBackward, status } = this.state;
			if (this.#problem !== undefined) return this.#hold(this.#problem);
			if (status !== undefined) return { type: "done", retain: this.owner.retain, payload: this.#data };
			const step = this.job.steps.get(plan[isBackward ? at - 1 : at]!)!;
			const isCall = isBackward || step.definition.type === "step";
			let delay = isCall ? this.#backoff(isAwake) : await this.#wait(step);
			if (delay === undefined && !isCall) continue;
			if (delay !== undefined) return await this.#later(delay, isCall);
			if (this.#isYielding || this.#mustQueue()) return await this.#later(0);
			if (!this.#isStored) {
				if (signal.aborted) return { type: "release", payload: this.#data };
				if (!await this.#save()) return await this.#later(0);
			}
			delay = await this.#try(step, signal);
			if (delay !== undefined) return await this.#later(delay, true);
			isAwake = false;
		}
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
			await read().then((value) => this.#succeed(value, { signals: rest }), (error) => this.#fail(error));
		} else if (duration === 0 || (until !== undefined && until <= age)) {
			if (type === "sleep") await this.#succeed(undefined, {});
			else await this.#fail(timeoutError(`No signal ${JSON.stringify(name)} came within ${duration} ms`, undefined));
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
		const result = await attempt.run(signal);
		this.#attempt = undefined;
		if (this.task.isOver) throw signal.reason;
		if ("data" in result) {
			this.#data = result.data;
			this.state = result.state;
			this.owner.onChange();
			return undefined;
		}
		if (result.ok) return await this.#succeed(result.value, {}, (error) => attempt.history(error));
		if (signal.aborted) throw signal.reason;
		if (this.#isCancelled) return 0;
		const { error, again, delay } = result;
		this.#isKeyShut = again && attempt.isKeyShut && this.job.job.limit !== undefined;
		if (result.later) {
			this.state = attempt.postponed(delay);
			return delay;
		}
		this.#tell(step, attempt.number, result);
		const history = attempt.history(textOf(error));
		if (!again) return await this.#fail(error, history);
		this.state = attempt.next(error, delay, history);
		return delay;
	}

	#tell({ definition: { name } }: PreparedStep, attempt: number, { error, again, delay }: FailedStep): void {
		const { task: { id, kind }, state: { isBackward } } = this;
		const where = { id, job: kind, step: name, isRevert: isBackward };
		this.owner.onAttemptFailed({ ...where, error, attempt, again, delay });
	}

	/** A result that cannot be encoded fails its step. */
	async #succeed(
		value: unknown,
		changes: Partial<JobCheckpoint>,
		history: (error?: string) => readonly StoredAttempt[] = () => this.state.history,
	): Promise<undefined> {
		const { crashes: crashed } = this.task.claim;
		try {
			await this.#become(succeed(this.job, this.state, value, { ...changes, crashed, history: history() }));
		} catch (error) {
			await this.#fail(error, history(textOf(error)));
		}
	}

	/** Forward, the job turns backward; backward, the job ends. */
	async #fail(error: unknown, history: readonly StoredAttempt[] = this.state.history): Promise<undefined> {
		const { crashes: crashed } = this.task.claim;
		const failure = decodeFailure(encodeFailure(error))!;
		const state = fail(this.job, this.state, failure, { crashed, history });
		if (state.status === undefined) this.#problem = checkPlan(this.job.job, state);
		try {
			await this.#become(state);
		} catch (error) {
			this.#problem = error;
		}
	}

	async #become(next: JobCheckpoint): Promise<void> {
		const { state, data } = await this.#fit(next);
		this.#data = data;
		this.state = state;
		this.#isStored = false;
		this.owner.onChange();
	}

	/** If the checkpoint is too large for the store, details for people are dropped first. */
	async #fit(state: JobCheckpoint): Promise<Checkpoint> {
		const { error, revertError, previous } = state;
		const short = { ...state, history: [] };
		const shortest = { ...short, error: brief(error), revertError: brief(revertError), previous: brief(previous) };
		for (const form of [state, short]) {
			try {
				return { state: form, data: await this.encode(form) };
			} catch {
				// The last error is reported.
			}
		}
		return { state: shortest, data: await this.encode(shortest) };
	}

	readonly encode = (state: JobCheckpoint): Data | PromiseLike<Data> => {
		const { codec, store } = this.owner;
		return encodePayload({ codec }, state, store.capabilities.maxPayload);
	};

	/** Returns whether the state could be saved now. */
	async #save(): Promise<boolean> {
		const { claim, isOver } = this.task;
		this.throwIfLost(!isOver);
		let isSaved;
		try {
			const save = { ref: claim, payload: this.#data, seen: this.seen };
			isSaved = await this.#send(save);
		} catch (error) {
			report(this.owner.onError, error);
			return false;
		}
		if (!isSaved && claim !== this.task.claim) return await this.#save(); // claimed again meanwhile
		this.throwIfLost(isSaved);
		this.task.saved(this.#data!);
		return this.#isStored = true;
	}

	/** Its time is limited only after it is sent, together with those of others. */
	#send(save: Save): Promise<boolean> {
		return new Promise((resolve, reject) => {
			const { task } = this;
			let tracked: Promise<void> | undefined;
			const saved = this.owner.save(save, () => {
				if (!task.isOver) tracked ??= task.calls.track(() => saved).then(resolve, reject);
				return !task.isOver;
			});
			saved.then(resolve, reject);
		});
	}

	readonly throwIfLost = (isOurs: boolean): void => {
		if (isOurs) return;
		this.task.lose();
		throw new ClaimLostError(this.task.id);
	};

	/** Ends the claim, which resets the crashes. */
	async #later(delay: number | null, isBackoff = false): Promise<Outcome> {
		try {
			const { state: { isFirm }, data: payload } = await this.#fit({ ...this.state, crashed: 0 });
			const { seen } = this;
			return { type: "later", delay, seen, payload, backoff: isBackoff && !isFirm, isKeyShut: this.#isKeyShut };
		} catch (error) {
			// The step must not be tried more often than allowed.
			return this.#hold(error);
		}
	}

	/** Holds the job and stores the reason, because a job whose state is uncertain never runs. */
	#hold(reason: unknown): Outcome {
		const error = encodeFailure(new DOMException(textOf(reason), "InvalidStateError"));
		this.heldFor = decodeFailure(error);
		return { type: "retry", delay: 0, attempts: 0, error, payload: this.#data, hold: true };
	}
}

function brief(failure: TaskFailure | undefined): TaskFailure | undefined {
	return failure && { name: failure.name, message: cut(failure.message, 100), code: failure.code };
}

function cancelled(): DOMException {
	return abortError("The job was cancelled");
}

function textOf(error: unknown): string {
	return cut(decodeFailure(encodeFailure(error))!.message, 200);
}

/**
 * One job while this process has a claim on its task: steps, one after the other, until there is something to wait for.
 *
 * What keeps it sound:
 *
 * - Each result is stored before the next step begins, and the end of the job together with its last result. A claim
 *   that was lost can store nothing, and ends the run.
 * - Whoever has to wait (for the next attempt, a sleep, a signal) ends the claim, so that neither a worker nor a lease is held.
 * - A checkpoint that cannot be stored now is stored with the settlement of the claim, which the worker tries until
 *   it succeeds or the claim is lost: it is never a failure of the step.
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

/** What the failure of an attempt has led to. */
type FailedStep = Omit<FailedAttempt, "attempt">;

/** What is posted to a job. */
export type JobMessage =
	| { readonly type: "cancel" }
	| { readonly type: "signal"; readonly name: string; readonly value?: unknown }
	/** Something has changed: the running step is to be the last one of this claim. */
	| { readonly type: "yield" };

export class JobRun<Tx> implements JobPosition<Tx> {
	readonly owner: JobOwner<Tx>;
	readonly job: PreparedJob;
	readonly task: JobClaim;
	/** The checkpoint; not there before it was read. */
	state!: JobCheckpoint;
	seen = 0;
	/** When the job was added, on the monotonic clock. */
	readonly #addedAt: number;
	/** The state as it is to be stored. */
	#data: Data | undefined;
	#isStored = true;
	#attempt: StepAttempt<Tx> | undefined;
	/** Whether the claim is to end after the running step, because of a message. */
	#isYielding = false;
	#isCancelled = false;
	/** Why it is held, once it is. */
	heldFor: TaskFailure | undefined;
	/** Why it cannot be gone on with. */
	#problem: unknown;

	constructor(owner: JobOwner<Tx>, job: PreparedJob, task: JobClaim) {
		this.owner = owner;
		this.job = job;
		this.task = task;
		this.#addedAt = owner.clock.monotonic() - task.claim.age;
	}

	/** How old the job is now. */
	get age(): number {
		return this.owner.clock.monotonic() - this.#addedAt;
	}

	/** Goes on with the job. Rejects if it was aborted, or has lost its claim. */
	async run(data: Data): Promise<Outcome> {
		try {
			this.state = await fitCheckpoint(this.job, await decodeCheckpoint(this.owner.codec, data));
		} catch (error) {
			return this.#hold(error);
		}
		this.task.onPosted = () => void this.look();
		this.owner.onChange();
		await this.#readInbox();
		await this.#checkCrashes();
		const early = this.#early();
		return early > 0 ? await this.#later(early) : await this.#proceed();
	}

	/** Has the running step be the last one of this claim. */
	yield(): void {
		this.#isYielding = true;
	}

	/** Looks whether something was posted that concerns the running step. Never rejects. */
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
			// The first one of a name counts.
			const isOpen = plan.indexOf(name) >= at && !Object.hasOwn(signals, name);
			if (isOpen) await this.#become({ ...this.state, signals: { ...signals, [name]: { value } } });
		}
	}

	async #checkCrashes(): Promise<void> {
		const { crashes } = this.task.claim;
		const { crashed, status } = this.state;
		// Those before the checkpoint are of another step.
		const count = crashes >= crashed ? crashes - crashed : crashes;
		if (status !== undefined || count < this.owner.crashes) return;
		await this.#fail(new Error(`The process that ran the step ended without a word, ${count} times in a row`));
	}

	async #proceed(): Promise<Outcome> {
		const { signal } = this.task;
		// What made a job due that has no messages has ended its backoff.
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
			if (this.#isYielding) return await this.#later(0);
			if (!this.#isStored) {
				if (signal.aborted) return { type: "release", payload: this.#data };
				if (!await this.#save()) return await this.#later(0);
			}
			delay = await this.#try(step, signal);
			if (delay !== undefined) return await this.#later(delay, true);
			isAwake = false;
		}
	}

	/** How much too early a message has made a job due that was added with a delay. */
	#early(): number {
		const { at, isBackward, delay = 0 } = this.state;
		const isTold = this.task.claim.inbox.length > 0;
		// Not longer than that where the clock was set back.
		return isTold && at === 0 && !isBackward ? Math.min(delay, Math.ceil(delay - this.age)) : 0;
	}

	/** How long the next attempt has to wait, `undefined` if it has not. */
	#backoff(isAwake: boolean): number | undefined {
		// Not 0: where the clock was set back, a job may be younger than that.
		const { until = -Infinity } = this.state;
		const delay = Math.ceil(until - this.age);
		return isAwake || delay <= 0 ? undefined : delay;
	}

	/**
	 * How long there is nothing to do, `null` until a message comes; `undefined` if the step is passed: a sleep that is over,
	 * and the waiting for a signal that has come or does not come any more.
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

	/** One attempt of a step, or of its revert. Returns when to try again, if it is to be. */
	async #try(step: PreparedStep, signal: AbortSignal): Promise<number | undefined> {
		const attempt = this.#attempt = new StepAttempt<Tx>(this, step);
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

	/** Forward, from here on it goes backward; backward, it is over. */
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

	/** Where the store has no room for all of it, what a person would like to know is given up before the job is. */
	async #fit(state: JobCheckpoint): Promise<Checkpoint> {
		const { error, revertError, previous } = state;
		const short = { ...state, history: [] };
		const shortest = { ...short, error: brief(error), revertError: brief(revertError), previous: brief(previous) };
		for (const form of [state, short]) {
			try {
				return { state: form, data: await this.encode(form) };
			} catch {
				// The last one says what is wrong.
			}
		}
		return { state: shortest, data: await this.encode(shortest) };
	}

	readonly encode = (state: JobCheckpoint): Data | PromiseLike<Data> => {
		const { codec, store } = this.owner;
		return encodePayload({ codec }, state, store.capabilities.maxPayload);
	};

	/** Whether it could be saved now. */
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
		if (!isSaved && claim !== this.task.claim) return await this.#save(); // claimed anew meanwhile
		this.throwIfLost(isSaved);
		this.task.saved(this.#data!);
		return this.#isStored = true;
	}

	/** Until it is sent, together with those of others, it tells nothing about the store: only from then on its time is limited. */
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

	/** Ends the claim, with which the crashes are forgotten. */
	async #later(delay: number | null, isBackoff = false): Promise<Outcome> {
		try {
			const { state: { isFirm }, data: payload } = await this.#fit({ ...this.state, crashed: 0 });
			return { type: "later", delay, seen: this.seen, payload, backoff: isBackoff && !isFirm };
		} catch (error) {
			// It must not be tried more often than it may.
			return this.#hold(error);
		}
	}

	/** Keeps it from all processors, with the reason: it is never run on a guess. */
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

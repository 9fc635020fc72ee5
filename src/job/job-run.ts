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

import type { ClaimedTask } from "../basket/claimed-task.ts";
import type { Codec } from "../basket/codec.ts";
import type { Data, Outcome, Save, Store } from "../basket/store.ts";
import type { RevertContext } from "./context.ts";
import type { JobAttempt, JobCheckpoint, PreparedJob, PreparedStep } from "./state.ts";
import { timeoutError } from "../attempt.ts";
import { encodePayload, isThenable, synchronous } from "../basket/claimed-task.ts";
import { decodeFailure, encodeFailure } from "../basket/codec.ts";
import { ClaimLostError } from "../basket/context.ts";
import { Execution, type Step } from "../execution.ts";
import { abortError } from "../platform/abort-error.ts";
import type { Clock } from "../platform/clock.ts";
import { type OnError, report } from "../platform/observe.ts";
import { validate } from "../platform/standard-schema.ts";
import type { TaskContext } from "../task.ts";
import { checkPlan, decodeCheckpoint, fitCheckpoint, remember } from "./state.ts";

/** What is posted to a job. */
export type JobMessage =
	| { readonly type: "cancel" }
	| { readonly type: "signal"; readonly name: string; readonly value?: unknown }
	/** Something has changed: the running step is to be the last one of this claim. */
	| { readonly type: "yield" };

/** What a run needs of its processor. */
export interface JobOwner<Tx> {
	readonly store: Store<Tx>;
	/** Of the basket. */
	readonly name: string;
	readonly codec: Codec;
	readonly clock: Clock;
	readonly crashes: number;
	readonly retain: number;
	readonly onError: OnError | undefined;
	/** Saves one checkpoint, perhaps together with those of others. */
	save(save: Save): Promise<boolean>;
	/** Another step, or another attempt. */
	onChange(): void;
}

export class JobRun<Tx> {
	readonly #owner: JobOwner<Tx>;
	readonly #job: PreparedJob;
	readonly #task: ClaimedTask<Tx>;
	/** When the job was added, on the monotonic clock. */
	readonly #addedAt: number;
	#state!: JobCheckpoint;
	/** The state as it is to be stored. */
	#data: Data | undefined;
	#isStored = true;
	/** The last message that the state knows of. */
	#seen = 0;
	#execution: Execution<unknown> | undefined;
	/** The attempt that is under way, and the age at which it began. */
	#current: TaskContext | undefined;
	#began = 0;
	/** A checkpoint inside a transaction of the step. */
	#commitment: { readonly state: JobCheckpoint; readonly data: Data } | undefined;
	/** Whether the claim is to end after the running step, because of a message. */
	#isYielding = false;
	#isCancelled = false;
	/** Why it cannot be gone on with. */
	#problem: unknown;

	constructor(owner: JobOwner<Tx>, job: PreparedJob, task: ClaimedTask<Tx>) {
		this.#owner = owner;
		this.#job = job;
		this.#task = task;
		this.#addedAt = owner.clock.monotonic() - task.claim.age;
	}

	/** The checkpoint; `undefined` before it was read. */
	get state(): JobCheckpoint | undefined {
		return this.#state;
	}

	/** Goes on with the job. Rejects if it was aborted, or has lost its claim. */
	async run(data: Data): Promise<Outcome> {
		try {
			this.#state = await fitCheckpoint(this.#job, await decodeCheckpoint(this.#owner.codec, data));
		} catch (error) {
			return this.#hold(error);
		}
		this.#task.onPosted = () => void this.look();
		this.#owner.onChange();
		await this.#readInbox();
		await this.#checkCrashes();
		return await this.#proceed();
	}

	/** Looks whether something was posted that concerns the running step. Never rejects. */
	async look(): Promise<void> {
		const { store, name, onError } = this.#owner;
		try {
			const task = await this.#task.track(store.get(name, this.#task.id));
			for (const { n, data } of task?.inbox ?? []) if (n > this.#seen) this.#heed(await this.#decode(data));
		} catch (error) {
			report(onError, error);
		}
	}

	#heed(message: JobMessage | undefined): void {
		const isCancel = message?.type === "cancel" && this.#state.isBackward === false;
		if (!isCancel && message?.type !== "yield") return;
		this.#isYielding = true;
		if (!isCancel) return;
		this.#isCancelled = true;
		this.#execution?.abort(cancelled());
	}

	/** How old the job is now. */
	get #age(): number {
		return this.#owner.clock.monotonic() - this.#addedAt;
	}

	async #decode(data: Data): Promise<JobMessage | undefined> {
		try {
			return await this.#owner.codec.decode(data) as JobMessage;
		} catch (error) {
			report(this.#owner.onError, error);
		}
	}

	async #readInbox(): Promise<void> {
		for (const { n, data } of this.#task.claim.inbox) {
			const message = await this.#decode(data);
			this.#seen = n;
			const { plan, at, isBackward, signals, status } = this.#state;
			if (isBackward || status !== undefined) continue;
			if (message?.type === "cancel") await this.#fail(cancelled());
			// The first one of a name counts.
			if (message?.type !== "signal" || plan.indexOf(message.name) < at || Object.hasOwn(signals, message.name)) {
				continue;
			}
			await this.#become({ ...this.#state, signals: { ...signals, [message.name]: { value: message.value } } });
		}
	}

	async #checkCrashes(): Promise<void> {
		const { crashes } = this.#task.claim;
		const { crashed, status } = this.#state;
		// Those before the checkpoint are of another step.
		const count = crashes >= crashed ? crashes - crashed : crashes;
		if (status !== undefined || count < this.#owner.crashes) return;
		await this.#fail(new Error(`The process that ran the step ended without a word, ${count} times in a row`));
	}

	async #proceed(): Promise<Outcome> {
		const { signal } = this.#task;
		for (;;) {
			const { plan, at, isBackward, status } = this.#state;
			if (this.#problem !== undefined) return this.#hold(this.#problem);
			if (status !== undefined) return this.#finish();
			const step = this.#job.steps.get(plan[isBackward ? at - 1 : at]!)!;
			let delay = await this.#wait(step);
			if (delay === undefined && !isBackward && step.definition.type !== "step") continue;
			if (delay !== undefined) return await this.#later(delay);
			if (this.#isYielding) return await this.#later(0);
			if (!this.#isStored) {
				if (signal.aborted) return { type: "release", payload: this.#data };
				if (!await this.#save()) return await this.#later(0);
			}
			delay = await this.#attempt(step, signal);
			if (delay !== undefined) return await this.#later(delay);
		}
	}

	/**
	 * How long there is nothing to do, `null` until a message comes; `undefined` if there is: a step to be called. A sleep
	 * that is over is passed, and so is the waiting for a signal that has come.
	 */
	async #wait({ definition: { name, type, duration, options: { schema } } }: PreparedStep): Promise<
		number | null | undefined
	> {
		const { until, isBackward, signals } = this.#state;
		const age = this.#age;
		const isDue = until !== undefined && until <= age;
		if (type === "step" || isBackward) return until === undefined || isDue ? undefined : Math.ceil(until - age);
		if (type === "waitFor" && Object.hasOwn(signals, name)) {
			const { [name]: signal, ...rest } = signals;
			const read = async () => schema === undefined ? signal!.value : await validate(schema, signal!.value);
			await read().then((value) => this.#succeed(value, { signals: rest }), (error) => this.#fail(error));
			return undefined;
		}
		if (isDue || duration === 0) {
			if (type === "sleep") await this.#succeed(undefined, {});
			else await this.#fail(timeoutError(`No signal ${JSON.stringify(name)} came within ${duration} ms`, undefined));
			return undefined;
		}
		if (until !== undefined) return Math.ceil(until - age);
		if (duration === Infinity) return null;
		this.#state = { ...this.#state, until: Math.floor(age + duration) };
		return duration;
	}

	/** One attempt of a step, or of its revert. Returns when to try again, if it is to be. */
	async #attempt(step: PreparedStep, signal: AbortSignal): Promise<number | undefined> {
		const { isBackward, attempts, previous, lastDelay, since = this.#age } = this.#state;
		const age = this.#began = this.#age;
		const execution = this.#execution = new Execution<unknown>(
			(attempt) => this.#call(step, attempt),
			isBackward ? step.revertSettings : step.settings,
		);
		const before = previous && Object.assign(new Error(previous.message), previous);
		execution.resume(attempts, before, lastDelay, age - since);
		this.#owner.onChange();
		let result = await execution.stepWith(signal).catch(failed);
		this.#execution = this.#current = undefined;
		const { attempt } = execution;
		if (this.#task.isOver) throw signal.reason;
		if (this.#commitment !== undefined) {
			if (await this.#isCommitted(this.#commitment)) return undefined;
			if (result.ok) result = await this.#uncommitted(execution, attempts);
		}
		const entry = this.#entry(step, attempt, age);
		if (result.ok) return await this.#succeed(result.value, {}, entry);
		if (signal.aborted) throw signal.reason;
		if (this.#isCancelled) return 0;
		const { error, again, delay } = result;
		const history = remember(this.#state.history, { ...entry, error: textOf(error) });
		if (!again) return await this.#fail(error, history);
		const stored = decodeFailure(encodeFailure(error));
		// Not later than the store's: sums of fractions differ.
		const until = Math.floor(this.#age + delay);
		const { lastDelay: grown } = execution;
		this.#state = { ...this.#state, attempts: attempt, lastDelay: grown, previous: stored, since, until, history };
		return delay;
	}

	#call(step: PreparedStep, attempt: TaskContext): unknown {
		const { name, options } = step.definition;
		this.#current = attempt;
		const { uid, input, results, version, error, isBackward } = this.#state;
		const context = Object.assign(attempt, {
			id: this.#task.id,
			step: name,
			input,
			results: { ...results },
			version,
			idempotencyKey: `${uid}/${name}${isBackward ? "/revert" : ""}`,
			result: results[name],
			error,
			commit: (tx: Tx, result?: unknown) => this.#commit(step, attempt, tx, result),
		}) as RevertContext;
		if (isBackward) return options.revert!(context);
		const value = options.run!(context);
		const { schema } = options;
		if (schema === undefined) return value;
		return isThenable(value) ? value.then((value) => validate(schema, value)) : validate(schema, value);
	}

	/** Stores the next checkpoint in the caller's transaction. Synchronous until the store is called. */
	async #commit(step: PreparedStep, attempt: TaskContext, tx: Tx, result: unknown): Promise<void> {
		this.#throwIfLost(!this.#task.isOver);
		// One that was abandoned comes too late.
		if (attempt !== this.#current) throw new DOMException("The attempt is over", "InvalidStateError");
		const { store, name } = this.#owner;
		const { schema } = step.definition.options;
		const isChecked = schema !== undefined && !this.#state.isBackward;
		const valid = isChecked ? validate(schema, result) : result;
		const entry = this.#entry(step, attempt.attempt, this.#began);
		const history = remember(this.#state.history, entry);
		const state = this.#after(isThenable(valid) ? await synchronous(valid, tx) : valid, { history });
		const encoded = this.#encode(state);
		const data = isThenable(encoded) ? await synchronous(encoded, tx) : encoded;
		// Its lease is not renewed meanwhile: that could wait for the transaction.
		this.#task.isCompleting = true;
		this.#commitment = { state, data };
		try {
			const save = { ref: this.#task.claim, payload: data, seen: this.#seen };
			const [isSaved] = await this.#task.track(store.save(name, [save], tx));
			this.#throwIfLost(isSaved!);
		} catch (error) {
			this.#task.isCompleting = false;
			this.#commitment = undefined;
			throw error;
		}
	}

	/** Whether the transaction of a step has brought its checkpoint into the store. */
	async #isCommitted({ state, data }: { state: JobCheckpoint; data: Data }): Promise<boolean> {
		const { store, name } = this.#owner;
		this.#commitment = undefined;
		this.#task.isCompleting = false;
		const task = await this.#task.track(store.get(name, this.#task.id));
		if (String(task?.payload) !== String(data)) return false;
		this.#state = state;
		this.#data = data;
		this.#owner.onChange();
		return true;
	}

	/** The attempt has returned, but its transaction is not there: it has failed. */
	#uncommitted({ settings, previousError, lastDelay }: Execution<unknown>, attempts: number): Promise<Step<unknown>> {
		const error = new Error("The transaction given to commit() was not committed");
		const execution = new Execution<unknown>(() => Promise.reject(error), settings);
		execution.resume(attempts, previousError, lastDelay, 0);
		return execution.step().catch(failed);
	}

	/** An attempt that has ended now, and began at an age. */
	#entry({ definition: { name } }: PreparedStep, attempt: number, age: number): JobAttempt {
		const startedAt = Math.floor(this.#task.claim.addedAt + age);
		return { step: name, isRevert: this.#state.isBackward, attempt, startedAt, duration: Math.round(this.#age - age) };
	}

	/** A result that cannot be encoded fails its step. */
	async #succeed(value: unknown, changes: Partial<JobCheckpoint>, entry?: JobAttempt): Promise<undefined> {
		const history = entry === undefined ? this.#state.history : remember(this.#state.history, entry);
		try {
			await this.#become(this.#after(value, { ...changes, history }));
		} catch (error) {
			const text = textOf(error);
			await this.#fail(error, entry && remember(this.#state.history, { ...entry, error: text }));
		}
	}

	/** The checkpoint after the current step. */
	#after(value: unknown, changes: Partial<JobCheckpoint>): JobCheckpoint {
		const { plan, at, isBackward, results } = this.#state;
		if (isBackward) return this.#next({ ...changes, at: at - 1 });
		if (typeof value === "function" || typeof value === "symbol") {
			throw new TypeError(`A result of type ${typeof value} cannot be stored`);
		}
		return this.#next({ ...changes, at: at + 1, results: { ...results, [plan[at]!]: value } });
	}

	/** Forward, from here on it goes backward; backward, it is over. */
	async #fail(error: unknown, history: readonly JobAttempt[] = this.#state.history): Promise<undefined> {
		const failure = decodeFailure(encodeFailure(error));
		const { plan, at, isBackward } = this.#state;
		const unreverted = plan.slice(0, at).filter((name) => this.#hasRevert(name)).reverse();
		const state = isBackward
			? this.#next({ revertError: failure, status: "failed", unreverted, history })
			: this.#next({ error: failure, isBackward: true, history });
		if (state.status === undefined) this.#problem = checkPlan(this.#job.job, state);
		try {
			await this.#become(state).catch(() => this.#become({ ...state, history: [] }));
		} catch (error) {
			this.#problem = error;
		}
	}

	/** A state at the beginning of a step, or at the end. */
	#next(changes: Partial<JobCheckpoint>): JobCheckpoint {
		const fresh = { attempts: 0, until: undefined, since: undefined, lastDelay: undefined, previous: undefined };
		const state = { ...this.#state, ...fresh, crashed: this.#task.claim.crashes, ...changes };
		const { plan, isBackward, status } = state;
		if (status !== undefined) return state;
		if (!isBackward) return state.at < plan.length ? state : { ...state, status: "completed" };
		let { at } = state;
		while (at > 0 && !this.#hasRevert(plan[at - 1]!)) at--;
		if (at > 0) return { ...state, at };
		return { ...state, at, status: plan.some((name) => this.#hasRevert(name)) ? "reverted" : "failed" };
	}

	/** A step that the definition lacks may have had one. */
	#hasRevert(name: string): boolean {
		const step = this.#job.steps.get(name);
		return step === undefined || step.definition.options.revert !== undefined;
	}

	async #become(state: JobCheckpoint): Promise<void> {
		this.#data = await this.#encode(state);
		this.#state = state;
		this.#isStored = false;
		this.#owner.onChange();
	}

	#encode(state: JobCheckpoint): Data | PromiseLike<Data> {
		const { codec, store } = this.#owner;
		return encodePayload({ codec }, state, store.capabilities.maxPayload);
	}

	/** Whether it could be saved now. */
	async #save(): Promise<boolean> {
		const { claim } = this.#task;
		this.#throwIfLost(!this.#task.isOver);
		let isSaved;
		try {
			isSaved = await this.#task.track(this.#owner.save({ ref: claim, payload: this.#data, seen: this.#seen }));
		} catch (error) {
			report(this.#owner.onError, error);
			return false;
		}
		if (!isSaved && claim !== this.#task.claim) return await this.#save(); // claimed anew meanwhile
		this.#throwIfLost(isSaved);
		return this.#isStored = true;
	}

	#throwIfLost(isOurs: boolean): void {
		if (isOurs) return;
		this.#task.lose();
		throw new ClaimLostError(this.#task.id);
	}

	#finish(): Outcome {
		return { type: "done", keep: this.#owner.retain, payload: this.#data };
	}

	/** Ends the claim, with which the crashes are forgotten. */
	async #later(delay: number | null): Promise<Outcome> {
		const state = { ...this.#state, crashed: 0 };
		const encode = async (state: JobCheckpoint) => await this.#encode(state);
		const payload = await encode(state).catch(() => encode({ ...state, history: [] }));
		return { type: "later", delay, seen: this.#seen, payload };
	}

	/** Keeps it from all processors, with the reason: it is never run on a guess. */
	#hold(reason: unknown): Outcome {
		const error = encodeFailure(new DOMException(textOf(reason), "InvalidStateError"));
		return { type: "retry", delay: 0, attempts: 0, error, payload: this.#data, hold: true };
	}
}

function failed(error: unknown): Step<unknown> {
	return { ok: false, error, again: false, delay: 0 };
}

function cancelled(): DOMException {
	return abortError("The job was cancelled");
}

function textOf(error: unknown): string {
	return decodeFailure(encodeFailure(error))!.message.slice(0, 200);
}

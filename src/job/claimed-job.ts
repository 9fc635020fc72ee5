/**
 * The state of a job while this process has a claim on its task, and its way from the store and into it: how a claim begins
 * and ends, whatever the job does meanwhile.
 *
 * @module
 */

import {
	ClaimLostError,
	decodeFailure,
	encodeFailure,
	encodePayload,
	type JobClaim,
	type TaskFailure,
} from "../basket/engine.ts";
import type { Data, LogEntry, LogPart, Offspring, Outcome } from "../basket/store.ts";
import { decodeHead } from "./decode.ts";
import { isRefusal, textOf } from "./failures.ts";
import { decodeRecord } from "./flow-log.ts";
import { keepSteps } from "./groups.ts";
import { JobAppender, readEntries, type ReadLog, replay } from "./log.ts";
import { encodeShortened } from "./shortening.ts";
import { mayGiveUp } from "./transitions.ts";
import { storable, valueOf } from "./value.ts";
import type { JobOwner } from "./owner.ts";
import type { Replay } from "./replays.ts";
import type { FailedJobAttempt } from "./options.ts";
import {
	fitInput,
	type FlowRecord,
	type JobCheckpoint,
	type JobEntry,
	type JobHead,
	type JobMessage,
	type JobResults,
	type PreparedJob,
} from "./state.ts";
import type { LiveJob } from "./view.ts";
import { report } from "../platform/observe.ts";
import { timeoutError } from "../run/attempt.ts";
import { whileListening } from "../platform/signals.ts";
import { validate } from "../platform/standard-schema.ts";

/** The log of a job could not be read, which says nothing about the job. */
export class LogReadError extends Error {}

export abstract class ClaimedJob<Tx> {
	readonly owner: JobOwner<Tx>;
	readonly job: PreparedJob;
	readonly task: JobClaim;
	/** The state; `undefined` before it was read. */
	state!: JobCheckpoint;
	/** The number of the last message that the state includes, and that of the last one that was removed. */
	protected seen = 0;
	#removed = 0;
	/** Whether the claim must end after the running step, because of a message. */
	protected isYielding = false;
	/** Whether messages may have arrived while nobody could heed them. */
	protected mustLook = false;
	/** Whether this claim has run a step, and whether the step holds back the other jobs of its limit. */
	protected hasRun = false;
	protected isKeyShut = false;
	/** The reason for which the job is held, if it is. */
	heldFor: TaskFailure | undefined;
	/** The problem that prevents the job from continuing. */
	protected problem: unknown;
	/** The time at which the job was added, on the monotonic clock. */
	readonly #addedAt: number;
	protected readonly log: JobAppender;
	/** What the next save adds to the job. */
	protected offspring: Offspring | undefined;
	/** The size of the entries of the log, in bytes. */
	#size = 0;
	/** The entries of a durable function. */
	#entries: LogEntry[] | undefined;
	/** Whether the stored head, continued by the log, is the state. */
	#isHeadStored = true;

	constructor(owner: JobOwner<Tx>, job: PreparedJob, task: JobClaim) {
		this.owner = owner;
		this.job = job;
		this.task = task;
		this.#addedAt = owner.clock.monotonic() - task.claim.age;
		this.log = new JobAppender(task.claim.logged ?? 0);
	}

	/** The name of its definition. */
	get name(): string {
		return this.job.job.name;
	}

	/** The current age of the job. */
	get age(): number {
		return this.owner.clock.monotonic() - this.#addedAt;
	}

	/** Continues a job whose claim has begun. */
	protected abstract proceed(): Promise<Outcome>;
	/** Heeds a message that was not seen before. */
	protected abstract heed(message: JobMessage | undefined): void;
	/** Forward, the job turns backward; backward, the job ends. */
	protected abstract fail(error: unknown): void;
	/** Checks for messages that concern the running step. Never rejects. */
	abstract look(): Promise<void>;
	/** Whether nobody waits for it anymore: its claim is over, and no step is running. */
	abstract get isLeft(): boolean;
	/** The current step. */
	abstract get place(): Pick<LiveJob, "direction" | "step" | "attempt">;

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
			return await this.hold(error);
		}
		// The limit was changed.
		if (limitKey !== undefined && limitKey !== this.task.claim.limitKey) return { type: "release", limitKey };
		this.task.onPosted = () => void this.look();
		if (this.mustLook || this.task.isPosted) void this.look();
		this.owner.onChange();
		for (const { n, data } of this.task.claim.inbox) {
			const message = await this.decodeMessage(data);
			this.seen = n;
			this.heed(message);
		}
		this.#checkCrashes();
		const early = this.#early();
		if (early > 0) return await this.later(early);
		return await whileListening(this.task.signal, () => this.proceed());
	}

	/** Ends the claim after the running step. */
	yield(): void {
		this.isYielding = true;
	}

	/** The messages in the store. */
	protected async readMessages(): Promise<(readonly [n: number, message: JobMessage | undefined])[]> {
		const { store, name } = this.owner;
		const task = await this.task.calls.track(() => store.get(name, this.task.id));
		const read = async ({ n, data }: { n: number; data: Data }) => [n, await this.decodeMessage(data)] as const;
		return await Promise.all((task?.inbox ?? []).filter(({ n }) => n > this.seen).map(read));
	}

	protected async decodeMessage(message: Data): Promise<JobMessage | undefined> {
		try {
			return await this.owner.codec.decode(message) as JobMessage;
		} catch (error) {
			report(this.owner.onError, error);
		}
	}

	#checkCrashes(): void {
		const { crashes } = this.task.claim;
		const { crashed } = this.state;
		// Crashes before the checkpoint belong to another step.
		const count = crashes >= crashed ? crashes - crashed : crashes;
		if (count < this.owner.crashes || !mayGiveUp(this.job, this.state)) return;
		this.fail(new Error(`The process that ran the step ended without a word, ${count} times in a row`));
	}

	/** The time until the deadline of the job, in milliseconds. There is none for reverts. */
	protected get timeLeft(): number {
		const { deadline } = this.job.job;
		return this.state.isBackward || deadline === Infinity ? Infinity : Math.ceil(deadline - this.age);
	}

	protected get overdue(): DOMException {
		return timeoutError(`The job was not completed within ${this.job.job.deadline} ms`, undefined);
	}

	/** Each step is a start of its own where these are limited. */
	protected mustQueue(): boolean {
		return this.hasRun && (this.job.job.limit?.bounds.spacing ?? 0) > 0;
	}

	/** The remaining delay of a job that was added with a delay and became due early because of a message. */
	#early(): number {
		const { at, isBackward, delay = 0 } = this.state;
		const isTold = this.task.claim.inbox.length > 0;
		// Limited to the delay, in case the clock was set back.
		return isTold && at === 0 && !isBackward ? Math.min(delay, Math.ceil(delay - this.age)) : 0;
	}

	protected tell(failed: Omit<FailedJobAttempt, "id" | "job">): void {
		this.owner.onAttemptFailed({ id: this.task.id, job: this.name, ...failed });
	}

	/** Ends the claim, which resets the crashes. */
	protected async later(wait: number | null, isBackoff = false): Promise<Outcome> {
		const most = Math.max(0, Math.min(wait ?? Infinity, this.timeLeft));
		const delay = most < Infinity ? most : null;
		try {
			const payload = await this.encodeHead({ crashed: 0 });
			return { type: "later", delay, seen: this.seen, payload, backoff: isBackoff, isKeyShut: this.isKeyShut };
		} catch (error) {
			// The step must not be tried more often than allowed.
			return await this.hold(error);
		}
	}

	/** The job has ended, and its head has the outcome. */
	protected async done(): Promise<Outcome> {
		// What the body has is not what is stored: it may have changed it.
		this.state = { ...this.state, entries: this.#entries };
		try {
			const payload = await this.encodeHead();
			const { isChild, status } = this.state;
			if (!isChild) return { type: "done", retain: this.owner.retain, payload };
			const isBad = status !== "completed";
			return { type: "done", retain: Infinity, payload, result: isBad ? undefined : await this.#encodeValue(), isBad };
		} catch (error) {
			return await this.hold(error);
		}
	}

	/** The value of a completed job; of a durable function, its last record. If it is too large, the parent of the job fails. */
	async #encodeValue(): Promise<Data | undefined> {
		const { pending } = this.state;
		const value = pending === undefined
			? valueOf(this.state)
			: (await this.readRecord(this.#entries!.length - 1)).value;
		try {
			return await this.encode(storable(value));
		} catch (error) {
			if (!isRefusal(error)) throw error;
		}
	}

	/** Holds the job and stores the reason, because a job whose state is uncertain never runs. */
	protected async hold(reason: unknown): Promise<Outcome> {
		const error = encodeFailure(new DOMException(textOf(reason), "InvalidStateError"));
		this.heldFor = decodeFailure(error);
		const payload = this.state && await this.encodeHead().catch(() => undefined);
		return { type: "retry", delay: 0, attempts: 0, error, payload, hold: true };
	}

	/** The entries that are stored with the end of the claim. */
	get part(): LogPart | undefined {
		return this.log.part;
	}

	/** What this process knows of the log when the end of the claim is stored; `undefined` if it was not read. */
	get replay(): Replay | undefined {
		const { uid, logged, results } = this.state ?? {};
		return uid === undefined ? undefined : { uid, logged, results, entries: this.#entries, size: this.#size };
	}

	/** Reads the state from the head and the log. */
	protected async read(data: Data): Promise<JobCheckpoint> {
		const head = await decodeHead(this.owner.codec, data);
		const { task: { id, claim }, owner } = this;
		const kept = owner.replays.take(id);
		const isUsable = kept !== undefined && kept.uid === head.uid && kept.logged <= head.logged;
		const { logged: after, results, size, entries: before = [] } = isUsable
			? kept
			: { logged: 0, results: {}, size: 0 };
		const entries = (claim.logged ?? 0) > after ? await this.#readLog(after) : [];
		this.#size = entries.reduce((sum, { data }) => sum + data.length, size);
		const all = Math.max(head.logged, claim.logged ?? 0);
		if (head.pending !== undefined) {
			this.#entries = [...before, ...entries];
			return await this.#fold(head, all);
		}
		const { state, results: found } = await replay(owner.codec, this.job, head, entries, after, all);
		await this.#keep(results, found, state);
		return { ...state, results };
	}

	/** The state of a durable function, with its records decoded anew. */
	async #fold(head: JobHead, count: number): Promise<JobCheckpoint> {
		const { state, records } = await replay(this.owner.codec, this.job, head, this.#entries!, 0, count);
		return { ...state, results: {}, records };
	}

	/** The records of a durable function, decoded anew. */
	protected async readRecords(): Promise<readonly FlowRecord[]> {
		return (await this.#fold(this.state, this.state.logged)).records!;
	}

	/** One of them. */
	protected readRecord(index: number): FlowRecord | PromiseLike<FlowRecord> {
		return decodeRecord(this.owner.codec, this.#entries![index]!.data);
	}

	/** Results that later steps may get are read with their schemas. */
	async #keep(
		results: JobResults,
		found: ReadonlyMap<number, unknown>,
		{ plan, at: next, status, open }: JobHead,
	): Promise<void> {
		const all: [at: number, value: unknown][] = [];
		for (const [at, value] of found) {
			const isNeeded = (at < next || open?.includes(at) === false) && status === undefined;
			const schema = isNeeded ? this.job.steps.get(plan[at]!)?.definition.options.schema : undefined;
			all.push([at, schema === undefined ? value : await validate(schema, value)]);
		}
		keepSteps(results, plan, all);
	}

	/** Its time is limited after it is sent, together with the reads of others. */
	readonly readLog: ReadLog = (read) =>
		new Promise((resolve, reject) => {
			const { task } = this;
			let tracked: Promise<void> | undefined;
			const sent = this.owner.readLog(read, () => {
				if (!task.isOver) tracked ??= task.calls.track(() => sent).then(resolve, reject);
				return !task.isOver;
			});
			sent.then(resolve, reject);
		});

	async #readLog(after: number): Promise<readonly LogEntry[]> {
		const { task: { id, claim: { token } }, owner } = this;
		let entries;
		try {
			entries = await readEntries(this.readLog, { id, token, after });
		} catch (error) {
			report(owner.onError, error);
			throw new LogReadError(undefined, { cause: error });
		}
		if (entries === undefined) throw new LogReadError(undefined, { cause: this.#lost() });
		return entries;
	}

	/** The state after an entry, which is in the log or will be stored next. */
	protected advance(next: JobCheckpoint, data: Data): undefined {
		this.state = next;
		this.#size += data.length;
		this.#entries?.push({ n: next.logged, data });
		this.owner.onChange();
	}

	/** Changes the state by more than an entry of the log. */
	protected become(next: JobCheckpoint): void {
		this.state = next;
		this.#isHeadStored = false;
		this.owner.onChange();
	}

	protected async encodeHead(changes?: Partial<JobHead>): Promise<Data> {
		const { results: _, records: __, value: ___, entries: ____, ...head } = { ...this.state, ...changes };
		return await encodeShortened(head, this.encode);
	}

	readonly encode = (value: JobHead | JobEntry | FlowRecord): Data | PromiseLike<Data> => {
		const { codec, store } = this.owner;
		return encodePayload({ codec }, value, store.capabilities.maxPayload);
	};

	protected get isStored(): boolean {
		return this.#isHeadStored && this.log.isEmpty;
	}

	/** Returns whether the state could be saved now. */
	protected async save(): Promise<boolean> {
		const { task: { claim, isOver }, state, seen } = this;
		this.throwIfLost(!isOver);
		let isSaved;
		const { part } = this.log;
		let payload: Data | undefined;
		try {
			payload = this.#isHeadStored ? undefined : await this.encodeHead();
			const removed = seen > this.#removed ? seen : undefined;
			const save = { ref: claim, payload, seen: removed, log: part, ...this.offspring };
			isSaved = await this.owner.save(save, this.task);
		} catch (error) {
			// Then fewer children may fit.
			if (this.offspring?.children !== undefined && isRefusal(error)) throw error;
			report(this.owner.onError, error);
			return false;
		}
		if (!isSaved && claim !== this.task.claim) return await this.save(); // claimed again meanwhile
		this.throwIfLost(isSaved);
		if (part !== undefined) this.log.keep(part);
		this.#removed = seen;
		this.task.saved(payload, this.log.stored);
		// What has changed meanwhile is not stored.
		if (payload !== undefined) this.#isHeadStored = this.state === state;
		return true;
	}

	throwIfLost(isOurs: boolean): void {
		if (!isOurs) throw this.#lost();
	}

	#lost(): ClaimLostError {
		this.task.lose();
		return new ClaimLostError(this.task.id);
	}
}

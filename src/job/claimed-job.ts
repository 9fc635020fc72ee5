/**
 * The state of a job while this process has a claim on its task, and its way from the store and into it.
 *
 * @module
 */

import { ClaimLostError, cut, encodePayload, type JobClaim, type TaskFailure } from "../basket/engine.ts";
import type { Data, LogEntry, LogPart } from "../basket/store.ts";
import { decodeHead } from "./decode.ts";
import { JobAppender, readEntries, type ReadLog, replay } from "./log.ts";
import type { JobOwner } from "./owner.ts";
import type { Replay } from "./replays.ts";
import {
	type JobCheckpoint,
	type JobEntry,
	type JobHead,
	type JobResults,
	keepResult,
	type PreparedJob,
} from "./state.ts";
import type { JobPosition } from "./step-attempt.ts";
import { follow } from "./transitions.ts";
import { report } from "../platform/observe.ts";
import { validate } from "../platform/standard-schema.ts";

/** The log of a job could not be read, which says nothing about the job. */
export class LogReadError extends Error {}

export class ClaimedJob<Tx> implements JobPosition<Tx> {
	readonly owner: JobOwner<Tx>;
	readonly job: PreparedJob;
	readonly task: JobClaim;
	/** The state; `undefined` before it was read. */
	state!: JobCheckpoint;
	/** The number of the last message that the state includes, and that of the last one that was removed. */
	protected seen = 0;
	#removed = 0;
	/** The time at which the job was added, on the monotonic clock. */
	readonly #addedAt: number;
	protected readonly log: JobAppender;
	/** The size of the entries of the log, in bytes. */
	#size = 0;
	/** Whether the stored head, continued by the log, is the state. */
	#isHeadStored = true;

	constructor(owner: JobOwner<Tx>, job: PreparedJob, task: JobClaim) {
		this.owner = owner;
		this.job = job;
		this.task = task;
		this.#addedAt = owner.clock.monotonic() - task.claim.age;
		this.log = new JobAppender(task.claim.logged ?? 0);
	}

	/** The current age of the job. */
	get age(): number {
		return this.owner.clock.monotonic() - this.#addedAt;
	}

	/** The entries that are stored with the end of the claim. */
	get part(): LogPart | undefined {
		return this.log.part;
	}

	/** What this process knows of the log when the end of the claim is stored; `undefined` if it was not read. */
	get replay(): Replay | undefined {
		const { uid, logged, results } = this.state ?? {};
		return uid === undefined ? undefined : { uid, logged, results, size: this.#size };
	}

	/** Reads the state from the head and the log. */
	protected async read(data: Data): Promise<JobCheckpoint> {
		const head = await decodeHead(this.owner.codec, data);
		const { task: { id, claim }, owner } = this;
		const kept = owner.replays.take(id);
		const isUsable = kept !== undefined && kept.uid === head.uid && kept.logged <= head.logged;
		const { logged: after, results, size } = isUsable ? kept : { logged: 0, results: {}, size: 0 };
		const entries = (claim.logged ?? 0) > after ? await this.#readLog(after) : [];
		this.#size = entries.reduce((sum, { data }) => sum + data.length, size);
		const all = Math.max(head.logged, claim.logged ?? 0);
		const { state, results: found } = await replay(owner.codec, this.job, head, entries, after, all);
		await this.#keep(results, found, state);
		return { ...state, results };
	}

	/** Results that later steps may get are read with their schemas. */
	async #keep(
		results: JobResults,
		found: ReadonlyMap<number, unknown>,
		{ plan, at: next, status }: JobHead,
	): Promise<void> {
		for (const [at, value] of found) {
			const name = plan[at]!;
			const schema = at < next && status === undefined
				? this.job.steps.get(name)?.definition.options.schema
				: undefined;
			keepResult(results, name, schema === undefined ? value : await validate(schema, value));
		}
	}

	readonly readLog: ReadLog = (read) => this.#send((begin) => this.owner.readLog(read, begin));

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
	protected advance(entry: JobEntry, { length }: Data): undefined {
		const { plan, results } = this.state;
		if (!entry.isRevert) keepResult(results, plan[entry.at]!, entry.value);
		this.state = follow(this.job, this.state, entry);
		this.#size += length;
		this.owner.onChange();
	}

	/** Changes the state by more than an entry of the log. */
	protected become(next: JobCheckpoint): void {
		this.state = next;
		this.#isHeadStored = false;
		this.owner.onChange();
	}

	/** If the head is too large for the store, details for people are dropped first. */
	protected async encodeHead(changes?: Partial<JobHead>): Promise<Data> {
		const { results: _, ...head } = { ...this.state, ...changes };
		const { error, revertError, previous } = head;
		const short = { ...head, history: [] };
		const shortest = { ...short, error: brief(error), revertError: brief(revertError), previous: brief(previous) };
		for (const form of [head, short]) {
			try {
				return await this.encode(form);
			} catch {
				// The last error is reported.
			}
		}
		return await this.encode(shortest);
	}

	readonly encode = (value: JobHead | JobEntry): Data | PromiseLike<Data> => {
		const { codec, store } = this.owner;
		return encodePayload({ codec }, value, store.capabilities.maxPayload);
	};

	protected get isStored(): boolean {
		return this.#isHeadStored && this.log.part === undefined;
	}

	/** Returns whether the state could be saved now. */
	protected async save(): Promise<boolean> {
		const { claim, isOver } = this.task;
		this.throwIfLost(!isOver);
		let isSaved;
		const { part } = this.log;
		const { seen } = this;
		let payload: Data | undefined;
		try {
			payload = this.#isHeadStored ? undefined : await this.encodeHead();
			const save = { ref: claim, payload, seen: seen > this.#removed ? seen : undefined, log: part };
			isSaved = await this.#send((begin) => this.owner.save(save, begin));
		} catch (error) {
			report(this.owner.onError, error);
			return false;
		}
		if (!isSaved && claim !== this.task.claim) return await this.save(); // claimed again meanwhile
		this.throwIfLost(isSaved);
		if (part !== undefined) this.log.keep(part);
		this.#removed = seen;
		this.task.saved(payload, this.log.stored);
		return this.#isHeadStored = true;
	}

	/** Its time is limited only after it is sent, together with those of others. */
	#send<R>(send: (begin: () => boolean) => Promise<R>): Promise<R> {
		return new Promise((resolve, reject) => {
			const { task } = this;
			let tracked: Promise<void> | undefined;
			const sent = send(() => {
				if (!task.isOver) tracked ??= task.calls.track(() => sent).then(resolve, reject);
				return !task.isOver;
			});
			sent.then(resolve, reject);
		});
	}

	throwIfLost(isOurs: boolean): void {
		if (!isOurs) throw this.#lost();
	}

	#lost(): ClaimLostError {
		this.task.lose();
		return new ClaimLostError(this.task.id);
	}
}

function brief(failure: TaskFailure | undefined): TaskFailure | undefined {
	return failure && { name: failure.name, message: cut(failure.message, 100), code: failure.code };
}

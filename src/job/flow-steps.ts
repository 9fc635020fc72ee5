/**
 * The steps, sleeps and waits of a durable function while its body runs: they begin, wait, are tried again, and their results
 * go through the log to their promises.
 *
 * @module
 */

import { chain, decodeFailure, decodeMeta, encodeFailure } from "../basket/engine.ts";
import type { Data } from "../basket/store.ts";
import type { Attempting } from "./attempting.ts";
import type { FlowStepContext } from "./flow.ts";
import type { CommitPosition } from "./committing.ts";
import type { FlowCall, FlowRequest } from "./flow-call.ts";
import type { FlowPass, PassOwner } from "./flow-pass.ts";
import type { FlowRecord, JobHead, PendingCall, StoredAttempt } from "./state.ts";
import { later, type TaskContext } from "../run/task.ts";
import { ClaimedJob } from "./claimed-job.ts";
import { textOf } from "./failures.ts";
import { FlowAttempt } from "./flow-attempt.ts";
import { decodeRecord, followRecord, nothingPending, shortFailure } from "./flow-log.ts";
import { storable } from "./value.ts";
import { LogGate } from "./log-gate.ts";
import { checkResult, remember } from "./transitions.ts";
import { timeoutError } from "../run/attempt.ts";
import type { RunStep } from "../run/execution.ts";
import { validate } from "../platform/standard-schema.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** How a pass has ended. */
export type End =
	| { readonly type: "value"; readonly value: unknown }
	| { readonly type: "error"; readonly error: unknown; readonly isThrown?: boolean | undefined }
	/** Nothing can happen before a time or a signal, or the claim must end. */
	| { readonly type: "wait" }
	| { readonly type: "stop" };

/** A result on its way into the log. */
interface DoneCall {
	readonly call: FlowCall;
	readonly record: FlowRecord;
	readonly data: Data;
}

export abstract class FlowSteps<Tx> extends ClaimedJob<Tx> implements PassOwner, CommitPosition<Tx, FlowRecord> {
	protected pass: FlowPass | undefined;
	/** Ends the current pass. */
	protected finish: ((end: End) => void) | undefined;
	/** The registered calls that have not begun. */
	#waiting: FlowCall[] = [];
	protected readonly parked: Set<FlowCall> = new Set();
	/** The number of what runs: attempts, and results that are being encoded. */
	protected running = 0;
	/** Called when nothing runs anymore. */
	protected onIdle: (() => void) | undefined;
	readonly gate: LogGate = new LogGate();
	#done: DoneCall[] = [];
	/** What the next save stores. */
	readonly #appended: DoneCall[] = [];
	protected saving: Promise<void> | undefined;
	/** Whether everything that the body waits for is registered. */
	protected isWhole = false;
	/** Whether the job is due before its time, because somebody has asked for the next attempts now. */
	protected isAwake = false;
	/** The names in the log. */
	#recorded: Set<string | undefined> | undefined;
	protected readonly timer: CallbackTimer = new CallbackTimer(() => this.pass?.tick());

	/** Backward, nothing happens any more. */
	protected abstract restBackward(): void;

	protected override encodeHead(changes?: Partial<JobHead>): Promise<Data> {
		const { isBackward, status } = this.state;
		const isOver = isBackward || status !== undefined;
		const pending = isOver ? {} : this.#pending();
		this.#recorded ??= new Set(this.state.records?.map(({ name }) => name));
		const isOpen = ([name]: [string, unknown]) => !this.#recorded!.has(name);
		const signals = isOver ? [] : Object.entries(this.state.signals).filter(isOpen);
		return super.encodeHead({ pending, signals: Object.fromEntries(signals), ...changes });
	}

	/** What the job waits for. Names that this pass has not reached stay as they are. */
	#pending(): Record<string, PendingCall> {
		const { calls, open = [] } = this.pass ?? {};
		const before = this.isWhole ? [] : Object.entries(this.state.pending!);
		const pending = Object.fromEntries(before.filter(([name]) => !calls?.has(name)));
		for (const { record, isParked, waiting, order, request: { name, type } } of open) {
			if (record === undefined && (isParked || waiting !== nothingPending)) {
				pending[name] = { ...waiting, previous: shortFailure(waiting.previous), type, order };
			}
		}
		return pending;
	}

	soon(callback: () => void): void {
		this.owner.soon(callback);
	}

	readonly orderOf = (name: string): number | undefined => this.#pendingOf(name)?.order;

	#pendingOf(name: string): PendingCall | undefined {
		const pending = this.state.pending!;
		return Object.hasOwn(pending, name) ? pending[name] : undefined;
	}

	begin(call: FlowCall): void {
		const { name, type } = call.request;
		const pass = this.pass!;
		if (this.state.isBackward) return pass.tick();
		const pending = this.#pendingOf(name);
		if (pending !== undefined) {
			if (pending.type !== type) return this.contradict(new TypeError(`${JSON.stringify(name)} was a ${pending.type}`));
			const mayBegin = this.isAwake && type === "step" && !pending.isFirm;
			call.waiting = mayBegin ? { ...pending, until: undefined } : pending;
		}
		if (!pass.isReplaying) return this.#begin(call);
		this.#wait(call);
	}

	contradict(problem: unknown): void {
		this.problem = problem;
		this.finish!({ type: "stop" });
	}

	mismatch(problem: TypeError): void {
		if (this.state.isBackward) this.pass!.tick();
		else this.contradict(problem);
	}

	refuse(error: TypeError): void {
		if (!this.state.isBackward) this.finish!({ type: "error", error });
	}

	rest(): void {
		if (this.state.isBackward) return this.restBackward();
		const { age } = this;
		if (!this.isYielding) { for (const call of this.#waiting.splice(0)) this.#resume(call); }
		let next = Infinity;
		for (const call of this.parked) {
			if (this.isYielding || !this.#isDue(call, age)) next = Math.min(next, call.waiting.until ?? Infinity);
			else this.#resume(call);
		}
		if (this.running > 0 || this.saving !== undefined) {
			if (!this.isStored) this.#save();
		} else if (this.isYielding) return this.finish!({ type: "wait" });
		else if ([...this.parked].some(({ isAwaited }) => isAwaited)) {
			this.isWhole = true;
			return this.finish!({ type: "wait" });
		}
		if (next < Infinity && !this.isYielding) this.owner.clock.set(this.timer, Math.max(0, Math.ceil(next - age)));
	}

	#isDue({ request: { name, type }, waiting: { until } }: FlowCall, age: number): boolean {
		return until !== undefined && until <= age || type === "waitFor" && Object.hasOwn(this.state.signals, name);
	}

	/** Begins what a name stands for, or lets it wait. */
	#begin(call: FlowCall): void {
		const { request: { name, type, duration, schema }, waiting: { until } } = call;
		const { age, state: { signals } } = this;
		if (type === "step") {
			if (until !== undefined && until > age) return this.#park(call);
			this.isYielding ||= this.mustQueue();
			if (this.isYielding) return this.#wait(call);
			return this.#track(this.#try(call));
		}
		if (type === "waitFor" && Object.hasOwn(signals, name)) {
			const { value } = signals[name]!;
			const read = async () => schema === undefined ? value : await validate(schema, value);
			// The codec has read the value; what the schema makes of it is made again when it is delivered.
			this.#track(read().then(() => this.#succeed(call, value), (error) => this.#end(call, error)));
		} else if (duration === 0 || (until !== undefined && until <= age)) {
			const text = `No signal ${JSON.stringify(name)} came within ${duration} ms`;
			this.#track(type === "sleep" ? this.#succeed(call, undefined) : this.#end(call, timeoutError(text, undefined)));
		} else {
			if (until === undefined && duration < Infinity) {
				call.waiting = { ...nothingPending, until: Math.floor(age + duration) };
				this.become({ ...this.state });
			}
			this.#park(call);
		}
	}

	#park(call: FlowCall): void {
		call.isParked = true;
		this.parked.add(call);
		this.#suspend(call);
	}

	/** Lets a call wait until the claim can begin it. */
	#wait(call: FlowCall): void {
		this.#waiting.push(call);
		this.#suspend(call);
	}

	/** The call continues in the async context of the body, whoever lets it continue. */
	#suspend(call: FlowCall): void {
		const begin = () => this.pass!.isOver ? undefined : this.#begin(call);
		call.begun = new Promise<void>((resolve) => call.resume = resolve).then(begin);
		this.pass!.tick();
	}

	#resume(call: FlowCall): void {
		this.parked.delete(call);
		call.isParked = false;
		call.resume!();
		this.#track(call.begun!);
	}

	#track(work: Promise<void>): void {
		const end = () => {
			if (--this.running === 0) this.onIdle?.();
			this.pass!.tick();
		};
		this.running++;
		void work.then(end, (error) => {
			// Not even the error could be encoded.
			if (this.finish !== undefined) this.contradict(error);
			end();
		});
	}

	/** Makes one attempt of a step. */
	async #try(call: FlowCall): Promise<void> {
		const { name, run, settings, schema } = call.request;
		const place = { ...call.waiting, at: name, isBackward: false };
		const attempt = new FlowAttempt<Tx, FlowStepContext<Tx>>(this, place, settings!, {
			more: this.about(name),
			call: run as NonNullable<FlowRequest<Tx>["run"]>,
			check: (value) => schema === undefined ? value : validate(schema, value),
			record: (value, attempt) => this.#recordOf(call, this.#resultOf(call, value, attempt)),
		});
		call.attempt = attempt;
		this.hasRun = true;
		this.owner.onChange();
		try {
			const result = await attempt.run(this.task.signal);
			call.attempt = undefined;
			if ("entry" in result) await this.#committed(call, result.data);
			else await this.#ended(call, attempt, result);
		} catch (error) {
			// Whether the result is stored is not known: the next claim finds out.
			if (this.gate.broken === undefined) throw error;
			this.finish?.({ type: "stop" });
		} finally {
			attempt.end();
		}
	}

	/** The attempt has ended. */
	async #ended(call: FlowCall, attempt: FlowAttempt<Tx, FlowStepContext<Tx>>, result: RunStep<unknown>): Promise<void> {
		const { task: { signal } } = this;
		if (this.task.isOver) return;
		if (result.ok) return await this.#succeed(call, result.value, attempt);
		// The attempt was aborted, and does not count.
		if (signal.aborted || this.pass!.isOver) return;
		const { error, again, delay } = result;
		this.isKeyShut ||= again && attempt.isKeyShut && this.job.job.limit !== undefined;
		if (result.later) call.waiting = attempt.postponed(delay);
		else {
			this.tell({ step: call.request.name, isRevert: false, attempt: attempt.number, error, again, delay });
			if (!again) return await this.#end(call, error, attempt);
			call.waiting = attempt.next(error, delay);
			this.#remember(attempt, error);
		}
		this.become({ ...this.state });
		this.#park(call);
	}

	protected about(name: string): Omit<FlowStepContext, keyof TaskContext | "commit"> {
		const { state: { uid, version, isBackward }, task: { id, claim } } = this;
		const idempotencyKey = `${uid}/${name}${isBackward ? "/revert" : ""}`;
		return { id, step: name, meta: decodeMeta(claim.meta), version, idempotencyKey };
	}

	#remember(attempt: Attempting, error: unknown): void {
		const history = remember(this.state.history, attempt.record(textOf(error)));
		this.become({ ...this.state, history });
	}

	/** A result that cannot be encoded fails its step. */
	async #succeed(call: FlowCall, value: unknown, attempt?: Attempting): Promise<void> {
		try {
			await this.#record(call, this.#resultOf(call, value, attempt?.record()));
		} catch (error) {
			await this.#end(call, error, attempt);
		}
	}

	/** What is stored of a result. */
	#resultOf(call: FlowCall, value: unknown, attempt: StoredAttempt | undefined): Partial<FlowRecord> {
		checkResult(value);
		const hasRevert = call.request.options.revert === undefined ? undefined : true;
		return { ...storable(value), hasRevert, attempt };
	}

	#recordOf({ request: { name, type }, order }: FlowCall, rest: Partial<FlowRecord>): FlowRecord {
		return this.stamp({ name, type, order, ...rest });
	}

	/** The result is in the log already. */
	async #committed(call: FlowCall, data: Data): Promise<void> {
		const record = await decodeRecord(this.owner.codec, data);
		this.noteCommitted(record, data);
		this.pass!.record(call, record);
	}

	settle(): Promise<void> | undefined {
		const { gate } = this;
		gate.check();
		if (gate.shut !== undefined) return gate.shut;
		if (this.saving === undefined && this.isStored && this.#done.length === 0) return undefined;
		this.#save();
		return this.saving!.then(() => {
			gate.check();
			// This is no failure of the step that waits.
			if (!this.isStored) throw later(0, "The results of other steps could not be stored");
		});
	}

	/** The promise rejects. */
	async #end(call: FlowCall, error: unknown, attempt?: Attempting): Promise<void> {
		call.thrown = { error };
		const failure = shortFailure(decodeFailure(encodeFailure(error)));
		await this.#record(call, { error: failure, attempt: attempt?.record(textOf(error)) });
	}

	#record(call: FlowCall, rest: Partial<FlowRecord>): void | PromiseLike<void> {
		return chain(this.encode(this.#recordOf(call, rest)), (data) =>
			// As later passes will read it.
			chain(decodeRecord(this.owner.codec, data), (record) => {
				this.#done.push({ call, record, data });
				this.#save();
			}));
	}

	#save(): void {
		this.saving ??= this.#saveAll();
	}

	/** Stores what is done, and lets its promises settle. */
	async #saveAll(): Promise<void> {
		try {
			// Results that come together are stored together.
			await undefined;
			while (!this.pass!.isOver && (this.#done.length > 0 || !this.isStored)) {
				await this.gate.pass();
				this.#append();
				const count = this.#appended.length;
				if (!await this.save()) {
					this.isYielding = true;
					break;
				}
				for (const { call, record } of this.#appended.splice(0, count)) this.pass!.record(call, record);
			}
		} catch {
			// The claim is lost, or must end.
			this.finish?.({ type: "stop" });
		}
		this.saving = undefined;
		this.pass!.tick();
	}

	/** Moves what is done towards the log, as much as may be stored at once. */
	#append(): void {
		while (this.#done.length > 0 && !this.log.isFull) {
			const one = this.#done.shift()!;
			this.appendRecord(one.record, one.data);
			this.#appended.push(one);
		}
	}

	/** What every entry says of the job and of the claim. */
	protected stamp(record: FlowRecord): FlowRecord {
		const { state: { uid, logged }, task: { claim: { crashes } } } = this;
		return { ...record, crashed: crashes || undefined, uid: logged === 0 ? uid : undefined };
	}

	protected appendRecord(record: FlowRecord, data: Data): void {
		this.log.add(data);
		this.#note(record, data);
	}

	/** An entry that is in the log already. */
	protected noteCommitted(record: FlowRecord, data: Data): void {
		this.log.stored++;
		this.#note(record, data);
	}

	#note(record: FlowRecord, data: Data): void {
		(this.state.records as FlowRecord[]).push(record);
		this.#recorded?.add(record.name);
		this.advance(followRecord(this.state, record), data);
	}

	/** What was completed when the pass had ended. Returns whether nothing is lost if the claim goes on. */
	protected async keepDone(): Promise<boolean> {
		for (this.#append(); this.#done.length > 0; this.#append()) if (!await this.save()) return false;
		return true;
	}
}

/**
 * One durable function while this process has a claim on its task: it calls the body, runs the steps that the body registers,
 * and reverts them.
 *
 * A pass ends when the body has ended, when everything that it awaits waits for a time or a signal, or when the claim must
 * end. No promise of it settles after that. The result of a step is in the log before its promise settles, and the order in
 * which results are appended is the order in which they settle, now and in later passes.
 *
 * @module
 */

import { decodeFailure, decodeMeta, encodeFailure, type JobClaim } from "../basket/engine.ts";
import type { Data, Outcome } from "../basket/store.ts";
import type { Flow, FlowRevertContext } from "./flow.ts";
import type { FlowCall } from "./flow-call.ts";
import type { JobOwner } from "./owner.ts";
import type { LiveJob } from "./view.ts";
import { cancelled, textOf } from "./failures.ts";
import { createFlow } from "./create-flow.ts";
import { FlowAttempt } from "./flow-attempt.ts";
import { causesOf } from "./flow-causes.ts";
import { nothingPending, toRevert } from "./flow-log.ts";
import { storable } from "./value.ts";
import { FlowPass } from "./flow-pass.ts";
import { type End, FlowSteps } from "./flow-steps.ts";
import {
	fitInput,
	type FlowRecord,
	type JobHead,
	type JobMessage,
	type PreparedJob,
	type StoredAttempt,
} from "./state.ts";
import { checkResult, remember } from "./transitions.ts";
import { checkRunnerOptions } from "../run/options.ts";
import { abortError } from "../platform/abort-error.ts";
import { report } from "../platform/observe.ts";
import { type Abortable, link, unlink } from "../platform/signals.ts";
import { validate } from "../platform/standard-schema.ts";
import { CallbackTimer } from "../platform/timer-queue.ts";

/** The function that the user has written. */
export type Body = (flow: Flow, input: never) => unknown;

export class DurableRun<Tx> extends FlowSteps<Tx> {
	readonly #body: Body;
	/** Whether the body was called again to revert. */
	#isReplayed = false;
	/** What is left to be reverted, see {@link toRevert}. Set while the job goes backward. */
	#left: number[] | undefined;

	constructor(owner: JobOwner<Tx>, job: PreparedJob, task: JobClaim, body: Body) {
		super(owner, job, task);
		this.#body = body;
	}

	get place(): Pick<LiveJob, "direction" | "step" | "attempt"> {
		const { isBackward, records, attempts, status } = this.state;
		if (isBackward) {
			const step = status === undefined ? records![this.#leftToRevert().at(-1)!]?.name : undefined;
			return { direction: "backward", step, attempt: attempts + 1 };
		}
		const { request, attempt } = this.pass?.open.find(({ attempt }) => attempt !== undefined) ?? {};
		return { direction: "forward", step: request?.name, attempt: attempt?.number ?? 1 };
	}

	get isLeft(): boolean {
		return this.task.isOver && this.pass?.open.every(({ attempt }) => attempt === undefined) !== false;
	}

	override yield(): void {
		super.yield();
		this.pass?.tick();
	}

	async look(): Promise<void> {
		this.mustLook = this.finish === undefined;
		if (this.state === undefined) return;
		try {
			for (const [n, message] of await this.readMessages()) this.#notice(n, message);
		} catch (error) {
			report(this.owner.onError, error);
		}
		this.pass?.tick();
	}

	#notice(n: number, message: JobMessage | undefined): void {
		if (message?.type === "yield") this.isYielding = true;
		// Without a pass, the next one or the next claim reads it.
		if (this.finish === undefined || this.state.isBackward || n <= this.seen) return;
		// A cancellation stays in the inbox until the job has turned.
		if (message?.type === "cancel") return this.finish({ type: "error", error: cancelled() });
		this.seen = n;
		this.heed(message);
	}

	protected heed(message: JobMessage | undefined): void {
		const { isBackward, signals, status } = this.state;
		if (isBackward || status !== undefined) return;
		if (message?.type === "cancel") this.fail(cancelled());
		if (message?.type !== "signal") return;
		const { name, value } = message;
		// The first signal with a name counts.
		if (Object.hasOwn(signals, name)) return;
		this.become({ ...this.state, signals: { ...signals, [name]: { value } } });
	}

	/** Forward, the job turns backward; backward, the job ends. */
	protected fail(error: unknown, history: readonly StoredAttempt[] = this.state.history): void {
		const { records = [], isBackward } = this.state;
		const { crashes: crashed } = this.task.claim;
		const failure = decodeFailure(encodeFailure(error))!;
		const left = toRevert(records).map((index) => records[index]!.name!).reverse();
		const next = { ...this.state, ...nothingPending, crashed, history };
		if (isBackward) return this.become({ ...next, status: "failed", revertError: failure, unreverted: left });
		const calls = [...this.pass?.calls.values() ?? []];
		const isRevertible = records.some(({ hasRevert }) => hasRevert) ||
			calls.some((call) => call?.request.options.revert);
		const status = left.length > 0 ? undefined : isRevertible ? "reverted" : "failed";
		this.become({ ...next, isBackward: true, error: failure, status });
	}

	protected async proceed(): Promise<Outcome> {
		for (;;) {
			const { status, isBackward } = this.state;
			if (this.problem !== undefined) return await this.hold(this.problem);
			if (status !== undefined) return await this.done();
			if (this.timeLeft <= 0) this.fail(this.overdue);
			else {
				const outcome = await (isBackward ? this.#goBackward() : this.#goForward());
				if (outcome !== undefined) return outcome;
			}
		}
	}

	async #goForward(): Promise<Outcome | undefined> {
		const { task: { signal, claim }, state: { until = -Infinity } } = this;
		this.isAwake = claim.inbox.length === 0 && until > this.age;
		this.state = { ...this.state, until: undefined };
		const end = await this.#call(this.state.records!);
		if (this.running > 0) {
			const reason = end.type === "error" ? end.error : abortError("The durable function has ended");
			for (const { attempt } of this.pass!.open) attempt?.abort(reason);
			await new Promise<void>((resolve) => this.onIdle = resolve);
		}
		await this.saving;
		this.throwIfLost(!this.task.isOver);
		this.gate.check();
		if (end.type === "value") return await this.#complete(end.value);
		if (!await this.keepDone()) return await this.later(0);
		if (this.problem !== undefined) return undefined;
		if (end.type === "error") {
			const { error, isThrown = false } = end;
			this.state = { ...this.state, causes: causesOf(this.state.records!, this.pass!, error, isThrown) };
			return void this.fail(error);
		}
		if (!signal.aborted) return await this.#wait();
		if (this.isStored) throw signal.reason;
		return { type: "release", payload: await this.encodeHead() };
	}

	/** Ends the claim until the first time for which the body waits. */
	async #wait(): Promise<Outcome> {
		let until = Infinity;
		let isBackoff = false;
		for (const { waiting, request } of this.parked) {
			until = Math.min(until, waiting.until ?? Infinity);
			isBackoff ||= request.type === "step" && !waiting.isFirm;
		}
		if (!this.isWhole) return await this.later(0);
		// Tells the next claim whether it comes early.
		this.state = { ...this.state, until: until < Infinity ? until : undefined };
		return await this.later(until < Infinity ? Math.ceil(until - this.age) : null, isBackoff);
	}

	/** Calls the body, and resolves when the pass has ended. */
	async #call(records: readonly FlowRecord[]): Promise<End> {
		const { owner: { clock, codec }, task: { id, signal }, job, state } = this;
		// The body may change what it is given.
		const copy = await codec.decode(await codec.encode({ input: state.input })) as Pick<JobHead, "input">;
		const input = await fitInput(job, { ...state, ...copy });
		const pass = this.pass = new FlowPass(this, records);
		for (const { order } of Object.values(state.pending!)) pass.reserve(order);
		const flow = createFlow(
			{ id, meta: decodeMeta(this.task.claim.meta), version: state.version },
			job.defaults,
			(request) => pass.register(request),
		);
		const onDeadline = new CallbackTimer(() => this.finish?.({ type: "error", error: this.overdue }));
		const onAbort: Abortable = { abort: () => this.finish?.({ type: "stop" }) };
		const end = await new Promise<End>((resolve) => {
			this.finish = (end) => {
				pass.isOver = true;
				this.finish = undefined;
				resolve(end);
			};
			if (signal.aborted) return onAbort.abort(signal.reason);
			link(signal, onAbort);
			if (this.timeLeft < Infinity) clock.set(onDeadline, this.timeLeft);
			if (this.mustLook) void this.look();
			const finish = (end: End) => pass.isOver || this.finish!(end);
			new Promise((resolve) => resolve(this.#body(flow, input as never))).then(
				(value) => finish({ type: "value", value }),
				(error) => finish({ type: "error", error, isThrown: true }),
			);
		});
		unlink(signal, onAbort);
		clock.clear(onDeadline);
		clock.clear(this.timer);
		return end;
	}

	/** The body has ended. */
	async #complete(value: unknown): Promise<Outcome | undefined> {
		try {
			for (const [name, call] of this.pass!.calls) {
				if (call?.isAwaited === false) throw new TypeError(`The body does not await ${JSON.stringify(name)}`);
			}
			const record = this.stamp(storable(value));
			const data = await this.#encodeValue(record);
			if (this.log.isFull && !await this.save()) return await this.later(0);
			this.appendRecord(record, data);
			this.become({ ...this.state, ...nothingPending, status: "completed" });
		} catch (error) {
			this.throwIfLost(!this.task.isOver);
			if (!await this.keepDone()) return await this.later(0);
			this.fail(error);
		}
	}

	async #encodeValue(record: FlowRecord): Promise<Data> {
		try {
			checkResult(record.value);
			return await this.encode(record);
		} catch (error) {
			throw new TypeError(`The value of the body cannot be stored: ${textOf(error)}`, { cause: error });
		}
	}

	#leftToRevert(): number[] {
		return this.#left ??= toRevert(this.state.records!);
	}

	protected restBackward(): void {
		const { calls, open } = this.pass!;
		const { records } = this.state;
		const isComplete = this.#leftToRevert().every((index) => calls.has(records![index]!.name!));
		const isStuck = open.some(({ isAwaited }) => isAwaited);
		if (isComplete || isStuck) this.finish!({ type: "wait" });
	}

	/** Makes one attempt of the next revert. Returns how the claim ends, if it must. */
	async #goBackward(): Promise<Outcome | undefined> {
		const { task: { signal, claim }, state: { until = -Infinity, isFirm, records } } = this;
		const index = this.#leftToRevert().at(-1)!;
		const record = records![index];
		if (record === undefined) return void this.become({ ...this.state, status: "reverted" });
		const delay = Math.ceil(until - this.age);
		const isAwake = claim.inbox.length === 0 && !this.hasRun;
		if (delay > 0 && !isAwake) return await this.later(delay, !isFirm);
		if (this.isYielding || this.mustQueue()) return await this.later(0);
		if (!this.isStored) {
			if (signal.aborted) return { type: "release", payload: await this.encodeHead() };
			if (!await this.save()) return await this.later(0);
		}
		if (signal.aborted) throw signal.reason;
		const call = this.pass?.calls.get(record.name!);
		if (call === undefined && !this.#isReplayed) {
			this.#isReplayed = true;
			await this.#call(await this.readRecords());
			this.throwIfLost(!this.task.isOver);
			return undefined;
		}
		if (call?.request.type !== record.type || call?.request.options.revert === undefined) {
			this.fail(new TypeError(`The body does not register the revert of ${JSON.stringify(record.name)} anymore`));
			return undefined;
		}
		return await this.#revert(call, record, index);
	}

	async #revert(
		{ request: { name, options, schema } }: FlowCall,
		{ type, order }: FlowRecord,
		index: number,
	): Promise<Outcome | undefined> {
		const { signal } = this.task;
		const place = { ...this.state, at: name, isBackward: true };
		const { revertAttempts: attempts = Infinity } = options;
		const settings = checkRunnerOptions({ ...options, attempts, deadline: Infinity }, this.job.defaults);
		let result: unknown;
		try {
			const { value } = await this.readRecord(index);
			result = schema === undefined ? value : await validate(schema, value);
		} catch (error) {
			this.problem = error;
			return undefined;
		}
		const recordOf = (attempt: StoredAttempt) => this.stamp({ name, type, order, isRevert: true, attempt });
		const attempt = new FlowAttempt<Tx, FlowRevertContext<Tx>>(this, place, settings, {
			more: { ...this.about(name), error: this.state.error! },
			call: (context) => options.revert!(result, context),
			check: (nothing) => nothing,
			record: (_, attempt) => recordOf(attempt),
		});
		this.hasRun = true;
		this.owner.onChange();
		const step = await attempt.run(signal).finally(() => attempt.end());
		this.throwIfLost(!this.task.isOver);
		if ("entry" in step || step.ok) {
			if ("entry" in step) this.noteCommitted(step.entry, step.data);
			else {
				const record = recordOf(attempt.record());
				this.appendRecord(record, await this.encode(record));
			}
			this.#left!.pop();
			return undefined;
		}
		if (signal.aborted) throw signal.reason;
		const { error, again, delay } = step;
		this.isKeyShut = again && attempt.isKeyShut && this.job.job.limit !== undefined;
		if (step.later) this.state = { ...this.state, ...attempt.postponed(delay) };
		else {
			this.tell({ step: name, isRevert: true, attempt: attempt.number, error, again, delay });
			const history = remember(this.state.history, attempt.record(textOf(error)));
			if (!again) return void this.fail(error, history);
			this.state = { ...this.state, ...attempt.next(error, delay), history };
		}
		return await this.later(delay, !this.state.isFirm);
	}
}

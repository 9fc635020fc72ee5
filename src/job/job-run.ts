/**
 * One job that is a chain, while this process has a claim on its task: it runs steps one after the other, and branches at
 * the same time, until the job must wait. Durable functions have `durable-run.ts`.
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

import type { Outcome } from "../basket/store.ts";
import { cancelled } from "./failures.ts";
import { openBranches } from "./groups.ts";
import { SpawningJob } from "./spawning.ts";
import type { JobMessage, PreparedStep } from "./state.ts";
import { type LiveJob, position } from "./view.ts";
import { timeoutError } from "../run/attempt.ts";
import { report } from "../platform/observe.ts";
import { validate } from "../platform/standard-schema.ts";

export class JobRun<Tx> extends SpawningJob<Tx> {
	get place(): Pick<LiveJob, "direction" | "step" | "attempt"> {
		const { state, attempts: running } = this;
		const { direction, step, attempts } = position(state);
		const [at] = openBranches(state).filter((at) => running.has(at));
		if (at === undefined) return { direction, step, attempt: attempts + 1 };
		return { direction, step: state.plan[at], attempt: (state.branches?.[at]?.attempts ?? 0) + 1 };
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
		if (isCancel) this.cancel();
	}

	protected heed(message: JobMessage | undefined): void {
		const { plan, at, isBackward, signals, status } = this.state;
		if (isBackward || status !== undefined) return;
		if (message?.type === "joined") this.join(message);
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
			const areBranches = openBranches(this.state).length > 0;
			const isCall = isBackward || step.definition.type === "step";
			if (!isCall && this.log.isFull && !await this.save()) return await this.later(0);
			if (step.definition.type === "each" || step.definition.type === "job") {
				if (this.isYielding) return await this.later(0);
				// No child goes backward before it is stored that its parent does.
				if (isBackward && !this.isStored && !await this.save()) return await this.later(0);
				const outcome = await (isBackward ? this.takeBack(step) : this.spawn(step));
				isAwake = false;
				if (outcome !== undefined) return outcome;
				continue;
			}
			let delay = areBranches ? undefined : isCall ? this.#backoff(isAwake) : await this.#wait(step);
			if (delay === undefined && !isCall) continue;
			if (delay !== undefined) return await this.#later(delay, isCall);
			const outcome = areBranches ? await this.waitForBranches(isAwake) : undefined;
			if (outcome !== undefined) return outcome;
			if (this.isYielding || this.mustQueue()) return await this.later(0);
			if (!this.isStored) {
				if (signal.aborted) return { type: "release", payload: await this.encodeHead() };
				if (!await this.save()) return await this.later(0);
				continue; // a message may have come meanwhile
			}
			if (areBranches) {
				if (signal.aborted) throw signal.reason;
				await this.runBranches(isAwake);
				if (this.isCancelled) return await this.later(0);
			} else {
				delay = await this.#try(step, signal);
				if (delay !== undefined) return await this.#later(delay, true);
			}
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
			await read().then((value) => this.#pass(value), (error) => this.fail(error));
			this.become({ ...this.state, signals: rest });
		} else if (duration === 0 || (until !== undefined && until <= age)) {
			if (type === "sleep") await this.#pass(undefined);
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
		const { isBackward, at, attempts, previous, lastDelay, since } = this.state;
		const place = { at: isBackward ? at - 1 : at, isBackward, attempts, previous, lastDelay, since };
		const missed = await this.attempt(step, place);
		if (missed?.type === "failed") return this.fail(missed.error);
		if (missed?.type === "again") this.state = { ...this.state, ...missed.waiting };
		if (missed?.type === "aborted" && signal.aborted) throw signal.reason;
		return missed && (missed.type === "again" ? missed.delay : 0);
	}

	/** A sleep is over, or a signal has come. */
	async #pass(value: unknown): Promise<void> {
		const missed = await this.succeed(this.state.at, value);
		if (missed?.type === "failed") this.fail(missed.error);
	}

	#later(wait: number | null, isBackoff: boolean): Promise<Outcome> {
		return this.later(wait, isBackoff && !this.state.isFirm);
	}
}

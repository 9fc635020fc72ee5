/**
 * One attempt of a step or of its revert, as the history and the state of its job see it.
 *
 * @module
 */

import { decodeFailure, decodeMeta, encodeFailure, type JobClaim } from "../basket/engine.ts";
import type { StoredAttempt, Waiting } from "./state.ts";
import { type RunnerSettings, watched } from "../run/options.ts";
import { Execution, resume, type RunStep, step as takeStep } from "../run/execution.ts";
import type { TaskContext } from "../run/task.ts";

/** The job of an attempt. */
export interface Position {
	readonly task: JobClaim;
	/** The name of the job. */
	readonly name: string;
	/** Its basket, and who works on that here. */
	readonly owner: { readonly name: string; readonly worker: string };
	/** The current age of the job. */
	readonly age: number;
}

/** The step of an attempt, and what is known of its attempts before. */
export interface Place extends Waiting {
	/** The step in the history. */
	readonly at: StoredAttempt[0];
	readonly isBackward: boolean;
}

export abstract class Attempting {
	readonly #position: Position;
	readonly #place: Place;
	readonly #beganAt: number;
	protected readonly execution: Execution<unknown>;

	/** @param step its name */
	constructor(position: Position, place: Place, step: string, settings: RunnerSettings) {
		const { age } = position;
		const { attempts, previous, lastDelay, since = age } = place;
		this.#position = position;
		this.#place = place;
		this.#beganAt = age;
		const { name: kind, owner, task: { id, claim } } = position;
		const task = settings.observe === undefined
			? (context: TaskContext) => this.call(context)
			: watched((context) => this.call(context), settings, {
				...{
					by: "step",
					basket: owner.name,
					kind,
					id,
					step,
					isRevert: place.isBackward,
					meta: decodeMeta(claim.meta),
					lane: claim.lane,
				},
			});
		this.execution = new Execution<unknown>(task, settings);
		const before = previous && Object.assign(new Error(previous.message), previous);
		resume(this.execution, attempts, before, lastDelay, age - since);
	}

	/** Calls the function. */
	protected abstract call(context: TaskContext): unknown;

	/** Makes the attempt. Never rejects. */
	take(signal: AbortSignal): Promise<RunStep<unknown>> {
		return takeStep(this.execution, signal).catch(failed);
	}

	/** The number of this attempt, from 1. */
	get number(): number {
		return this.execution.attempt;
	}

	/** Whether the delay is for all jobs of the same limit. */
	get isKeyShut(): boolean {
		return this.execution.hint?.limit === true;
	}

	abort(reason: unknown): void {
		this.execution.abort(reason);
	}

	/** What the history says of this attempt, which ends now. */
	record(error?: string): StoredAttempt {
		const { task, age, owner: { worker } } = this.#position;
		const { isBackward, at } = this.#place;
		const startedAt = Math.floor(task.claim.addedAt + this.#beganAt);
		const duration = Math.round(age - this.#beganAt);
		const entry = [at, this.execution.attempt, startedAt, duration, isBackward ? 1 : 0, worker] as const;
		return error === undefined ? entry : [...entry, error];
	}

	/** The state of the step while it waits for the next attempt. */
	next(error: unknown, delay: number): Waiting {
		const { attempt: attempts, lastDelay, hint } = this.execution;
		const isFirm = hint?.delay !== undefined || undefined;
		const previous = decodeFailure(encodeFailure(error));
		return { attempts, previous, lastDelay, isFirm, ...this.#until(delay) };
	}

	/** The state of the step while it waits for an attempt that was put off and does not count. */
	postponed(delay: number): Waiting {
		const { attempts, previous, lastDelay } = this.#place;
		return { attempts, previous, lastDelay, isFirm: true, ...this.#until(delay) };
	}

	#until(delay: number): Pick<Waiting, "since" | "until"> {
		const { since = this.#beganAt } = this.#place;
		// Rounded down, so that it is not later than the due time of the store: sums of fractions differ.
		return { since, until: Math.floor(this.#position.age + delay) };
	}
}

export function failed(error: unknown): RunStep<unknown> {
	return { ok: false, error, again: false, delay: 0 };
}

/**
 * How jobs end, for those who have added them.
 *
 * @module
 */

import type { TaskFailure } from "../basket/engine.ts";
import type { Added } from "../basket/store.ts";
import type { AnyJob, Job, JobTypes } from "./job.ts";
import { type JobAttempt, type JobCheckpoint, showHistory } from "./state.ts";

/** The id of a job that remembers which definition the job has, so that its outcome and its signals are typed. */
export type JobId<J extends AnyJob = AnyJob> = string & { readonly job?: J };

/** What became of a job for {@link Processor.add}. */
export interface AddedJob<J extends AnyJob = AnyJob> extends Added {
	/** Its id, given or made. */
	readonly id: JobId<J>;
}

/** A job of which nothing is known but its id. */
export type UnknownJob = Job<unknown, Readonly<Record<string, unknown>>, unknown, unknown, never, unknown>;

/** The steps that the jobs wait with: the names that {@link Processor.signal} takes. */
export type SignalName<J extends AnyJob> = J extends AnyJob ? keyof JobTypes<J>["signals"] & string : never;

/** The value that a step waits for, as {@link Processor.signal} takes it. */
export type SignalValue<J extends AnyJob, N extends string> = J extends AnyJob
	? N extends keyof JobTypes<J>["signals"] ? JobTypes<J>["signals"][N] : never
	: never;

/** The job of a {@link JobId}; one of `Jobs` for an id without its types. */
export type JobOf<Id extends string, Jobs extends AnyJob> = Id extends { readonly job?: infer J } ? Extract<J, AnyJob>
	: Jobs;

/** How a job has ended, as {@link Processor.wait} and {@link Processor.result} tell it. */
export type JobOutcome<J extends AnyJob = UnknownJob> =
	| {
		/** All steps were done. */
		readonly status: "completed";
		/** The result of the last step. */
		readonly value: JobTypes<J>["value"];
		readonly error: undefined;
		readonly revertError: undefined;
		/** The results of all steps. */
		readonly results: JobTypes<J>["results"];
		readonly unreverted: readonly string[];
		readonly history: readonly JobAttempt[];
	}
	| {
		/** A step failed, or it was cancelled. All that was done and has a revert is reverted; or not, if `failed`. */
		readonly status: "reverted" | "failed";
		readonly value: undefined;
		/** Why it was reverted, or would have been. */
		readonly error: TaskFailure;
		/** What the revert failed with, at which it was given up. */
		readonly revertError: TaskFailure | undefined;
		/** The results of the steps that were done, reverted ones included. */
		readonly results: Partial<JobTypes<J>["results"]>;
		/** The steps that were done and could be reverted, but were not. */
		readonly unreverted: readonly string[];
		/** The last attempts, the oldest one first. */
		readonly history: readonly JobAttempt[];
	};

/**
 * There is no job with this id: it was never added, or its time is over.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { JobNotFoundError, memoryStore, Processor } from "upkeep";
 *
 * const processor = new Processor({ store: memoryStore(), jobs: [] });
 * await assert.rejects(processor.result("nothing"), (error) => error instanceof JobNotFoundError && error.id === "nothing");
 * ```
 */
export class JobNotFoundError extends Error {
	/** The name of this error. */
	override readonly name = "JobNotFoundError";
	/** What was asked for. */
	readonly id: string;

	/**
	 * Made by a processor.
	 *
	 * @param id what was asked for
	 */
	constructor(id: string) {
		super(`There is no job ${JSON.stringify(id)}: it was never added, or its time is over`);
		this.id = id;
	}
}

/** What a job that is over has come to. */
export function outcomeOf(
	state: Pick<JobCheckpoint, "plan" | "results" | "history"> & Partial<JobCheckpoint>,
): JobOutcome {
	const { status, plan, results, error, revertError, unreverted = [] } = state;
	const value = status === "completed" ? results[plan.at(-1)!] : undefined;
	return { status, value, error, revertError, results, unreverted, history: showHistory(state) } as JobOutcome;
}

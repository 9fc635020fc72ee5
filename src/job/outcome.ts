/**
 * The outcomes of jobs.
 *
 * @module
 */

import type { TaskRecord } from "../basket/basket.ts";
import type { Codec, TaskFailure } from "../basket/engine.ts";
import type { Added } from "../basket/store.ts";
import type { AnyJob, JobTypes } from "./definition.ts";
import type { Job } from "./job.ts";
import { branchOf } from "./branch-name.ts";
import { keepResult } from "./groups.ts";
import { namedResults, replay } from "./log.ts";
import { findLog, type JobSource, readWhole } from "./stored.ts";
import { type JobAttempt, type JobCheckpoint, type JobResults, showHistory } from "./state.ts";
import { restored, storable, valueOf } from "./value.ts";

/** The id of a job that remembers which definition the job has, so that its outcome and its signals are typed. */
export type JobId<J extends AnyJob = AnyJob> = string & { readonly job?: J };

/** The result of {@link Processor.add}. */
export interface AddedJob<J extends AnyJob = AnyJob> extends Added {
	/** The id, given or created. */
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

/** How a job has ended, as returned by {@link Processor.wait} and {@link Processor.result}. */
export type JobOutcome<J extends AnyJob = UnknownJob> =
	| {
		/** All steps are completed; the body of a durable function has returned. */
		readonly status: "completed";
		/** The result of the last step; the value of a durable function. */
		readonly value: JobTypes<J>["value"];
		readonly error: undefined;
		readonly revertError: undefined;
		/** The results of all steps. */
		readonly results: JobTypes<J>["results"];
		readonly unreverted: readonly string[];
		readonly history: readonly JobAttempt[];
	}
	| {
		/**
		 * A step failed, or the job was canceled. `reverted`: all completed steps with a revert were reverted;
		 * `failed`: not all of them, or the job has no revert. A durable function has those that its body has registered.
		 */
		readonly status: "reverted" | "failed";
		readonly value: undefined;
		/** The error because of which the job was, or should have been, reverted. */
		readonly error: TaskFailure;
		/** The error of the revert that failed finally. */
		readonly revertError: TaskFailure | undefined;
		/** The results of the completed steps, including reverted ones. */
		readonly results: Partial<JobTypes<J>["results"]>;
		/** The completed steps that have a revert and were not reverted. */
		readonly unreverted: readonly string[];
		/** The last attempts, oldest first. */
		readonly history: readonly JobAttempt[];
	};

/**
 * No job has this id: it was never added, or its retention has ended.
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
	/** The requested id. */
	readonly id: string;

	/**
	 * Created by a processor.
	 *
	 * @param id the requested id
	 */
	constructor(id: string) {
		super(`There is no job ${JSON.stringify(id)}: it was never added, or its time is over`);
		this.id = id;
	}
}

/** The outcome of an ended job. */
export function outcomeOf(
	state: Pick<JobCheckpoint, "plan" | "results" | "history"> & Partial<JobCheckpoint>,
): JobOutcome {
	const { status, results, error, revertError, unreverted = [] } = state;
	const value = status === "completed" ? valueOf(state) : undefined;
	return { status, value, error, revertError, results, unreverted, history: showHistory(state) } as JobOutcome;
}

/** The outcome of a stored job; `undefined` if it has not ended. */
export async function storedOutcome(
	source: JobSource,
	id: string,
	record: TaskRecord | undefined,
): Promise<JobOutcome | undefined> {
	if (record === undefined) throw new JobNotFoundError(id);
	const { state, error } = record;
	if (state === "done") {
		const whole = await readWhole(source, undefined, await findLog(source.readLog, record));
		// The job was deleted meanwhile, and perhaps another one was added with its id.
		if (whole === undefined || whole.record.key !== record.key) return await storedOutcome(source, id, whole?.record);
		if (whole.state === undefined) throw whole.error;
		return outcomeOf(whole.state);
	}
	// The store itself could not read the job.
	return state === "dead" ? outcomeOf({ plan: [], results: {}, history: [], status: "failed", error }) : undefined;
}

/** The state as a reader of the store, possibly in another process, sees it. */
export async function asStored(codec: Codec, state: JobCheckpoint): Promise<JobCheckpoint> {
	const { entries, ...rest } = state;
	const groups = new Set(state.plan.map((name) => branchOf(name)?.[0]));
	const results = mapResults(state.results, groups, storable);
	const decoded = await codec.decode(await codec.encode({ ...rest, results, records: undefined })) as JobCheckpoint;
	if (entries === undefined) return { ...decoded, results: mapResults(decoded.results, groups, restored) };
	const replayed = await replay(codec, undefined, decoded, entries);
	return { ...decoded, results: namedResults(replayed), value: replayed.records.at(-1)?.value };
}

/** Maps each result, also those of branches, which are in their groups. */
function mapResults(
	results: JobResults,
	groups: ReadonlySet<string | undefined>,
	map: (value: never) => unknown,
): JobResults {
	const mapped = {};
	for (const [name, value] of Object.entries(results)) {
		keepResult(mapped, name, groups.has(name) ? mapResults(value as JobResults, new Set(), map) : map(value as never));
	}
	return mapped;
}

/**
 * What can be seen of jobs: those in the store, and those that run in this process.
 *
 * @module
 */

import type { TaskRecord } from "../basket/basket.ts";
import type { Codec, TaskFailure } from "../basket/engine.ts";
import type { Data } from "../basket/store.ts";
import { decodeCheckpoint } from "./decode.ts";
import { type JobAttempt, type JobCheckpoint, type JobStatus, showHistory } from "./state.ts";

/** What a job is doing. */
export interface JobRecord {
	/** Its id. */
	readonly id: string;
	/** The name of its definition. */
	readonly job: string;
	/** `waiting` for its time, a signal or a processor; `held` by {@link Processor.hold} or because of its `problem`. */
	readonly status: "waiting" | "running" | "held" | "dead" | JobStatus;
	/** Why it is held, if nobody asked for it: its state cannot be read, or does not fit its definition. */
	readonly problem: TaskFailure | undefined;
	/** Whether its steps are run or reverted. */
	readonly direction: "forward" | "backward";
	/** The step that is run, waited for or reverted next; none when it is over. */
	readonly step: string | undefined;
	/** How many attempts of that have failed. */
	readonly attempts: number;
	/** What the last one of these failed with. */
	readonly previousError: TaskFailure | undefined;
	/** What it was added with. */
	readonly input: unknown;
	/** The results so far. */
	readonly results: Readonly<Record<string, unknown>>;
	/** The version of the definition that it was added with. */
	readonly version: number | string | undefined;
	/** Why it is reverted. */
	readonly error: TaskFailure | undefined;
	/** Why it could not be reverted. */
	readonly revertError: TaskFailure | undefined;
	/** The last attempts, the oldest one first. */
	readonly history: readonly JobAttempt[];
	/** When it was added: milliseconds since 1970, on the store's clock. */
	readonly addedAt: number;
	/** When it goes on, or is removed if it is over; absent if only a signal makes it go on. */
	readonly dueAt: number | undefined;
	/** Where it stands among all: for {@link JobQuery.after}. */
	readonly key: string;
}

/** Which jobs {@link Processor.list} gives. */
export interface JobQuery {
	/** Only those in this state of the store; `done` for all that are over. */
	state?: "waiting" | "running" | "held" | "dead" | "done" | undefined;
	/** Only those of this definition, by its name. */
	job?: string | undefined;
	/** Only those behind the one with this {@link JobRecord.key}. */
	after?: string | undefined;
	/** At most this many: a whole number from 1. @default Infinity */
	limit?: number | undefined;
}

/** A job that runs in this process. */
export interface LiveJob {
	/** Its id. */
	readonly id: string;
	/** The name of its definition. */
	readonly job: string;
	/** Whether its steps are run or reverted. */
	readonly direction: "forward" | "backward";
	/** The current step. */
	readonly step: string | undefined;
	/** The number of its attempt, from 1. */
	readonly attempt: number;
}

/** What a {@link Processor} shows of what it does in this process. */
export interface ProcessorSnapshot {
	/** As in `BasketSnapshot`. */
	readonly state: "stopped" | "starting" | "running" | "paused" | "stopping";
	/** The jobs that run now, by id. */
	readonly jobs: ReadonlyMap<string, LiveJob>;
	/** How many were completed here, since the processor was made. */
	readonly completed: number;
	/** How many were reverted. */
	readonly reverted: number;
	/** How many failed, and were not or not wholly reverted. */
	readonly failed: number;
}

/** A job as it is stored. What cannot be read is left out. */
export async function showJob(codec: Codec, record: TaskRecord): Promise<JobRecord> {
	const { id, kind, state, error: reason, addedAt, dueAt, key } = record;
	const read = decodeCheckpoint(codec, record.payload as Data);
	const checkpoint: Partial<JobCheckpoint> = await read.catch(() => ({}));
	const { attempts = 0, previous, input, results = {}, version, error, revertError, plan = [] } = checkpoint;
	const history = showHistory({ plan, history: checkpoint.history ?? [] });
	const status = state === "done" ? checkpoint.status ?? "failed" : state;
	const problem = state === "held" || state === "dead" ? reason : undefined;
	const step = { ...position(checkpoint), attempts, previousError: previous };
	const stored = { input, results, version, error, revertError, history, addedAt, dueAt, key };
	return { id, job: kind, status, problem, ...step, ...stored };
}

/** Where a job is. */
export function position(
	{ plan = [], at = 0, isBackward, status }: Partial<JobCheckpoint>,
): Pick<LiveJob, "direction" | "step"> {
	const step = status === undefined ? plan[isBackward ? at - 1 : at] : undefined;
	return { direction: isBackward ? "backward" : "forward", step };
}

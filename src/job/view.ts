/**
 * The visible state of jobs: those in the store, and those that run in this process.
 *
 * @module
 */

import type { TaskRecord } from "../basket/basket.ts";
import type { TaskFailure } from "../basket/engine.ts";
import { type JobAttempt, type JobCheckpoint, type JobStatus, type PreparedJob, showHistory } from "./state.ts";
import { type JobChildren, showChildren } from "./children-view.ts";
import { partsOf } from "./version.ts";
import { openBranches } from "./groups.ts";
import { type JobStepRecord, stepsOf } from "./step-records.ts";
import { noAttempts } from "./transitions.ts";
import { findLog, findLogs, type FoundJob, type JobSource, readWhole } from "./stored.ts";

/** A job, as {@link Processor.get} and {@link Processor.list} return it. */
export interface JobRecord {
	/** The id. */
	readonly id: string;
	/** The name of its definition. */
	readonly job: string;
	/** The name of the step of {@link Job.each} of which it is an item; `undefined` for any other job. */
	readonly itemOf: string | undefined;
	/** The id of the job of which it is a child, if it is one. */
	readonly parent: string | undefined;
	/** `waiting`: for its time, a signal or a processor; `held`: by {@link Processor.hold} or because of its `problem`. */
	readonly status: "waiting" | "running" | "held" | "dead" | JobStatus;
	/** The reason if the job is held automatically: its state cannot be read, or does not fit its definition. */
	readonly problem: TaskFailure | undefined;
	/** Whether steps run or are reverted. */
	readonly direction: "forward" | "backward";
	/** The step that runs, waits or is reverted next; `undefined` if the job has ended. */
	readonly step: string | undefined;
	/** The number of failed attempts of that step. */
	readonly attempts: number;
	/** The error of the last of these attempts. */
	readonly previousError: TaskFailure | undefined;
	/**
	 * The children of the current step; `undefined` for a step without, and before the first ones are stored. `list({ parent })`
	 * lists them.
	 */
	readonly children: JobChildren | undefined;
	/** The input; that of an item is `{ item, index }`. */
	readonly input: unknown;
	/** The results so far. */
	readonly results: Readonly<Record<string, unknown>>;
	/** Its steps in order; of a durable function, those that have begun. None if its state cannot be read. */
	readonly steps: readonly JobStepRecord[];
	/** The version of the definition with which it was added. */
	readonly version: number | string | undefined;
	/** The error because of which it is reverted. */
	readonly error: TaskFailure | undefined;
	/** The error because of which it could not be reverted. */
	readonly revertError: TaskFailure | undefined;
	/** The last attempts of its steps, oldest first: at most 50. */
	readonly history: readonly JobAttempt[];
	/**
	 * The last times at which a worker had it and never said what became of it, oldest first: its process died, or has lost
	 * the claim. Of an ended job they are known if it had one at its end.
	 */
	readonly lapses: readonly JobLapse[];
	/** While it runs: which worker has it, and since when, in milliseconds since 1970 on the store's clock. */
	readonly run: { readonly worker: string | undefined; readonly since: number } | undefined;
	/** The texts that were given as `meta` when it was added. */
	readonly meta: Readonly<Record<string, string>>;
	/** The time at which it was added, in milliseconds since 1970 on the store's clock. */
	readonly addedAt: number;
	/** The time at which it continues, or is removed if it has ended; absent if only a signal lets it continue. */
	readonly dueAt: number | undefined;
	/** The priority. */
	readonly priority: number;
	/** The lane, if any. */
	readonly lane: string | undefined;
	/** The position among all jobs, for {@link JobQuery.after}. */
	readonly key: string;
}

/** A time at which a worker had a job and never said what became of it. */
export interface JobLapse {
	/** The worker: see `worker` of {@link BasketOptions}. */
	readonly worker: string | undefined;
	/** Since when it had the job, in milliseconds since 1970 on the store's clock. */
	readonly startedAt: number;
}

/** Options for {@link Processor.list}. */
export interface JobQuery {
	/** Only jobs in this state of the store; `done` for all ended jobs. */
	state?: "waiting" | "running" | "held" | "dead" | "done" | undefined;
	/** Only jobs of the definition with this name, of all versions. */
	job?: string | undefined;
	/** Only jobs in this lane. */
	lane?: string | undefined;
	/** Only jobs whose ids were given and begin with this text: 1 to 255 characters, not beginning with `_`. */
	prefix?: string | undefined;
	/** Only children of the job with this id, which other lists leave out. */
	parent?: string | undefined;
	/** `"oldest"`: in the order in which they were added; `"newest"`: the other way round. @default "oldest" */
	order?: "oldest" | "newest" | undefined;
	/** Only jobs after the one with this {@link JobRecord.key}, in this order. */
	after?: string | undefined;
	/** The maximum number of jobs: a whole number from 1. @default Infinity */
	limit?: number | undefined;
}

/** A job that runs in this process. */
export interface LiveJob {
	/** The id. */
	readonly id: string;
	/** The name of its definition. */
	readonly job: string;
	/** See {@link JobRecord.itemOf}. */
	readonly itemOf: string | undefined;
	/** Whether steps run or are reverted. */
	readonly direction: "forward" | "backward";
	/** The current step. */
	readonly step: string | undefined;
	/** The number of the current attempt, from 1. */
	readonly attempt: number;
}

/** The activity of a {@link Processor} in this process. */
export interface ProcessorSnapshot {
	/** See `BasketSnapshot`. */
	readonly state: "stopped" | "starting" | "running" | "paused" | "stopping";
	/** The running jobs by id. */
	readonly jobs: ReadonlyMap<string, LiveJob>;
	/** The number of jobs completed here since the processor was created, with children. */
	readonly completed: number;
	/** The number of reverted jobs. */
	readonly reverted: number;
	/** The number of failed jobs, which were not completely reverted. */
	readonly failed: number;
}

type StepAttempts = Pick<JobCheckpoint, "attempts" | "previous">;
type PreparedJobs = ReadonlyMap<string, PreparedJob>;

/** Shows a stored job, if it is still there. Unreadable parts are omitted. */
export async function showJob(
	source: JobSource,
	jobs: PreparedJobs,
	record: TaskRecord,
): Promise<JobRecord | undefined> {
	return await show(source, jobs, await findLog(source.readLog, record));
}

/** Shows stored jobs. */
export async function* showJobs(
	source: JobSource,
	jobs: PreparedJobs,
	records: AsyncIterable<TaskRecord>,
): AsyncGenerator<JobRecord, void, undefined> {
	for await (const found of findLogs(source.readLog, records)) {
		const shown = await show(source, jobs, found);
		if (shown !== undefined) yield shown;
	}
}

async function show(source: JobSource, jobs: PreparedJobs, found: FoundJob): Promise<JobRecord | undefined> {
	const whole = await readWhole(source, jobs.get(found.record.kind), found);
	if (whole === undefined) return undefined;
	const { id, kind, state, error: reason, parent, addedAt, dueAt, priority, lane, key, run, meta } = whole.record;
	const checkpoint: Partial<JobCheckpoint> = whole.state ?? {};
	const { results = {}, version, error, revertError, plan = [] } = checkpoint;
	const { name: job, itemOf } = partsOf(kind);
	const history = showHistory({ plan, history: checkpoint.history ?? [] });
	const status = state === "done" ? checkpoint.status ?? "failed" : state;
	const problem = state === "held" || state === "dead" ? reason : undefined;
	const { previous: previousError, ...place } = position(checkpoint);
	const { input, children } = showChildren(checkpoint, itemOf);
	const steps = whole.state === undefined ? [] : stepsOf(whole.state, addedAt, jobs.get(kind));
	const stored = {
		input,
		results,
		steps,
		version,
		error,
		revertError,
		history,
		addedAt,
		dueAt,
		priority,
		lane,
		key,
		run,
		meta,
	};
	const lapses = whole.record.history.attempts
		.filter(({ endedAt }) => endedAt === undefined)
		.map(({ worker, startedAt }) => ({ worker, startedAt }));
	return { id, job, itemOf, parent, status, problem, ...place, previousError, children, lapses, ...stored };
}

/** The position of a job: its current step, and what is known of the attempts of that. Of branches, it is the first one. */
export function position(state: Partial<JobCheckpoint>): Pick<LiveJob, "direction" | "step"> & StepAttempts {
	const { plan = [], at = 0, isBackward = false, status, branches, attempts = 0, previous } = state;
	const [branch] = plan.length > 0 ? openBranches({ ...state, plan, at, isBackward, status }) : [];
	const step = status === undefined ? plan[isBackward ? at - 1 : branch ?? at] : undefined;
	const known = branch === undefined ? { attempts, previous } : branches?.[branch] ?? noAttempts;
	const { attempts: count, previous: error } = known;
	return { direction: isBackward ? "backward" : "forward", step, attempts: count, previous: error };
}

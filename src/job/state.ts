/**
 * The stored state of a job: its *head*, which is the payload of its task and finally contains its outcome, and its log,
 * which has an entry for each step that is done or reverted. A step appends an entry. The head is written when the job
 * waits, turns backward or ends, so a step costs the same however many are done. The head says how many entries it
 * includes; those behind it continue it.
 *
 * ```text
 *   forward ──(each step: run)──────────────────────────────► completed
 *      └─(a step fails, cancel, too many crashes)─► backward ──(each revert)──► reverted
 *                                                      └─(a revert fails)─────► failed
 * ```
 *
 * The plan contains the names of the steps at the time of the `add`. `at` is the cursor in the plan. Forward, it is
 * the index of the next step. Backward, it is the number of steps that remain to be checked: the step before it is
 * reverted next. Branches run at the same time: `at` is then the place of the first one, and `open` has those that are left.
 *
 * @module
 */

import type { TaskFailure } from "../basket/engine.ts";
import type { LogEntry } from "../basket/store.ts";
import type { AnyJob, JobStep } from "./definition.ts";
import { describe } from "./version.ts";
import type { RunnerSettings } from "../run/options.ts";
import { validate } from "../platform/standard-schema.ts";

/** How a job has ended. */
export type JobStatus = "completed" | "reverted" | "failed";

/** A finished attempt of a step. */
export interface JobAttempt {
	/** The name of the step. */
	readonly step: string;
	/** Whether it was an attempt of the revert. */
	readonly isRevert: boolean;
	/** The number of the attempt, from 1. */
	readonly attempt: number;
	/** The start, in milliseconds since 1970 on the store's clock. */
	readonly startedAt: number;
	/** The duration in milliseconds. */
	readonly duration: number;
	/** The worker that has made it: see `worker` of {@link BasketOptions}. */
	readonly worker: string | undefined;
	/** The error, if it failed: at most 200 characters. */
	readonly error?: string | undefined;
	/** For the last attempt of an item of {@link Job.each} whose failure was tolerated: its place in the list, from 0. */
	readonly item?: number | undefined;
}

/** A {@link JobAttempt} as it is stored. It is short, because the head has many of them. */
export type StoredAttempt = readonly [
	/** The index of its step in the plan; the name of the step of a durable function. */
	at: number | string,
	attempt: number,
	startedAt: number,
	duration: number,
	isRevert: 0 | 1,
	worker: string | null,
	error?: string,
	/** See {@link JobAttempt.item}. */
	item?: number,
];

/** A step with its settings. */
export interface PreparedStep {
	readonly definition: JobStep;
	/** The settings of the attempts, forward and backward. */
	readonly settings: RunnerSettings;
	readonly revertSettings: RunnerSettings;
}

/** A job of a processor. */
export interface PreparedJob {
	readonly job: AnyJob;
	readonly steps: ReadonlyMap<string, PreparedStep>;
	/** The definitions of the children of its steps with lists, by the name of the step. */
	readonly items?: ReadonlyMap<string, AnyJob> | undefined;
	/** The step of which its jobs are the items. */
	readonly itemOf?: string | undefined;
	/** The settings of attempts for which a step has none of its own. */
	readonly defaults: RunnerSettings;
}

/** The head. */
export interface JobHead {
	/** The version of the format. */
	readonly form: 2;
	/** Identifies this job uniquely, also among jobs with the same id. */
	readonly uid: string;
	readonly version?: number | string | undefined;
	readonly input?: unknown;
	readonly plan: readonly string[];
	readonly at: number;
	readonly isBackward: boolean;
	/** The number of log entries that are included. */
	readonly logged: number;
	/** Signals that have arrived before their steps. */
	readonly signals: Readonly<Record<string, { readonly value?: unknown }>>;
	/** The number of consecutive crashed claims at this checkpoint. */
	readonly crashed: number;
	readonly history: readonly StoredAttempt[];
	/** The age before which the first step does not begin, even if messages arrive. */
	readonly delay?: number | undefined;
	/** The error because of which the job goes backward. */
	readonly error?: TaskFailure | undefined;
	/** The error because of which the revert ended. */
	readonly revertError?: TaskFailure | undefined;
	/** The steps that were then left, in the order in which they would have been reverted. */
	readonly unreverted?: readonly string[] | undefined;
	/** How the job has ended. */
	readonly status?: JobStatus | undefined;
	/**
	 * What a durable function waits for, by name. Its presence says that the job is one. Names that are in the log are
	 * obsolete here. A durable function has an empty plan, and the members below concern its current revert.
	 */
	readonly pending?: Readonly<Record<string, PendingCall>> | undefined;
	/** The numbers of the entries of the log with the failures because of which a durable function has failed. */
	readonly causes?: readonly number[] | undefined;
	/** The numbers of such entries that do not count anymore, because their names were retried. */
	readonly ignored?: readonly number[] | undefined;
	/** Of a group of branches that has begun, the places in the plan that are not done. Also when the job has turned in it. */
	readonly open?: readonly number[] | undefined;
	/** What is known of the children of the current step. */
	readonly spawned?: Spawned | undefined;
	/** Whether it goes on where it failed, and the children of that step have not been tried again. */
	readonly isRetried?: true | undefined;
	/** Whether it is a child of another job: then it is kept until that is removed. */
	readonly isChild?: true | undefined;
	/** The branches of the current group that wait for another attempt, by their place in the plan. */
	readonly branches?: Readonly<Record<number, Waiting>> | undefined;

	// The following members concern the current step. Ages are milliseconds since the job was added, on the store's clock.

	/** The number of failed attempts. */
	readonly attempts: number;
	/** The age before which the job waits. */
	readonly until?: number | undefined;
	/** Whether the step itself requested this delay. */
	readonly isFirm?: boolean | undefined;
	/** The age at which the first attempt began. */
	readonly since?: number | undefined;
	/** The last delay of its backoff. */
	readonly lastDelay?: number | undefined;
	/** The error of its last attempt. */
	readonly previous?: TaskFailure | undefined;
}

/** An entry of the log. */
export interface JobEntry {
	/** The `uid` of the job, in its first entry: another job with this id has another log. */
	readonly uid?: string | undefined;
	/** The index of the step in the plan. */
	readonly at: number;
	/** See {@link FlowRecord.gaps}. */
	readonly gaps?: readonly number[] | undefined;
	/** Whether it was reverted. */
	readonly isRevert?: true | undefined;
	/** The result. */
	readonly value?: unknown;
	/** Its last attempt. Absent for a step that calls nothing. */
	readonly attempt?: StoredAttempt | undefined;
	/** The number of crashes that its claim has counted, if any. */
	readonly crashed?: number | undefined;
}

/** The children of a step. */
export interface Spawned {
	/** How many it has. */
	readonly count: number;
	/** How many are added. */
	readonly added: number;
	/** Whether all have ended, or more than it tolerates badly. */
	readonly isOver?: true | undefined;
	/** Backward: whether those that had not ended have the message to do so. */
	readonly isCancelled?: true | undefined;
}

/** A message to a job. */
export type JobMessage =
	| { readonly type: "cancel" }
	| { readonly type: "signal"; readonly name: string; readonly value?: unknown }
	/** Enough children of the step at this place have ended. A join posts it. */
	| { readonly type: "joined"; readonly at: number }
	/** Ends the claim after the running step, because something has changed. */
	| { readonly type: "yield" };

/** What a job stores of a step that waits for its next attempt, a time or a signal. See {@link JobHead}. */
export type Waiting = Pick<JobHead, "attempts" | "until" | "isFirm" | "since" | "lastDelay" | "previous">;

/** What a name stands for. */
export type FlowType = "step" | "sleep" | "waitFor";

/** A name that waits for its next attempt, a time or a signal. */
export interface PendingCall extends Waiting {
	readonly type: FlowType;
	/** The place in the order in which names were first registered. */
	readonly order: number;
}

/** An entry of the log of a durable function. */
export interface FlowRecord {
	/** The `uid` of the job, in its first entry. */
	readonly uid?: string | undefined;
	/** Absent for the value of the body. */
	readonly name?: string | undefined;
	readonly type?: FlowType | undefined;
	/** See {@link PendingCall.order}. */
	readonly order?: number | undefined;
	/** The result. */
	readonly value?: unknown;
	/** Where the stored result, a list, has `undefined`, which JSON does not have: `Promise.all` makes such lists. */
	readonly gaps?: readonly number[] | undefined;
	/** The error with which it ended instead. */
	readonly error?: TaskFailure | undefined;
	/** Whether it can be reverted. */
	readonly hasRevert?: true | undefined;
	/** Whether it was reverted. */
	readonly isRevert?: true | undefined;
	/** Its last attempt. Absent for a name that calls nothing. */
	readonly attempt?: StoredAttempt | undefined;
	/** The number of crashes that its claim has counted, if any. */
	readonly crashed?: number | undefined;
}

/** The whole state: the head with all entries of the log. */
export interface JobCheckpoint extends JobHead {
	readonly results: JobResults;
	/** The log of a durable function. */
	readonly records?: readonly FlowRecord[] | undefined;
	/** The value of its body. */
	readonly value?: unknown;
	/** Its log as it is stored, when the job has ended. */
	readonly entries?: readonly LogEntry[] | undefined;
}

/** The results of the steps by name. It only grows, see `keepResult`. */
export type JobResults = Readonly<Record<string, unknown>>;

/** The first head of a new job. */
export function firstHead({ version, steps, engine }: AnyJob, input: unknown, delay: number | undefined): JobHead {
	// Not randomUUID(), which pages have over HTTPS only.
	const uid = crypto.getRandomValues(new Uint32Array(4)).reduce((text, part) => text + part.toString(36), "");
	const plan = steps.map(({ name }) => name);
	const pending = engine === undefined ? undefined : {};
	const start = { at: 0, isBackward: false, logged: 0, signals: {}, crashed: 0, attempts: 0, history: [] };
	return { form: 2, uid, version, input, plan, delay: delay || undefined, pending, ...start };
}

/** The attempts in readable form. */
export function showHistory({ plan, history }: Pick<JobHead, "plan" | "history">): readonly JobAttempt[] {
	return history.map(([at, attempt, startedAt, duration, isRevert, by, error, item]) => {
		const step = typeof at === "string" ? at : plan[at]!;
		const worker = by ?? undefined;
		const more = item !== undefined && { item };
		return { step, isRevert: isRevert === 1, attempt, startedAt, duration, worker, error, ...more };
	});
}

/** Checks that the definition can resume the job. Returns the input as parsed by its schema. */
export async function fitInput(prepared: PreparedJob, state: JobHead): Promise<unknown> {
	const { job } = prepared;
	const problem = checkPlan(prepared, state);
	if (problem !== undefined) throw problem;
	return job.schema === undefined ? state.input : await validate(job.schema, state.input);
}

/** Returns an error if the definition lacks a step that must run or be reverted, or makes one otherwise that has children. */
export function checkPlan({ job: { name, version, engine }, steps }: PreparedJob, state: JobHead): Error | undefined {
	const { plan, at, isBackward, pending, spawned } = state;
	if (pending !== undefined && engine === undefined) {
		return new Error(`The job ${JSON.stringify(name)} was added as a durable function`);
	}
	const missing = (isBackward ? plan.slice(0, at) : plan.slice(at)).filter((name) => !steps.has(name));
	if (missing.length === 0) {
		const step = spawned && plan[isBackward ? at - 1 : at]!;
		const { type = "each" } = step === undefined ? {} : steps.get(step)!.definition;
		if (type === "each" || type === "job") return undefined;
		return new Error(
			`The step ${JSON.stringify(step)} of the job ${describe({ name, version })} has begun with children`,
		);
	}
	return new Error(
		`The job ${describe({ name, version })} was added with steps that its definition lacks: ${list(missing)}; it has ${
			list([...steps.keys()])
		}`,
	);
}

function list(names: readonly string[]): string {
	return names.map((name) => JSON.stringify(name)).join(", ");
}

/**
 * What an inspection shows. All of it is JSON: a member that is `undefined` is absent in HTTP responses. Instants are
 * milliseconds since 1970 on the clock of the store, durations are milliseconds.
 *
 * @module
 */

import type { TaskFailure } from "../basket/engine.ts";
import type { Counts, Pauses, TaskState } from "../basket/store.ts";
import type { JobStatus } from "../job/state.ts";

/** Where a task is: among the tasks of the basket, or among the jobs of the processor. */
export type InspectionSource = "outbox" | "processor";

/** All sources. */
export const inspectionSources: readonly InspectionSource[] = ["outbox", "processor"];

/** What an inspection knows at a glance. */
export interface InspectionOverview {
	/** The time of this overview, on the clock of the process that has made it. */
	readonly at: number;
	/** The basket and the processor: one or both, in this order. */
	readonly sources: readonly SourceOverview[];
	/** The actions that are allowed. */
	readonly actions: readonly InspectionActionType[];
}

/** A basket or a processor at a glance. */
export interface SourceOverview {
	/** Which of the two it is. */
	readonly source: InspectionSource;
	/** Its name in the store. */
	readonly name: string;
	/** How many tasks are in each state, for all processes. Ended jobs and children of jobs count, too. */
	readonly counts: Counts;
	/** What the process that serves this does with it. */
	readonly activity: InspectionActivity;
	/** The waiting task that was added first. It need not be due. */
	readonly oldestWaiting?:
		| { readonly id: string; readonly addedAt: number; readonly dueAt?: number | undefined }
		| undefined;
	/** What is paused in the store. */
	readonly pauses: Pauses;
	/**
	 * The kinds or names of jobs that this inspection has seen, sorted, at most 200: those of tasks that it has read, of
	 * schedules and of pauses.
	 */
	readonly kinds: readonly string[];
	/** The recurring tasks: at most 100, those that were added first. */
	readonly schedules: readonly InspectedSchedule[];
	/** The counts of the last ten minutes, the oldest first, as far as somebody has watched. */
	readonly samples: readonly BacklogSample[];
}

/** What a process does with a basket or a processor. */
export interface InspectionActivity {
	/** `"stopped"` if this process runs none of its tasks; others may. `"paused"`: by an object of this process. */
	readonly state: "stopped" | "starting" | "running" | "paused" | "stopping";
	/** How many of its tasks or jobs run in this process. */
	readonly running: number;
}

/** The counts at one moment. */
export interface BacklogSample {
	/** When it was taken. */
	readonly at: number;
	/** The counts. */
	readonly counts: Counts;
}

/** A recurring task. */
export interface InspectedSchedule {
	/** The id of its task, for actions. */
	readonly id: string;
	/** The name. */
	readonly name: string;
	/** The kind of its tasks. */
	readonly kind: string;
	/** The text of the schedule: a cron pattern with its time zone, or the number of milliseconds between two instants. */
	readonly text: string;
	/** The instant that is due next or runs. */
	readonly next: number;
	/** The state of its task. `"held"`: paused. */
	readonly state: TaskState;
}

/** A value for people: what JSON does not have is described in words, and what is long is cut. */
export interface InspectedValue {
	/** The value; absent for `undefined`. */
	readonly value?: unknown;
	/** Whether parts are left out because they are too long or too deep. The value says where. */
	readonly isCut: boolean;
}

/** A task in a list. */
export interface InspectedTask {
	/** Where it is. */
	readonly source: InspectionSource;
	/** The id, unique in its source. */
	readonly id: string;
	/** The kind; the name of the definition of a job. */
	readonly kind: string;
	/** The state in the store. An ended job is `"done"`. */
	readonly state: TaskState;
	/** The first 200 characters of the payload or of the input, as JSON; empty if it is `undefined` or withheld. */
	readonly preview: string;
	/** The number of failed or crashed attempts; of a job, of its current step. */
	readonly attempts: number;
	/** The number of consecutive claims that ended without a settlement. Absent for jobs. */
	readonly crashes?: number | undefined;
	/** The error of the last attempt; of a job, why it is reverted, has failed or is held. Lists leave out its stack. */
	readonly error?: TaskFailure | undefined;
	/** When it was added. */
	readonly addedAt: number;
	/** When it is due; the end of the lease of a running task, and the removal of an ended one. */
	readonly dueAt?: number | undefined;
	/** The priority. */
	readonly priority: number;
	/** The lane, if any. */
	readonly lane?: string | undefined;
	/** The key of its limit, if its kind had one when it was added. */
	readonly limitKey?: string | undefined;
	/** The id of the job of which it is a child. */
	readonly parent?: string | undefined;
	/** Of a running task: the worker that has it, and since when. */
	readonly run?: { readonly worker?: string | undefined; readonly since: number } | undefined;
	/** The last reported progress. */
	readonly progress?: { readonly value: number; readonly description?: string | undefined } | undefined;
	/** Of a recurring task: its schedule. */
	readonly schedule?: { readonly text: string; readonly next: number } | undefined;
	/** Whether its data is withheld, because the `redact` of the program has failed. */
	readonly isWithheld?: true | undefined;
	/** Of a job: how far it is. */
	readonly job?: InspectedJob | undefined;
}

/** How far a job is. */
export interface InspectedJob {
	/** How it has ended; absent until then. */
	readonly status?: JobStatus | undefined;
	/** Whether its steps run or are reverted. */
	readonly direction: "forward" | "backward";
	/** The step that runs, waits or is reverted next; absent if it has ended. */
	readonly step?: string | undefined;
	/** The version of its definition. */
	readonly version?: number | string | undefined;
	/** The name of the step of which it is an item. */
	readonly itemOf?: string | undefined;
	/** The children of the current step: how many it has, and how many of them are stored. */
	readonly children?: { readonly count: number; readonly added: number } | undefined;
}

/** Everything about a task. */
export interface InspectedDetail extends InspectedTask {
	/** The payload; of a job, the input. Absent if it is withheld. */
	readonly payload?: InspectedValue | undefined;
	/** The result of a done task; the value of a completed job. */
	readonly result?: InspectedValue | undefined;
	/** The texts that travel with it. */
	readonly meta: Readonly<Record<string, string>>;
	/** When a task with this id was first added, if it has begun anew since. */
	readonly firstAddedAt?: number | undefined;
	/** The last attempts that have ended, of the task or of the steps of a job, the oldest first. */
	readonly history: readonly InspectedAttempt[];
	/** Of a waiting task in a lane: the tasks before it that have not ended. */
	readonly ahead?: InspectedLane | undefined;
	/** Of a job: its steps in order. */
	readonly steps?: readonly InspectedStep[] | undefined;
	/** Of a job: why it could not be reverted. */
	readonly revertError?: TaskFailure | undefined;
	/** Of a job: the number of its children by state, of the first 200. */
	readonly childrenByState?: Partial<Counts> | undefined;
}

/** An attempt that has ended. */
export interface InspectedAttempt {
	/** The number of the attempt, from 1; absent if a job was lost with its worker. */
	readonly attempt?: number | undefined;
	/** Of a job: the name of the step. */
	readonly step?: string | undefined;
	/** Of a job: whether the step was reverted. */
	readonly isRevert?: boolean | undefined;
	/** Of a job: the place in its list of an item whose failure was tolerated, from 0. */
	readonly item?: number | undefined;
	/** Its start. */
	readonly startedAt: number;
	/** Its end; absent if it has never ended, because its process died or lost the claim. */
	readonly endedAt?: number | undefined;
	/** The worker. */
	readonly worker?: string | undefined;
	/** The error, if it has failed. */
	readonly error?: Pick<TaskFailure, "name" | "message"> | undefined;
}

/** The tasks before another one in its lane. */
export interface InspectedLane {
	/** How many there are, at most 100. */
	readonly count: number;
	/** Whether there are more. */
	readonly isMore: boolean;
	/** The id of the head, which must end first. */
	readonly head?: string | undefined;
}

/** A step of a job. */
export interface InspectedStep {
	/** The name. */
	readonly name: string;
	/** What it does; absent if this process does not know the definition. */
	readonly type?: "step" | "sleep" | "waitFor" | "each" | "job" | undefined;
	/**
	 * `"current"`: it runs or waits; `"reverting"`: its revert does. A step without a revert stays `"done"` when the job goes
	 * backward.
	 */
	readonly state: "done" | "current" | "pending" | "failed" | "reverting" | "reverted";
	/** The number of failed attempts, while it is current. */
	readonly attempts?: number | undefined;
	/** Until when it waits, for its next attempt, its time or a signal. */
	readonly until?: number | undefined;
	/** The error of its last attempt, while it is current. */
	readonly error?: TaskFailure | undefined;
	/** The result. */
	readonly result?: InspectedValue | undefined;
}

/** Selects tasks for a list. */
export interface InspectionQuery {
	/** Which source. @default the only one, or "outbox" if there are both */
	readonly source?: InspectionSource | undefined;
	/** Only tasks in this state. */
	readonly state?: TaskState | undefined;
	/** Only ended jobs with this status. Others are read and skipped, like those without the `text`. */
	readonly status?: JobStatus | undefined;
	/** Only tasks of this kind, or jobs of this name. */
	readonly kind?: string | undefined;
	/** Only tasks in this lane. */
	readonly lane?: string | undefined;
	/** Only tasks whose ids were given and begin with this text. */
	readonly prefix?: string | undefined;
	/**
	 * Only tasks with this text in the id, the kind, the preview or the error, in any case. At most 1,000 tasks are read for
	 * a page; so a page may have few or no tasks, and still a `next`.
	 */
	readonly text?: string | undefined;
	/** Only children of the job with this id, which other lists leave out. */
	readonly parent?: string | undefined;
	/** Which tasks come first. @default "newest" */
	readonly order?: "oldest" | "newest" | undefined;
	/** The most tasks of a page: 1 to 100. @default 50 */
	readonly limit?: number | undefined;
	/** The `next` of another page of the same query. */
	readonly after?: string | undefined;
}

/** A page of a list. */
export interface InspectionPage {
	/** The tasks. */
	readonly items: readonly InspectedTask[];
	/** Where the next page begins; absent if there is none. */
	readonly next?: string | undefined;
}

/** Told by {@link Inspection.watch}. */
export interface InspectionChange {
	/** When. */
	readonly at: number;
	/** Whether something may have changed since the last call: then what is shown should be read again. */
	readonly hasChanged: boolean;
	/** The sources as they are now. */
	readonly sources: readonly (Pick<SourceOverview, "source" | "counts" | "activity">)[];
	/** What this process has done in the last ten minutes, the oldest first, if it has a meter. The last slot is not over. */
	readonly rates?: readonly MeterSlot[] | undefined;
}

/** What a meter has counted in ten seconds. */
export interface MeterSlot {
	/** The beginning of these ten seconds. */
	readonly at: number;
	/** Attempts after which a task was done. */
	readonly done: number;
	/** Attempts that have failed and are retried. */
	readonly retried: number;
	/** Attempts after which a task was dead, and failed attempts outside of baskets. */
	readonly failed: number;
	/** How long tasks were due before they began. */
	readonly waited: MeterDurations;
	/** How long functions took. */
	readonly took: MeterDurations;
}

/** Durations in milliseconds: each is the upper end of a range, and at most 1.5 times too long. */
export interface MeterDurations {
	/** Half of them were at most this long; absent if there were none. */
	readonly p50?: number | undefined;
	/** 95 of 100 were at most this long. */
	readonly p95?: number | undefined;
	/** All were at most this long. */
	readonly max?: number | undefined;
}

/** What to change. `source` is the only one by default, or `"outbox"` if there are both; `cancel` and `signal` are for jobs. */
export type InspectionAction =
	/** Restarts a dead task, makes a waiting one due at once; with `from`, an ended job goes on or begins anew. */
	| {
		readonly type: "retry";
		readonly source?: InspectionSource | undefined;
		readonly id: string;
		readonly from?: "failure" | "start" | undefined;
	}
	/** Makes a schedule run now. */
	| { readonly type: "runNow"; readonly source?: InspectionSource | undefined; readonly id: string }
	/** Keeps a task from running, or undoes that. */
	| { readonly type: "hold" | "release"; readonly source?: InspectionSource | undefined; readonly id: string }
	/**
	 * Removes a task. A job that has done some of its steps and has not ended is removed only with `halfDone`, because nothing
	 * of it will be reverted.
	 */
	| {
		readonly type: "delete";
		readonly source?: InspectionSource | undefined;
		readonly id: string;
		readonly halfDone?: boolean | undefined;
	}
	/** Restarts all dead tasks that have each given property. */
	| {
		readonly type: "retryAll";
		readonly source?: InspectionSource | undefined;
		readonly kind?: string | undefined;
		readonly lane?: string | undefined;
		readonly prefix?: string | undefined;
	}
	/** Pauses a kind or all kinds in the store, or undoes that. */
	| {
		readonly type: "pause" | "resume";
		readonly source?: InspectionSource | undefined;
		readonly kind?: string | undefined;
	}
	/** Reverts a job. */
	| { readonly type: "cancel"; readonly id: string }
	/** Sends a value to the step of a job. */
	| { readonly type: "signal"; readonly id: string; readonly name: string; readonly value?: unknown };

/** The name of an action. */
export type InspectionActionType = InspectionAction["type"];

/** All actions. */
export const inspectionActions: readonly InspectionActionType[] = [
	...["retry", "runNow", "hold", "release", "delete", "retryAll", "pause", "resume", "cancel", "signal"] as const,
];

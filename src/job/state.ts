/**
 * What is stored of a job: its checkpoint, which is the payload of its task, and at the end its outcome.
 *
 * ```text
 *   forward ──(each step: run)──────────────────────────────► completed
 *      └─(a step fails, cancel, too many crashes)─► backward ──(each revert)──► reverted
 *                                                      └─(a revert fails)─────► failed
 * ```
 *
 * `at` is the cursor in the plan, the names of the steps at the time of the `add`. Forward it is the step to be run next,
 * backward the number of steps that are still to be looked at: the one before it is reverted next.
 *
 * @module
 */

import type { TaskFailure } from "../basket/engine.ts";
import type { AnyJob, JobStep } from "./job.ts";
import type { RunnerSettings } from "../run/options.ts";
import { validate } from "../platform/standard-schema.ts";

/** How a job has ended. */
export type JobStatus = "completed" | "reverted" | "failed";

/** One attempt of a step that has ended. */
export interface JobAttempt {
	/** The step. */
	readonly step: string;
	/** Whether it was its revert. */
	readonly isRevert: boolean;
	/** The number of the attempt, from 1. */
	readonly attempt: number;
	/** When it began: milliseconds since 1970, on the store's clock. */
	readonly startedAt: number;
	/** How long it took, in milliseconds. */
	readonly duration: number;
	/** What it failed with, if it did: the first 200 characters. */
	readonly error?: string | undefined;
}

/** A {@link JobAttempt} as it is stored: short, since all of them are stored again with each result. */
export type StoredAttempt = readonly [
	/** Where its step is in the plan. */
	at: number,
	attempt: number,
	startedAt: number,
	duration: number,
	isRevert?: 0 | 1,
	error?: string,
];

/** What a processor needs to know of a step. */
export interface PreparedStep {
	readonly definition: JobStep;
	/** How it is tried, forward and backward. */
	readonly settings: RunnerSettings;
	readonly revertSettings: RunnerSettings;
}

/** A job that a processor knows. */
export interface PreparedJob {
	readonly job: AnyJob;
	readonly steps: ReadonlyMap<string, PreparedStep>;
}

/** The checkpoint. */
export interface JobCheckpoint {
	/** Which form of this it is. */
	readonly form: 1;
	/** Tells this job from every other one, also from one of the same id. */
	readonly uid: string;
	readonly version?: number | string | undefined;
	readonly input?: unknown;
	readonly plan: readonly string[];
	readonly at: number;
	readonly isBackward: boolean;
	readonly results: Readonly<Record<string, unknown>>;
	/** Signals that have come and were not waited for yet. */
	readonly signals: Readonly<Record<string, { readonly value?: unknown }>>;
	/** How many claims in a row had crashed at this checkpoint. */
	readonly crashed: number;
	readonly history: readonly StoredAttempt[];
	/** The age before which the first step does not begin, whatever is posted to the job. */
	readonly delay?: number | undefined;
	/** Why it goes backward. */
	readonly error?: TaskFailure | undefined;
	/** Why it could not go on backward. */
	readonly revertError?: TaskFailure | undefined;
	/** What was left then, in the order in which it would have been reverted. */
	readonly unreverted?: readonly string[] | undefined;
	/** How it has ended. */
	readonly status?: JobStatus | undefined;

	// Of the current step. Ages are milliseconds since the job was added, on the store's clock.

	/** How many attempts have failed. */
	readonly attempts: number;
	/** The age before which nothing is to be done. */
	readonly until?: number | undefined;
	/** Whether it was the step that has asked for just this delay. */
	readonly isFirm?: boolean | undefined;
	/** The age at which the first attempt began. */
	readonly since?: number | undefined;
	/** What its backoff gave last. */
	readonly lastDelay?: number | undefined;
	/** What its last attempt failed with. */
	readonly previous?: TaskFailure | undefined;
}

/** The checkpoint of a job that is to be added. */
export function firstCheckpoint(
	{ version, steps }: AnyJob,
	input: unknown,
	delay: number | undefined,
): JobCheckpoint {
	// Not randomUUID(), which pages have only over HTTPS.
	const uid = crypto.getRandomValues(new Uint32Array(4)).reduce((text, part) => text + part.toString(36), "");
	const plan = steps.map(({ name }) => name);
	const start = { at: 0, isBackward: false, results: {}, signals: {}, crashed: 0, attempts: 0, history: [] };
	return { form: 1, uid, version, input, plan, delay: delay || undefined, ...start };
}

/** The attempts for people. */
export function showHistory({ plan, history }: Pick<JobCheckpoint, "plan" | "history">): readonly JobAttempt[] {
	return history.map(([at, attempt, startedAt, duration, isRevert, error]) => (
		{ step: plan[at]!, isRevert: isRevert === 1, attempt, startedAt, duration, error }
	));
}

/** A checkpoint that its definition can go on with, its input and results as their schemas give them. */
export async function fitCheckpoint({ job, steps }: PreparedJob, state: JobCheckpoint): Promise<JobCheckpoint> {
	if (state.status !== undefined) return state;
	const problem = checkPlan(job, state);
	if (problem !== undefined) throw problem;
	const input = job.schema === undefined ? state.input : await validate(job.schema, state.input);
	const results = { ...state.results };
	for (const name of state.plan.slice(0, state.at)) {
		const schema = steps.get(name)?.definition.options.schema;
		if (schema !== undefined) results[name] = await validate(schema, results[name]);
	}
	return { ...state, input, results };
}

/** What is wrong if the definition lacks a step that is to be run, or reverted. */
export function checkPlan({ name, version, steps }: AnyJob, state: JobCheckpoint): Error | undefined {
	const names = steps.map(({ name }) => name);
	const { plan, at, isBackward } = state;
	const missing = (isBackward ? plan.slice(0, at) : plan.slice(at)).filter((name) => !names.includes(name));
	if (missing.length === 0) return undefined;
	return new Error(
		`The job ${JSON.stringify(name)} was added with steps that its definition lacks: ${list(missing)} of version ${
			state.version ?? "none"
		}; version ${version ?? "none"} has ${list(names)}`,
	);
}

function list(names: readonly string[]): string {
	return names.map((name) => JSON.stringify(name)).join(", ");
}

/**
 * The options of a processor, and their checks.
 *
 * @module
 */

import type { AddOptions } from "../basket/basket.ts";
import {
	type BasketOptions,
	type BasketSettings,
	checkBasketOptions,
	type Codec,
	type Ending,
	type JobClaim,
	jsonCodec,
	type Kind,
	type TaskDefinition,
	type TaskFailure,
	type TaskMap,
} from "../basket/engine.ts";
import type { Data } from "../basket/store.ts";
import type { FailedAttempt } from "../run/options.ts";
import { type AnyJob, checkJob, type JobTypes } from "./definition.ts";
import type { JobStatus, PreparedJob } from "./state.ts";
import { itemJob } from "./children.ts";
import { describe, itemKind, kindOf } from "./version.ts";
import { checkBackoff } from "../run/backoff.ts";
import { check, checkFunction } from "../platform/check.ts";
import { checkClock, type Clock } from "../platform/clock.ts";
import { checkRunnerOptions, defaultSettings } from "../run/options.ts";

/** Options of {@link Processor}. */
export interface ProcessorOptions<Jobs extends AnyJob = AnyJob, Tx = never> extends
	Pick<
		BasketOptions<TaskMap, Tx>,
		| "store"
		| "concurrency"
		| "limit"
		| "lease"
		| "grace"
		| "crashes"
		| "codec"
		| "gate"
		| "wake"
		| "worker"
		| "onError"
		| "clock"
		| "observe"
	> {
	/**
	 * The definitions of the jobs, among them several versions of one name: see {@link JobOptions.version}. Those that are
	 * steps of others by {@link Job.job} are among them, whether they are given or not. Stored jobs of other definitions stay
	 * untouched.
	 */
	jobs: readonly Jobs[];
	/** The name, which separates its jobs from the tasks of baskets in the same store. @default "jobs" */
	name?: string | undefined;
	/** How long an ended job is kept, with its id and its outcome, in milliseconds. @default 86_400_000, a day */
	retain?: number | undefined;
	/**
	 * Called when the end of a job is stored, and when a job is held because of a problem; also for children of jobs. Its
	 * errors are passed to `onError`.
	 */
	onSettled?: ((settled: JobSettled) => void) | undefined;
	/**
	 * Called when an attempt of a step or of a revert has failed, after the decision what follows and before that is
	 * stored. Its errors are passed to `onError`.
	 */
	onAttemptFailed?: ((failed: FailedJobAttempt) => void) | undefined;
	/** The default backoff for steps. @default { start: 1_000, factor: 2, max: 3_600_000, jitter: "full" } */
	backoff?: BasketOptions<TaskMap, Tx>["backoff"];
}

/** The argument of {@link ProcessorOptions.onSettled}: how a job has ended, or why it is held. */
export interface JobSettled {
	/** The id of the job. */
	readonly id: string;
	/** The name of its definition. */
	readonly job: string;
	/** The name of the step of {@link Job.each} of which it is an item; `undefined` for any other job. */
	readonly itemOf: string | undefined;
	/**
	 * The status. `held` means that the stored state cannot be read, or does not fit the definition;
	 * `Processor.release` tries it again.
	 */
	readonly status: JobStatus | "held";
	/** The error because of which the job was reverted, has failed or is held; `undefined` if it was completed. */
	readonly error: TaskFailure | undefined;
	/** The error because of which the job could not be reverted. */
	readonly revertError: TaskFailure | undefined;
	/** The completed steps that have a revert and were not reverted. */
	readonly unreverted: readonly string[];
}

/** The argument of {@link ProcessorOptions.onAttemptFailed}: a failed attempt of a step. */
export interface FailedJobAttempt extends FailedAttempt {
	/** The id of the job; for an item of {@link Job.each}, that of the item. */
	readonly id: string;
	/** The name of its definition. */
	readonly job: string;
	/** The name of the step. */
	readonly step: string;
	/** Whether the failed attempt was one of its revert. */
	readonly isRevert: boolean;
}

/** Options for {@link Processor.add}. A job that is there stays as it is: its steps may be done in part. */
export type AddJobOptions<Tx = never> = Omit<AddOptions<Tx>, "ifPresent" | "within">;

/** Options for {@link Processor.pause} and {@link Processor.resume} in the store. */
export interface StoredJobPause {
	/** The pause is kept in the store, for all processes. */
	stored: true;
	/** Only jobs with this name, of all versions. Default: all jobs. */
	job?: string | undefined;
}

/** A job for {@link Processor.addMany}. */
export type NewJob<J extends AnyJob> = J extends AnyJob ?
		& { readonly job: J }
		& Omit<AddJobOptions, "tx">
		& (undefined extends JobTypes<J>["input"] ? { readonly input?: JobTypes<J>["input"] }
			: { readonly input: JobTypes<J>["input"] })
	: never;

/** The arguments of {@link Processor.add} behind the job: the input may be left out where it may be `undefined`. */
export type AddJobArguments<J extends AnyJob, Tx> = undefined extends JobTypes<J>["input"]
	? [input?: JobTypes<J>["input"], options?: AddJobOptions<Tx>]
	: [input: JobTypes<J>["input"], options?: AddJobOptions<Tx>];

/** The job decodes its payload itself, because it handles damaged payloads. */
const rawCodec: Codec = { encode: (data) => data as Data, decode: (data) => data };
/** The kind of task behind each job. A job gets the claim directly, so this function is never called. */
const jobTask: TaskDefinition<unknown> = {
	run: () => {},
	attempts: Infinity,
	crashes: Infinity,
};

/** The checked options of a processor. */
export interface ProcessorSettings<Tx>
	extends
		Required<{ [K in "codec" | "crashes" | "retain"]: NonNullable<ProcessorOptions[K]> }>,
		Pick<ProcessorOptions, "onSettled" | "onAttemptFailed"> {
	/** The settings of its basket. */
	readonly settings: BasketSettings<Tx>;
	readonly jobs: ReadonlyMap<string, PreparedJob>;
}

/** @param run resumes a claimed job; resolves with the end of the claim */
export function checkProcessorOptions<Tx>(
	options: ProcessorOptions<AnyJob, Tx>,
	run: (job: PreparedJob, claim: JobClaim) => Promise<Ending>,
): ProcessorSettings<Tx> {
	const { name = "jobs", retain = 86_400_000, crashes = 10, codec = jsonCodec, ...rest } = check(
		"options",
		options,
		"object",
	);
	const onSettled = checkFunction("onSettled", options.onSettled);
	const onAttemptFailed = checkFunction("onAttemptFailed", options.onAttemptFailed);
	const { backoff, observe } = options;
	const jobs = prepare(check("jobs", options.jobs, "object"), backoff, checkClock(options.clock), observe);
	const stored = { ...rawCodec, clones: codec?.clones };
	const tasks = Object.fromEntries([...jobs.keys()].map((name) => [name, { ...jobTask, codec: stored }]));
	// Also checks the options of the basket.
	const own = { onSettled: undefined, onAttemptFailed: undefined };
	const settings = checkBasketOptions<Tx>({ ...rest, ...own, name, retain, crashes, codec, tasks });
	const kinds = [...jobs].map(([name, job]) => {
		const call: Kind["call"] = (_, claim) => run(job, claim);
		const end = (ending: unknown) => ending as Ending;
		return [name, {
			...settings.kinds.get(name)!,
			call,
			end,
			codec: stored,
			hasResult: false,
			isObserved: false,
			isJob: true,
			mayRecur: false,
			limit: jobs.get(name)!.job.limit && { bounds: jobs.get(name)!.job.limit!.bounds },
		}] as const;
	});
	return { settings: { ...settings, kinds: new Map(kinds) }, jobs, codec, crashes, retain, onSettled, onAttemptFailed };
}

/** Checks the jobs of a processor. Returns them by their kinds, with the settings of their steps. */
function prepare(
	jobs: readonly AnyJob[],
	backoff: ProcessorOptions["backoff"],
	clock: Clock,
	observe: ProcessorOptions["observe"],
): Map<string, PreparedJob> {
	const least = { start: 1_000, factor: 2, max: 3_600_000, jitter: "full" } as const;
	const defaults = { ...defaultSettings, backoff: checkBackoff(backoff ?? least), clock, observe };
	check("jobs", jobs, "object", Array.isArray(jobs), "an array of jobs");
	const prepared = new Map<string, PreparedJob>();
	const children: AnyJob[] = [];
	const add = (job: AnyJob, kind = kindOf(job), itemOf?: string) => {
		const items = new Map<string, AnyJob>();
		if (prepared.has(kind)) throw new TypeError(`There are two jobs of the name ${describe(job)}`);
		const steps = job.steps.map((definition) => {
			const { options } = definition;
			const settings = checkRunnerOptions(options, defaults);
			const { revertAttempts: attempts = Infinity } = options;
			const revertSettings = checkRunnerOptions({ ...options, attempts, deadline: Infinity }, defaults);
			return [definition.name, { definition, settings, revertSettings }] as const;
		});
		prepared.set(kind, { job, steps: new Map(steps), items, itemOf, defaults });
		for (const step of job.steps) {
			if (step.options.job !== undefined) children.push(step.options.job);
			if (step.type !== "each") continue;
			const child = itemJob(job, step);
			items.set(step.name, child);
			add(child, itemKind(job, step.name), step.name);
		}
	};
	for (const job of jobs) add(checkJob(job));
	// Their children are added to the list while it is read.
	for (const child of children) if (prepared.get(kindOf(child))?.job !== child) add(child);
	return prepared;
}

/**
 * What a processor can be told, and what it makes of that.
 *
 * @module
 */

import type { AddArguments, AddOptions } from "../basket/basket.ts";
import type { BasketOptions, Codec, TaskDefinition, TaskFailure, TaskMap } from "../basket/engine.ts";
import type { Data } from "../basket/store.ts";
import type { FailedAttempt } from "../run/options.ts";
import type { AnyJob, JobTypes } from "./job.ts";
import type { JobStatus, PreparedJob } from "./state.ts";
import { checkBackoff } from "../run/backoff.ts";
import { check } from "../platform/check.ts";
import type { Clock } from "../platform/clock.ts";
import { checkRunnerOptions, defaultSettings } from "../run/options.ts";

/** Options of {@link Processor}. */
export interface ProcessorOptions<Jobs extends AnyJob = AnyJob, Tx = never> extends
	Pick<
		BasketOptions<TaskMap, Tx>,
		"store" | "concurrency" | "lease" | "grace" | "crashes" | "codec" | "gate" | "wake" | "onError" | "clock"
	> {
	/** The definitions of the jobs. One that is stored but not named here stays untouched. */
	jobs: readonly Jobs[];
	/** Tells its jobs from the tasks of baskets in the same store. @default "jobs" */
	name?: string | undefined;
	/** How long a job that is over is kept, with its id and its outcome, in milliseconds. @default 86_400_000, a day */
	retain?: number | undefined;
	/** Called when the end of a job is stored, and when a job is held because of a problem. What it throws goes to `onError`. */
	onSettled?: ((settled: JobSettled) => void) | undefined;
	/**
	 * Called when an attempt of a step or of a revert has failed, after the decision what follows, and before that is stored.
	 * What it throws goes to `onError`.
	 */
	onAttemptFailed?: ((failed: FailedJobAttempt) => void) | undefined;
	/** Between the attempts of steps that have none of their own. @default { start: 1_000, factor: 2, max: 3_600_000, jitter: "full" } */
	backoff?: BasketOptions<TaskMap, Tx>["backoff"];
}

/** How a job has ended, or why it is held: what {@link ProcessorOptions.onSettled} is called with. */
export interface JobSettled {
	/** The job. */
	readonly id: string;
	/** The name of its definition. */
	readonly job: string;
	/** `held`: its state cannot be read, or does not fit its definition; `Processor.release` lets it be tried again. */
	readonly status: JobStatus | "held";
	/** Why it was reverted, has failed or is held; `undefined` if it was completed. */
	readonly error: TaskFailure | undefined;
	/** Why it could not be reverted. */
	readonly revertError: TaskFailure | undefined;
	/** The steps that were done and could be reverted, but were not. */
	readonly unreverted: readonly string[];
}

/** An attempt of a step that has failed: what {@link ProcessorOptions.onAttemptFailed} is called with. */
export interface FailedJobAttempt extends FailedAttempt {
	/** The job. */
	readonly id: string;
	/** The name of its definition. */
	readonly job: string;
	/** The step. */
	readonly step: string;
	/** Whether it was its revert that has failed. */
	readonly isRevert: boolean;
}

/** A job for {@link Processor.addMany}. */
export type NewJob<J extends AnyJob> = J extends AnyJob ?
		& { readonly job: J }
		& Omit<AddOptions, "tx">
		& (undefined extends JobTypes<J>["input"] ? { readonly input?: JobTypes<J>["input"] }
			: { readonly input: JobTypes<J>["input"] })
	: never;

/** The arguments of {@link Processor.add} behind the job: the input may be left out where it may be `undefined`. */
export type AddJobArguments<J extends AnyJob, Tx> = AddArguments<JobTypes<J>["input"], Tx>;

/** Its payload is read by the job itself, which knows what to do with a broken one. */
const rawCodec: Codec = { encode: (data) => data as Data, decode: (data) => data };
/** The kind of task that each job is. A job is given the claim, so that the function is never called. */
export const jobTask: TaskDefinition<unknown> = {
	run: () => {},
	codec: rawCodec,
	attempts: Infinity,
	crashes: Infinity,
};

/** The jobs of a processor, by name, with the settings of their steps. */
export function prepare(
	jobs: readonly AnyJob[],
	backoff: ProcessorOptions["backoff"],
	clock: Clock,
): Map<string, PreparedJob> {
	const least = { start: 1_000, factor: 2, max: 3_600_000, jitter: "full" } as const;
	const defaults = { ...defaultSettings, backoff: checkBackoff(backoff ?? least), clock };
	check("jobs", jobs, "object", Array.isArray(jobs), "an array of jobs");
	const prepared = new Map<string, PreparedJob>();
	for (const job of jobs) {
		const name = check("job.name", check("job", job, "object").name, "string");
		check("job.steps", job.steps, "object", Array.isArray(job.steps), "those of a job");
		if (prepared.has(name)) throw new TypeError(`There are two jobs of the name ${JSON.stringify(name)}`);
		if (job.steps.length === 0) throw new TypeError(`The job ${JSON.stringify(name)} has no steps`);
		const steps = job.steps.map((definition) => {
			const { options } = definition;
			const settings = checkRunnerOptions(options, defaults);
			const { revertAttempts: attempts = Infinity } = options;
			const revertSettings = checkRunnerOptions({ ...options, attempts, deadline: Infinity }, defaults);
			return [definition.name, { definition, settings, revertSettings }] as const;
		});
		prepared.set(name, { job, steps: new Map(steps) });
	}
	return prepared;
}

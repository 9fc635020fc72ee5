/**
 * What the definitions of jobs have in common: their options, and the steps of which a chain consists.
 *
 * @module
 */

import type { Limit } from "../limit/limit.ts";
import type { ChildrenContext, JobStepOptions } from "./step-options.ts";
import { check, checkLimit } from "../platform/check.ts";
import { checkMade } from "../basket/engine.ts";
import { checkNamed } from "./version.ts";
import { checkSchema, type StandardSchema } from "../platform/standard-schema.ts";

/**
 * Options of `job`.
 *
 * @typeParam I the input, as steps get it
 * @typeParam A the input of the schema, and so of `add`
 */
export interface JobOptions<I, A = I> {
	/**
	 * The version of the definition: a number or a string; 1 and "1" are the same. A job is run by the version with which it
	 * was added, which is `context.version`. Definitions of the same name with different versions, or one without, stand
	 * side by side in a processor: `jobs: [tripV1, tripV2]`. Jobs of a version that a processor does not have wait for
	 * another one.
	 *
	 * So if a change does not fit jobs that have begun, give the changed definition another version, deploy it together with
	 * the old one, and remove the old one when `Processor.list({ job })` shows no job of it that has not ended. Lists,
	 * filters and pauses by name concern all versions; a limit is that of its version.
	 *
	 * @default none
	 */
	version?: number | string | undefined;
	/**
	 * Any Standard Schema validator for the input. It reads the input when a job is added, which rejects if it does
	 * not pass, and whenever a stored job is resumed, so it must accept its own output.
	 */
	schema?: StandardSchema<I, A> | undefined;
	/**
	 * How many of these jobs run a step at once, and how many steps begin in a time, in all processes:
	 * `limit({ key, atOnce, rate })`. `key` gets the input, as the schema returns it. A job that sleeps or waits for a
	 * signal, an attempt or its limit has no place. Each attempt of a step or of a revert counts for `rate`. If `key`
	 * throws, or if the key is not allowed, `add` rejects, and a stored job is held. @default no limit
	 */
	// Does not determine the input: `limit({ atOnce })` fits each one.
	limit?: Limit<[I][I extends unknown ? 0 : never]> | undefined;
	/**
	 * The time from the add within which the job must be completed, in milliseconds: more than 0. When it is over, the signal
	 * of a running step aborts, nothing is tried again, and the job is reverted because of a `TimeoutError`. Reverts have no
	 * deadline. The deadline is that of the definition that runs the job. @default Infinity
	 */
	deadline?: number | undefined;
}

/** The options of steps that children make, without their types. */
export interface ChildrenOptions {
	/** See {@link JobEachOptions.items}. */
	// deno-lint-ignore no-explicit-any -- the types of the steps are in the type of the job
	readonly items: (context: ChildrenContext<any, any>) => Iterable<unknown> | PromiseLike<Iterable<unknown>>;
	/** See {@link JobEachOptions.atOnce}. */
	readonly atOnce: number;
	/** See {@link JobEachOptions.tolerate}. */
	readonly tolerate: number;
	/** See {@link JobEachOptions.into}. */
	readonly into: (sum: unknown, result: unknown, index: number) => unknown;
	/** The job that is the step. */
	readonly job: JobDefinition;
	/** Makes its input. */
	// deno-lint-ignore no-explicit-any -- the types of the steps are in the type of the job
	readonly input: (context: ChildrenContext<any, any>) => unknown;
}

/** The definition of a step. */
export interface JobStep {
	/** The name. */
	readonly name: string;
	/** The type: call a function, sleep, wait for a signal, or for children: one for each item of a list, or another job. */
	readonly type: "step" | "sleep" | "waitFor" | "each" | "job";
	/** The options of a step; empty for other types. */
	// deno-lint-ignore no-explicit-any -- the types of the steps are in the type of the job
	readonly options: Partial<JobStepOptions<any, any, string, any, any> & ChildrenOptions>;
	/** The duration of a sleep or the timeout of a wait, in milliseconds. */
	readonly duration: number;
}

/**
 * What the definitions of jobs have in common: those of steps in a chain, {@link Job}, and those of durable functions,
 * `Durable`.
 *
 * @typeParam I the input
 * @typeParam R the results of the steps, by name
 * @typeParam V the value of the job
 * @typeParam S the values of the signals that it waits for, by name
 * @typeParam Tx the transactions that `commit` takes
 * @typeParam A what `add` takes, where a schema makes the input of it
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { durable, job, type JobDefinition } from "upkeep";
 *
 * const nameOf = ({ name }: JobDefinition) => name;
 * assert.deepEqual([job("trip"), durable("onboard", () => 1)].map(nameOf), ["trip", "onboard"]);
 * ```
 */
// deno-lint-ignore no-explicit-any -- any definition
export class JobDefinition<I = any, R = any, V = any, S = any, Tx = any, A = any> {
	/** The name, which identifies the definition in a store. */
	readonly name: string;
	/** See {@link JobOptions.version}. */
	readonly version: number | string | undefined;
	/** See {@link JobOptions.schema}. */
	readonly schema: StandardSchema<I, A> | undefined;
	/** See {@link JobOptions.limit}. */
	// deno-lint-ignore no-explicit-any -- of the input, in which a job must not vary
	readonly limit: Limit<any> | undefined;
	/** See {@link JobOptions.deadline}. */
	readonly deadline: number;
	/** The steps in order. A durable function has none: its body makes them. */
	readonly steps: readonly JobStep[];
	/** What a processor needs to run a durable function. It is internal. */
	readonly engine?: unknown;
	/** For the compiler only; never set. See {@link JobTypes}. */
	readonly types?: {
		readonly input: A;
		readonly results: R;
		readonly value: V;
		readonly signals: S;
		readonly tx: Tx;
	};

	/**
	 * Created by {@link job} and by `durable`.
	 *
	 * @param name the name
	 * @param options the version, the schema of the input, the limit, and the deadline
	 * @param steps the steps
	 */
	constructor(name: string, options: JobOptions<I, A> = {}, steps: readonly JobStep[] = []) {
		const { version, schema, limit, deadline = Infinity } = check("options", options, "object");
		this.name = checkNamed({ name, version }).name;
		checkSchema(schema);
		if (limit !== undefined) checkMade(limit);
		this.version = version;
		this.schema = schema;
		this.limit = limit;
		this.deadline = checkLimit("deadline", deadline);
		this.steps = steps;
	}
}

/**
 * The definition of any job, whatever it takes and gives.
 *
 * @typeParam Tx the transactions of the store: the jobs of a processor use these, or none
 */
// deno-lint-ignore no-explicit-any -- whatever it takes and gives
export type AnyJob<Tx = any> = JobDefinition<any, any, any, any, Tx, any>;

/** The types of a job: the `input` that `add` takes, the `results` of its steps, its `value`, its `signals` and its `tx`. */
export type JobTypes<J extends AnyJob> = NonNullable<J["types"]>;

/** @throws {TypeError | RangeError} for what is no definition of a job */
export function checkJob<J extends AnyJob>(job: J): J {
	check("job.name", check("job", job, "object").name, "string");
	check("job.steps", job.steps, "object", Array.isArray(job.steps), "those of a job");
	if (job.steps.length > 0 || job.engine !== undefined) return job;
	throw new TypeError(`The job ${JSON.stringify(job.name)} has no steps`);
}

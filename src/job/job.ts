/**
 * What a job consists of: steps that come one after the other, and how each is undone.
 *
 * Use a job for work of several steps against several services that must end whole or be undone, over restarts; use a
 * `Basket` for work of one step, and `reconcile` to bring a system from any state into the wanted one.
 *
 * The words: a **step** is run forward; a **revert** undoes it; both are tried in **attempts**. A job goes *forward* until
 * it is completed, or a step fails; then *backward* until every step that was done is reverted.
 *
 * @module
 */

import type { RevertContext, StepContext } from "./context.ts";
import { checkName } from "../basket/engine.ts";
import { check, checkDelay, checkLimit } from "../platform/check.ts";
import { checkSchema, type StandardSchema } from "../platform/standard-schema.ts";
import { checkRunnerOptions, type RunnerOptions } from "../run/options.ts";

/**
 * Options of {@link job}.
 *
 * @typeParam I the input, as steps get it
 * @typeParam A what the schema takes, and `add` with it
 */
export interface JobOptions<I, A = I> {
	/**
	 * Says which edition of the definition this is: a number or a text. It is stored with each job that is added; `context.version`
	 * tells it, and the error of a job that the definition does not fit any more.
	 */
	version?: number | string | undefined;
	/**
	 * Any Standard Schema validator for the input. It reads the input when a job is added, which rejects if it does not pass,
	 * and whenever a stored job is resumed, so that it must accept what it gives.
	 */
	schema?: StandardSchema<I, A> | undefined;
}

/**
 * One step of a job. The {@link RunnerOptions} hold for each of its attempts, forward and backward, except that `attempts`
 * and `deadline` are those of `run` alone.
 */
export interface JobStepOptions<I, R, N extends string, T, Tx = never> extends Omit<RunnerOptions, "clock" | "unref"> {
	/**
	 * Does the step. What it returns is stored before the next step begins. It is called again if its process dies before that,
	 * with the same `idempotencyKey`. Return what the codec can carry: after a restart, later steps get what it gives back.
	 */
	run: (context: StepContext<I, R, Tx>) => T;
	/** Undoes the step, if a later one fails or the job is cancelled. Without it there is nothing to undo. */
	revert?: ((context: RevertContext<I, R & { readonly [K in N]: Awaited<T> }, Awaited<T>, Tx>) => unknown) | undefined;
	/** How often `run` may fail before the job is reverted; a crash of the process does not count. @default 1 */
	attempts?: number | undefined;
	/** How often `revert` may fail before the job is given up as failed. @default Infinity */
	revertAttempts?: number | undefined;
	/** Any Standard Schema validator for the result, when it is returned and when it is read from the store. */
	schema?: StandardSchema<Awaited<T>, unknown> | undefined;
}

/**
 * Options of {@link Job.waitFor}.
 *
 * @typeParam T the result of the step
 * @typeParam A what the schema takes, and {@link Processor.signal} with it
 */
export interface WaitForOptions<T, A = T> {
	/** After how long the step fails with a `TimeoutError`, in milliseconds. @default Infinity */
	timeout?: number | undefined;
	/**
	 * Any Standard Schema validator for the value of the signal. It types the step and the signal, and reads the value when it is
	 * sent, which rejects if it does not pass. `unchecked<T>()` gives the type alone.
	 */
	schema?: StandardSchema<T, A> | undefined;
}

/** A step as it was defined. */
export interface JobStep {
	/** What it is called. */
	readonly name: string;
	/** What it does: call a function, let time pass, or wait for a signal. */
	readonly type: "step" | "sleep" | "waitFor";
	/** Options of a step, empty for others. */
	// deno-lint-ignore no-explicit-any -- the types of the steps are in the type of the job
	readonly options: Partial<JobStepOptions<any, any, string, any, any>>;
	/** How long it sleeps, or waits at most. */
	readonly duration: number;
}

/**
 * The definition of a job. It never changes: each method gives another one, with one more step.
 *
 * @typeParam I the input
 * @typeParam R the results of the steps, by name
 * @typeParam V the result of the last step, which is the value of the job
 * @typeParam S the values of the signals that it waits for, by name
 * @typeParam Tx the transactions that `commit` takes
 * @typeParam A what `add` takes, where a schema makes the input of it
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { job, unchecked } from "upkeep";
 *
 * const trip = job<{ to: string }>("book-trip")
 * 	.step("flight", { run: ({ input }) => `a seat to ${input.to}`, revert: ({ result }) => console.log("cancel", result) })
 * 	.waitFor("approval", { schema: unchecked<boolean>(), timeout: 86_400_000 })
 * 	.step("mail", { run: ({ results }) => `You have ${results.flight}: ${results.approval}`, attempts: 5 });
 * assert.deepEqual(trip.steps.map(({ name }) => name), ["flight", "approval", "mail"]);
 * ```
 */
// deno-lint-ignore ban-types -- no results yet, and no signals
export class Job<I = undefined, R = {}, V = undefined, S = {}, Tx = never, A = I> {
	/** What it is called: the jobs of a store are told apart by it. */
	readonly name: string;
	/** See {@link JobOptions.version}. */
	readonly version: number | string | undefined;
	/** See {@link JobOptions.schema}. */
	readonly schema: StandardSchema<I, A> | undefined;
	/** Its steps, in their order. */
	readonly steps: readonly JobStep[];
	/** Only for the compiler; never set. See {@link JobTypes}. */
	readonly types?: {
		readonly input: A;
		readonly results: R;
		readonly value: V;
		readonly signals: S;
		readonly tx: Tx;
	};

	/**
	 * Made by {@link job}.
	 *
	 * @param name what it is called
	 * @param options its version and the schema of its input
	 * @param steps its steps
	 */
	constructor(name: string, options: JobOptions<I, A> = {}, steps: readonly JobStep[] = []) {
		const { version, schema } = check("options", options, "object");
		this.name = checkName("name", name);
		if (version !== undefined && typeof version !== "string") check("version", version, "number");
		checkSchema(schema);
		this.version = version;
		this.schema = schema;
		this.steps = steps;
	}

	/**
	 * Adds a step.
	 *
	 * @param name what it is called, once in a job: its result is found under it, in `results` and in the store
	 * @param options what it does, how it is undone, and how often each is tried
	 * @throws {TypeError | RangeError} for a name that another step has, and for options of the wrong type or out of range
	 */
	step<N extends string, T>(
		name: N,
		options: JobStepOptions<I, R, N, T, Tx>,
	): Job<I, R & { readonly [K in N]: Awaited<T> }, Awaited<T>, S, Tx, A> {
		const { run, revert, revertAttempts = Infinity, schema } = check("options", options, "object");
		check("run", run, "function");
		if (revert !== undefined) check("revert", revert, "function");
		checkSchema(schema);
		checkRunnerOptions(options);
		checkRunnerOptions({ attempts: revertAttempts });
		return this.#with({ name, type: "step", options: options as JobStep["options"], duration: 0 });
	}

	/**
	 * Adds a step that lets time pass, over restarts. Meanwhile the job takes up no worker.
	 *
	 * @param name what the step is called, once in a job
	 * @param duration in milliseconds, 0 or more, finite
	 * @throws {TypeError | RangeError} for a name that another step has, and for a duration that is not allowed
	 */
	sleep<N extends string>(
		name: N,
		duration: number,
	): Job<I, R & { readonly [K in N]: undefined }, undefined, S, Tx, A> {
		check("duration", duration, "number", Number.isFinite(duration) && duration >= 0, "0 or more, and finite");
		return this.#with({ name, type: "sleep", options: {}, duration: checkDelay("duration", duration) });
	}

	/**
	 * Adds a step that waits for {@link Processor.signal}, over restarts. Meanwhile the job takes up no worker. Its result is the
	 * value of the first signal of this name, which may have come before the job has got here.
	 *
	 * @param name what the step and its signal are called, once in a job
	 * @param options how long to wait, and what for
	 * @throws {TypeError | RangeError} for a name that another step has, and for options of the wrong type or out of range
	 */
	waitFor<N extends string, T = unknown, B = T>(
		name: N,
		options: WaitForOptions<T, B> = {},
	): Job<I, R & { readonly [K in N]: T }, T, S & { readonly [K in N]: B }, Tx, A> {
		const { timeout = Infinity, schema } = check("options", options, "object");
		checkLimit("timeout", timeout);
		checkSchema(schema);
		return this.#with({ name, type: "waitFor", options: { schema }, duration: timeout });
	}

	#with<R2, V2, S2>(step: JobStep): Job<I, R2, V2, S2, Tx, A> {
		const isUsable = checkName("name", step.name) !== "__proto__";
		if (!isUsable || this.steps.some(({ name }) => name === step.name)) {
			throw new TypeError(`The job ${JSON.stringify(this.name)} cannot have another step ${JSON.stringify(step.name)}`);
		}
		return new Job<I, R2, V2, S2, Tx, A>(this.name, this as unknown as JobOptions<I, A>, [...this.steps, step]);
	}
}

/**
 * The definition of any job, whatever it takes and gives.
 *
 * @typeParam Tx the transactions of the store: the jobs of a processor use these, or none
 */
// deno-lint-ignore no-explicit-any -- whatever it takes and gives
export type AnyJob<Tx = any> = Job<any, any, any, any, Tx, any>;

/** The types of a job: the `input` that `add` takes, the `results` of its steps, its `value`, its `signals` and its `tx`. */
export type JobTypes<J extends AnyJob> = NonNullable<J["types"]>;

/**
 * Begins the definition of a job.
 *
 * @typeParam I the input; with a schema it need not be given
 * @typeParam Tx the transactions of its store, for steps that call `commit`: `job<Order, DatabaseSync>("order")`
 * @typeParam A what `add` takes, where a schema makes the input of it
 * @param name what it is called: the jobs of a store are told apart by it. 1 to 255 characters
 * @param options its version, and the schema of its input
 * @returns a job without steps
 * @throws {TypeError | RangeError} for a name or options of the wrong type, or out of range
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { job, memoryStore, Processor } from "upkeep";
 *
 * const undone: string[] = [];
 * const deleteUser = job<{ userId: string }>("delete-user")
 * 	.step("auth", {
 * 		run: ({ input }) => `login of ${input.userId}`,
 * 		revert: ({ result }) => void undone.push(result),
 * 	})
 * 	.step("orders", {
 * 		run: () => {
 * 			throw new Error("the orders service is away");
 * 		},
 * 	});
 * const processor = new Processor({ store: memoryStore(), jobs: [deleteUser] });
 * const { id } = await processor.add(deleteUser, { userId: "u1" });
 * await processor.drain();
 * const outcome = await processor.wait(id);
 * assert.equal(outcome.status, "reverted");
 * assert.equal(outcome.error?.message, "the orders service is away");
 * assert.deepEqual(undone, ["login of u1"]);
 * ```
 */
export function job<I = undefined, Tx = never, A = I>(
	name: string,
	options?: JobOptions<I, A>,
	// deno-lint-ignore ban-types -- no results yet, and no signals
): Job<I, {}, undefined, {}, Tx, A> {
	return new Job(name, options);
}

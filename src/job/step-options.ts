/**
 * The options of steps and of branches, and their types.
 *
 * @module
 */

import type { RevertContext, StepContext } from "./context.ts";
import type { StandardSchema } from "../platform/standard-schema.ts";
import type { RunnerOptions } from "../run/options.ts";

/**
 * Options for a step of a job. The {@link RunnerOptions} apply to the step and its revert, except `attempts` and
 * `deadline`, which apply to `run` only.
 */
export interface JobStepOptions<I, R, N extends string, T, Tx = never> extends Omit<RunnerOptions, "clock" | "unref"> {
	/**
	 * Does the work of the step. Its result is stored before the next step begins. If the process dies before that, it
	 * is called again with the same `idempotencyKey`. The codec must support the result: after a restart, later steps
	 * get the decoded result.
	 */
	run: (context: StepContext<I, R, Tx>) => T | PromiseLike<T>;
	/** Undoes the step if a later step fails or the job is canceled. Without it, the step needs no revert. */
	revert?: ((context: RevertContext<I, R & { readonly [K in N]: T }, T, Tx>) => unknown) | undefined;
	/**
	 * The maximum number of attempts of `run`, after which the job is reverted. A crash of the process does not count.
	 * @default 1
	 */
	attempts?: number | undefined;
	/** The maximum number of attempts of `revert`, after which the job has failed. @default Infinity */
	revertAttempts?: number | undefined;
	/** Any Standard Schema validator for the result. It validates the returned result, and the stored one when it is read. */
	schema?: StandardSchema<T, unknown> | undefined;
}

/** Options for a branch of {@link Job.all}. */
export type JobBranchOptions<I, R, T, Tx = never> =
	& Omit<JobStepOptions<I, R, string, T, Tx>, "revert">
	& {
		/** Undoes the branch if it is done, and another branch or a later step fails or the job is canceled. */
		revert?: ((context: RevertContext<I, R, T, Tx>) => unknown) | undefined;
	};

/** The branches of {@link Job.all}, of which only the results are known. */
export interface JobBranches<I, R, Tx> {
	/** A branch. */
	readonly [name: string]: { readonly run: (context: StepContext<I, R, Tx>) => unknown };
}

/** The results of the branches of {@link Job.all}, by name. */
export type JobBranchResults<B> = {
	readonly [K in keyof B]: B[K] extends { readonly schema: StandardSchema<infer T, infer _> } ? T
		: B[K] extends { readonly run: (context: never) => infer T } ? Awaited<T>
		: never;
};

/** Refuses what is no option of a branch, and a schema that does not fit the result. */
export type JobBranchCheck<B> = {
	readonly [K in keyof B]:
		& { readonly [P in Exclude<keyof B[K], keyof JobBranchOptions<never, never, never>>]: never }
		& (B[K] extends { readonly run: (context: never) => JobBranchResults<B>[K] | PromiseLike<JobBranchResults<B>[K]> }
			? unknown
			: { readonly schema: never });
};

/** The argument of `items` of {@link Job.each} and of `input` of {@link Job.job}. */
export interface ChildrenContext<I = unknown, R = unknown> extends Pick<StepContext<I, R>, "id" | "input" | "results"> {
	/** Aborts when the processor's run is aborted, and with a `ClaimLostError` if another processor has taken over the job. */
	readonly signal: AbortSignal;
}

/** The last argument of {@link Job.job}: it may be left out where the input `A` of the other job may be `undefined`. */
export type ChildArguments<I, R, A> = undefined extends A
	? [input?: (context: ChildrenContext<I, R>) => A | PromiseLike<A>]
	: [input: (context: ChildrenContext<I, R>) => A | PromiseLike<A>];

/**
 * The argument of `run` for an item of {@link Job.each}. It is that of a step, with the item in place of the input and the
 * results.
 */
export interface ItemContext<E, Tx = never>
	extends Omit<StepContext<unknown, unknown, Tx>, "id" | "input" | "results"> {
	/** The id of the child, which {@link Processor.get} takes. It is not that of the job. */
	readonly id: string;
	/** The item, as it was stored. */
	readonly item: E;
	/** Its place in the list, from 0. */
	readonly index: number;
}

/** The argument of `revert` for an item of {@link Job.each}. */
export interface ItemRevertContext<E, T, Tx = never>
	extends ItemContext<E, Tx>, Pick<RevertContext<unknown, unknown, T>, "result" | "error"> {}

/** The results of items in their order. If some may fail, these are `undefined`. */
export type ItemResults<T, L extends number> = readonly ([L] extends [0] ? T : T | undefined)[];

/**
 * Options for {@link Job.each}. Attempts, timeouts and the schema are those of each item, and `deadline` counts from the
 * first attempt of an item.
 */
export interface JobEachOptions<I, R, E, T, V, Tx = never>
	extends Omit<JobStepOptions<I, R, string, T, Tx>, "run" | "revert"> {
	/**
	 * Makes the list, before any item is stored. After a crash it may be called again, and must then return as many items, the
	 * same ones in the same order; make what changes in a step before. If it throws, the job is reverted. With no items,
	 * the result is `[]`, or `undefined` with `into`.
	 */
	items: (context: ChildrenContext<I, R>) => Iterable<E> | PromiseLike<Iterable<E>>;
	/** Does the work for one item. See `run` of {@link JobStepOptions}. */
	run: (context: ItemContext<E, Tx>) => T | PromiseLike<T>;
	/**
	 * Undoes the work for one item that is completed, if too many others or a later step fail or the job is canceled. Any
	 * process reverts items: the last one begins first, and none waits for another. Without it, items need no revert.
	 */
	revert?: ((context: ItemRevertContext<E, T, Tx>) => unknown) | undefined;
	/**
	 * The maximum number of items of this job that run at once, in all processes together: a whole number from 1.
	 * @default Infinity
	 */
	atOnce?: number | undefined;
	/**
	 * The number of items that may fail: a whole number from 0, or Infinity. The result of a failed item is `undefined`, `into`
	 * is not called for it, and its error is in the `history` of the job. @default 0
	 */
	tolerate?: number | undefined;
	/**
	 * Makes the result of the step from those of the items, so that these need not fit into one payload together. It is called
	 * once for each completed item in the order of the items, with what it has returned before, at first `undefined`.
	 * After a crash it begins anew. If it throws, the job is reverted. The compiler needs the type of the first parameter:
	 * `(sum: number = 0, result) => sum + result`. @default a list of the results
	 */
	into?: ((sum: V | undefined, result: T, index: number) => V | PromiseLike<V>) | undefined;
}

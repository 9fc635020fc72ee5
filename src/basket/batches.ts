/**
 * Batches, as the engine sees them. Their code comes along with `batch()`, so a basket without batches has none.
 *
 * The tasks of a *call* each have a claim and an end of their own, but share one slot of `concurrency` and one call of
 * the user's function. A call *gathers* tasks before it begins: such a task is running, and needs no slot.
 *
 * @module
 */

import type { BasketContext } from "./context.ts";
import type { Watched } from "./observing.ts";
import type { Claim, ClaimRequest, LaneRun } from "./store.ts";
import type { RunnerSettings } from "../run/options.ts";

/** Runs a task in a call that it shares with others. */
export type SharedRun = (payload: unknown, context: BasketContext<unknown, unknown>) => unknown;

/** A claimed task that may belong to a call. */
export interface BatchMember {
	readonly id: string;
	readonly kind: string;
	readonly claim: Pick<Claim, "lane">;
	/** Whether it must run alone. */
	readonly isSuspect: boolean;
	/** See `ClaimState`. */
	readonly isOver: boolean;
	readonly isExpired: boolean;
	readonly isCompleting: boolean;
	readonly isCompleted: boolean;
	/** Set if a failure is that of a task before it in its lane: then it is given back. */
	isReturned: boolean;
	/** Set by {@link Batches.join}: is called instead of the kind's own function. */
	sharedRun?: SharedRun | undefined;
	/** Ends the claims of this process whose leases may have expired. */
	checkLeases(): void;
	/** Its attempt, once an observer is told of it. */
	readonly watched?: Watched | undefined;
	/** Calls a function of the user. */
	calling<T>(call: () => T): T;
}

/** A kind, as batches see it. */
export interface BatchKind {
	readonly batch: Batching | undefined;
	readonly settings: RunnerSettings;
}

/** The hidden part of what `batch()` returns. */
export interface Batching {
	readonly most: number;
	readonly wait: number;
	readonly by: "kind" | "lane";
	/** The user's function. */
	// deno-lint-ignore no-explicit-any -- of any payload
	readonly run: (tasks: readonly any[], context: any) => unknown;
	/** Creates the batches of a basket. Called for one of its kinds. */
	begin(kinds: ReadonlyMap<string, BatchKind>): Batches;
}

/** The calls of a basket that gather or run. */
export interface Batches {
	/** The number of running tasks that need no slot, because another task of their call has it. */
	readonly joined: number;
	/** The number of tasks to claim for each free slot. */
	readonly width: number;
	/** The kinds whose tasks are claimed in runs. */
	readonly runs: readonly LaneRun[];
	/** A task begins: it joins a call, if its kind has batches. */
	join(task: BatchMember): void;
	/** A task has ended or was abandoned. */
	leave(task: BatchMember): void;
	/** Requests for what the gathering calls have room for. */
	requests(): ClaimRequest[];
	/** The answer to the last requests. */
	answered(claims: readonly Claim[]): void;
	/** The followers among these claims that cannot begin, because not all tasks before them begin now. */
	behind(claims: readonly Claim[], ready: ReadonlySet<string>): ReadonlySet<string>;
	/** There may be tasks to claim that were not there before. */
	wake(): void;
	/** Removes and returns the next task that needs no slot. The last element is the next task. */
	next<T extends BatchMember>(ahead: T[]): T | undefined;
	/** Removes and returns the tasks of batches: they were claimed for a call that has begun meanwhile. */
	strays<T extends BatchMember>(ahead: T[]): T[];
	/** Calls that wait for one turn only begin: all of them, or only those for which the last requests do not ask. */
	settle(isAsking: boolean): void;
	/** All calls begin that still gather. */
	flush(): void;
}

/** Creates the batches of a basket, if one of its kinds has any. */
export function batchesOf(kinds: ReadonlyMap<string, BatchKind>): Batches | undefined {
	for (const { batch } of kinds.values()) if (batch !== undefined) return batch.begin(kinds);
}

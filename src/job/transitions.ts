/**
 * How a job goes from one checkpoint to the next. Nothing here knows of time, of a store or of a process.
 *
 * @module
 */

import type { TaskFailure } from "../basket/engine.ts";
import type { JobCheckpoint, PreparedJob, StoredAttempt } from "./state.ts";

/** What a checkpoint takes along from the claim that has led to it. */
export type Changes = Pick<JobCheckpoint, "crashed"> & Partial<Pick<JobCheckpoint, "history" | "signals">>;

/** How many attempts are remembered. */
const longestHistory = 50;

/** Forgets the oldest ones. */
export function remember(history: readonly StoredAttempt[], attempt: StoredAttempt): readonly StoredAttempt[] {
	return [...history, attempt].slice(-longestHistory);
}

/** The current step was run, or reverted. Throws for what is no result. */
export function succeed(job: PreparedJob, state: JobCheckpoint, value: unknown, changes: Changes): JobCheckpoint {
	const { plan, at, isBackward, results } = state;
	if (isBackward) return begin(job, { ...state, ...changes, at: at - 1 });
	if (typeof value === "function" || typeof value === "symbol") {
		throw new TypeError(`A result of type ${typeof value} cannot be stored`);
	}
	return begin(job, { ...state, ...changes, at: at + 1, results: { ...results, [plan[at]!]: value } });
}

/** The current step is out of attempts: forward, from here on the job goes backward; backward, it is over. */
export function fail(job: PreparedJob, state: JobCheckpoint, error: TaskFailure, changes: Changes): JobCheckpoint {
	const { plan, at, isBackward } = state;
	if (!isBackward) return begin(job, { ...state, ...changes, error, isBackward: true });
	const unreverted = plan.slice(0, at).filter((name) => hasRevert(job, name)).reverse();
	return begin(job, { ...state, ...changes, revertError: error, status: "failed", unreverted });
}

/** At the beginning of a step, or at the end. */
function begin(job: PreparedJob, { at, status, ...state }: JobCheckpoint): JobCheckpoint {
	const { plan, isBackward } = state;
	const isRevertible = (name: string) => hasRevert(job, name);
	if (isBackward) {
		while (at > 0 && !isRevertible(plan[at - 1]!)) at--;
		if (at === 0) status = plan.some(isRevertible) ? "reverted" : "failed";
	} else if (at === plan.length) status = "completed";
	const fresh = { attempts: 0, until: undefined, isFirm: undefined, since: undefined };
	return { ...state, ...fresh, lastDelay: undefined, previous: undefined, at, status };
}

/** A step that the definition lacks may have had one. */
function hasRevert({ steps }: PreparedJob, name: string): boolean {
	const step = steps.get(name);
	return step === undefined || step.definition.options.revert !== undefined;
}

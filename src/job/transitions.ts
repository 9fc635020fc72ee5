/**
 * The transitions from one checkpoint to the next. They do not depend on time, a store or a process.
 *
 * @module
 */

import type { TaskFailure } from "../basket/engine.ts";
import type { JobCheckpoint, PreparedJob, StoredAttempt } from "./state.ts";

/** The changes of a checkpoint that come from its claim. */
export type Changes = Pick<JobCheckpoint, "crashed"> & Partial<Pick<JobCheckpoint, "history" | "signals">>;

/** The maximum number of attempts in the history. */
const longestHistory = 50;

/** Adds an attempt to the history, and drops the oldest ones. */
export function remember(history: readonly StoredAttempt[], attempt: StoredAttempt): readonly StoredAttempt[] {
	return [...history, attempt].slice(-longestHistory);
}

/** The current step has succeeded or was reverted. Throws if the value is not a valid result. */
export function succeed(job: PreparedJob, state: JobCheckpoint, value: unknown, changes: Changes): JobCheckpoint {
	const { plan, at, isBackward, results } = state;
	if (isBackward) return begin(job, { ...state, ...changes, at: at - 1 });
	if (typeof value === "function" || typeof value === "symbol") {
		throw new TypeError(`A result of type ${typeof value} cannot be stored`);
	}
	return begin(job, { ...state, ...changes, at: at + 1, results: { ...results, [plan[at]!]: value } });
}

/** The current step is out of attempts: forward, the job turns backward; backward, the job ends. */
export function fail(job: PreparedJob, state: JobCheckpoint, error: TaskFailure, changes: Changes): JobCheckpoint {
	const { plan, at, isBackward } = state;
	if (!isBackward) return begin(job, { ...state, ...changes, error, isBackward: true });
	const unreverted = plan.slice(0, at).filter((name) => hasRevert(job, name)).reverse();
	return begin(job, { ...state, ...changes, revertError: error, status: "failed", unreverted });
}

/** The state at the beginning of a step, or at the end of the job. */
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

/** Whether a step has a revert. True for a step that the definition lacks, because it may have had one. */
function hasRevert({ steps }: PreparedJob, name: string): boolean {
	const step = steps.get(name);
	return step === undefined || step.definition.options.revert !== undefined;
}

/**
 * The transitions from one checkpoint to the next. They do not depend on time, a store or a process.
 *
 * @module
 */

import type { AnyJob } from "./definition.ts";
import type { TaskFailure } from "../basket/engine.ts";
import { storable } from "./value.ts";
import { placeAfter, placeToTurn } from "./groups.ts";
import type { JobCheckpoint, JobEntry, JobHead, JobStatus, PreparedJob, StoredAttempt } from "./state.ts";

/** The changes that come from a claim. */
export type Changes = Pick<JobHead, "crashed" | "history">;

/** Nothing is known of the attempts of a step. */
export const noAttempts = {
	attempts: 0,
	until: undefined,
	isFirm: undefined,
	since: undefined,
	lastDelay: undefined,
	previous: undefined,
} as const;

/** The maximum number of attempts in the history. */
const longestHistory = 50;

/** Adds an attempt to the history, and drops the oldest ones. */
export function remember(history: readonly StoredAttempt[], attempt: StoredAttempt): readonly StoredAttempt[] {
	return [...history.length < longestHistory ? history : history.slice(1 - longestHistory), attempt];
}

/** The entry of the step at `at`, which has succeeded or was reverted. Throws if the value is not a valid result. */
export function entryOf(
	{ isBackward, uid, logged }: JobHead,
	at: number,
	value: unknown,
	attempt: StoredAttempt | undefined,
	crashes: number,
): JobEntry {
	const more = { attempt, crashed: crashes || undefined, uid: logged === 0 ? uid : undefined };
	if (isBackward) return { at, isRevert: true, ...more };
	checkResult(value);
	return { at, ...storable(value), ...more };
}

/** Refuses what no codec can store. */
export function checkResult(value: unknown): void {
	if (typeof value === "function" || typeof value === "symbol") {
		throw new TypeError(`A result of type ${typeof value} cannot be stored`);
	}
}

/**
 * The current step has succeeded or was reverted, as the next entry of the log says.
 *
 * @param job `undefined` if the definition is not known here: then each step may have a revert
 */
export function follow<S extends JobHead>(job: PreparedJob | undefined, state: S, entry: JobEntry): S {
	const { at, isRevert, attempt, crashed = 0 } = entry;
	const history = attempt === undefined ? state.history : remember(state.history, attempt);
	const next = { logged: state.logged + 1, crashed, history };
	if (isRevert) return begin(job, state, { ...next, at });
	const place = placeAfter(state, at);
	return begin(job, state, { ...next, ...place, branches: place.open && without(state.branches, at) });
}

function without(branches: JobHead["branches"] = {}, at: number): JobHead["branches"] {
	const { [at]: _, ...others } = branches;
	return others;
}

/** The current step is out of attempts: forward, the job turns backward; backward, the job ends. */
export function fail(job: PreparedJob, state: JobCheckpoint, error: TaskFailure, changes: Changes): JobCheckpoint {
	const { plan, at, isBackward } = state;
	if (!isBackward) {
		return begin(job, state, { ...changes, ...placeToTurn(state), branches: undefined, error, isBackward: true });
	}
	const { open = [] } = state;
	const unreverted = plan.slice(0, at).filter((name, at) => !open.includes(at) && hasRevert(job, name)).reverse();
	return begin(job, state, { ...changes, revertError: error, status: "failed", unreverted });
}

/** The state at the beginning of a step, or at the end of the job. Copied once: it has many members. */
function begin<S extends JobHead>(
	job: Pick<PreparedJob, "steps"> | undefined,
	state: S,
	changes: Partial<JobHead>,
): S {
	const next: S & { at: number; status?: JobStatus | undefined } = {
		...state,
		...changes,
		...noAttempts,
		spawned: undefined,
		isRetried: undefined,
	};
	const { plan, isBackward, open = [] } = next;
	const isRevertible = (name: string) => hasRevert(job, name);
	if (isBackward) {
		const isPassed = (at: number) => open.includes(at) || !isRevertible(plan[at]!) && !hasChildren(job, plan[at]!);
		while (next.at > 0 && isPassed(next.at - 1)) next.at--;
		if (next.at === 0) next.status = plan.some(isRevertible) ? "reverted" : "failed";
	} else if (next.at === plan.length) next.status = "completed";
	return next;
}

/** Backward, the step at `at` has nothing to be reverted. */
export function pass<S extends JobHead>(job: PreparedJob, state: S, at: number): S {
	return begin(job, state, { at });
}

/** The state of a completed job, whose parent goes backward. */
export function turn(job: Pick<PreparedJob, "steps">, head: JobHead, error: TaskFailure): JobHead {
	const back = { crashed: 0, status: undefined, isBackward: true, error };
	return head.pending === undefined ? begin(job, head, { ...back, at: head.plan.length }) : { ...head, ...back };
}

/** Whether a job has anything to revert. What a durable function registers is not known. */
export function mayRevert({ engine, steps }: AnyJob): boolean {
	return engine !== undefined || steps.some(({ options: { revert, job } }) => revert || job && mayRevert(job));
}

/** Whether crashes may end the current step. Not while a job takes its children back, because they would outlive it. */
export function mayGiveUp(job: Pick<PreparedJob, "steps">, { plan, at, isBackward, status }: JobHead): boolean {
	return status === undefined && !(isBackward && hasChildren(job, plan[at - 1]!));
}

/** Whether children make a step. Those that have not ended are cancelled backward, whether they have a revert or not. */
function hasChildren(job: Pick<PreparedJob, "steps"> | undefined, name: string): boolean {
	const type = job?.steps.get(name)?.definition.type;
	return type === "each" || type === "job";
}

/** Whether a step has a revert. True for a step that the definition lacks, because it may have had one. */
function hasRevert(job: Pick<PreparedJob, "steps"> | undefined, name: string): boolean {
	const step = job?.steps.get(name);
	if (step === undefined) return true;
	const { options: { revert, job: child } } = step.definition;
	return revert !== undefined || child !== undefined && mayRevert(child);
}

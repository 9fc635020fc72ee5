/**
 * The steps of a stored job, as people see them. Definitions are not needed.
 *
 * @module
 */

import type { TaskFailure } from "../basket/engine.ts";
import { branchOf } from "./branch-name.ts";
import type { JobStep } from "./definition.ts";
import { groupAt, openBranches } from "./groups.ts";
import { type JobCheckpoint, type JobResults, type PreparedJob, showHistory, type Waiting } from "./state.ts";

/** How many children of a step have each status: that of their job if they have ended, otherwise their state. */
export type ChildCounts = Readonly<Record<string, number>>;

/** The state of a step of a stored job. */
export type JobStepState = "done" | "current" | "pending" | "failed" | "reverting" | "reverted";

/** A step of a stored job. */
export interface JobStepRecord {
	/** Its name; that of a branch is the JSON of a list with its group and its own name. */
	readonly name: string;
	/** What it does; absent if this process does not know the definition. */
	readonly type?: JobStep["type"] | undefined;
	/**
	 * Its state. `"current"`: it runs or waits; `"reverting"`: its revert does. A step without a revert stays `"done"` when the
	 * job goes backward.
	 */
	readonly state: JobStepState;
	/** Its result, if it is done. */
	readonly result?: unknown;
	/** The number of failed attempts, while it is current or reverted. */
	readonly attempts?: number | undefined;
	/** The error of the last of these attempts. */
	readonly error?: TaskFailure | undefined;
	/** Until when it waits for an attempt, its time or a signal, in milliseconds since 1970 on the store's clock. */
	readonly until?: number | undefined;
}

/**
 * The steps of a job in order.
 *
 * @param addedAt when the job was added
 * @param job its definition, if that is known
 * @param children the children by the places of their steps, if they are known
 */
export function stepsOf(
	checkpoint: JobCheckpoint,
	addedAt: number,
	job: Pick<PreparedJob, "steps"> | undefined,
	children?: ReadonlyMap<number, ChildCounts>,
): JobStepRecord[] {
	const { plan } = checkpoint;
	const known = stepResults(checkpoint);
	return plan.map((name, index) => {
		const state = stateOf(checkpoint, name, index, name in known, children?.get(index));
		const type = typeOf(checkpoint, job, name);
		const more = { ...type === undefined ? {} : { type }, ...name in known ? { result: known[name] } : {} };
		if (state !== "current" && state !== "reverting") return { name, state, ...more };
		const { attempts, previous: error, until } = waitingOf(checkpoint, name, index);
		return { name, state, ...more, attempts, error, until: until === undefined ? until : addedAt + until };
	});
}

/** What a step does. A durable function says so itself. */
function typeOf(
	{ pending, records = [] }: JobCheckpoint,
	job: Pick<PreparedJob, "steps"> | undefined,
	name: string,
): JobStep["type"] | undefined {
	if (pending === undefined) return job?.steps.get(name)?.definition.type;
	return Object.hasOwn(pending, name) ? pending[name]!.type : records.find((record) => record.name === name)?.type;
}

/** What is known of the attempts of a current step. */
function waitingOf(checkpoint: JobCheckpoint, name: string, index: number): Waiting {
	const { branches = {}, pending, isBackward } = checkpoint;
	if (isBackward) return checkpoint;
	const others = openBranches(checkpoint).length > 0 || pending !== undefined ? { attempts: 0 } : checkpoint;
	return (pending !== undefined && Object.hasOwn(pending, name) ? pending[name] : branches[index]) ?? others;
}

/** The results by the names of steps; those of branches are in their groups. */
function stepResults({ plan, results, pending }: JobCheckpoint): JobResults {
	const known = Object.create(null);
	for (const name of plan) {
		const [group, branch = name] = (pending === undefined ? branchOf(name) : undefined) ?? [];
		const all = group === undefined ? results : results[group] as JobResults | undefined ?? {};
		if (Object.hasOwn(all, branch)) known[name] = all[branch];
	}
	return known;
}

function stateOf(
	checkpoint: JobCheckpoint,
	name: string,
	index: number,
	hasResult: boolean,
	children: ChildCounts | undefined,
): JobStepState {
	if (checkpoint.pending !== undefined) return flowStateOf(checkpoint, name, index);
	const { at, isBackward, status, open = [] } = checkpoint;
	const branches = openBranches(checkpoint);
	if (!isBackward) {
		if (branches.includes(index)) return "current";
		if (index < at || open.length > 0 && groupAt(checkpoint.plan, at).includes(index)) return "done";
		return index === at && status === undefined ? "current" : "pending";
	}
	// Its attempts are those of its children.
	if (children !== undefined && index >= at) return !hasResult ? "failed" : children["reverted"] ? "reverted" : "done";
	const attempts = showHistory(checkpoint).filter(({ step }) => step === name);
	if (attempts.some(({ isRevert, error }) => isRevert && error === undefined)) return "reverted";
	if (index === at - 1) return status === "failed" ? "failed" : status === undefined ? "reverting" : "done";
	if (hasResult || index < at && !open.includes(index)) return "done";
	return attempts.length > 0 ? "failed" : "pending";
}

/** The same of a durable function, several of whose steps may be current at once. */
function flowStateOf(
	{ at, isBackward, status, records = [] }: JobCheckpoint,
	name: string,
	index: number,
): JobStepState {
	const known = records.filter((record) => record.name === name);
	if (known.length === 0) return "current";
	if (known.length > 1) return "reverted";
	if (known[0]!.error !== undefined) return "failed";
	if (!isBackward || index !== at - 1) return "done";
	return status === "failed" ? "failed" : "reverting";
}

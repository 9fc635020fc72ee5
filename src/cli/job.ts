/**
 * Shows a job, which is read from its checkpoint.
 *
 * @module
 */

import type { StoredTask } from "../basket/store.ts";
import { branchOf } from "../job/branch-name.ts";
import { groupAt, openBranches } from "../job/groups.ts";
import { type JobAttempt, type JobCheckpoint, type JobHead, type JobResults, showHistory } from "../job/state.ts";
import { duration, instant, type Paint, type Style } from "./text.ts";
import { describeFailure, inline, toRecord } from "./task.ts";
import { clean } from "./text.ts";

/** Whether removing a job would leave effects that are never reverted. */
export function isHalfDone({ state }: StoredTask, checkpoint: JobHead | undefined): boolean {
	if (checkpoint === undefined || checkpoint.status !== undefined) return false;
	const { at, isBackward, logged, history } = checkpoint;
	return state === "running" || at > 0 || isBackward || history.length > 0 || logged > 0;
}

/** The state of a step. */
type StepState = "done" | "current" | "pending" | "failed" | "reverting" | "reverted";

/** A step of a job. */
interface StepView {
	/** Its name. */
	readonly name: string;
	/** Its state. A step without a revert stays `done` when the job goes backward. */
	readonly state: StepState;
	/** Its result, if it is done. */
	readonly result?: unknown;
}

/** The steps of a job in order. */
function stepsOf(checkpoint: JobCheckpoint): StepView[] {
	const { plan } = checkpoint;
	const known = stepResults(checkpoint);
	return plan.map((name, index) => ({
		name,
		state: stateOf(checkpoint, name, index, name in known),
		...(name in known ? { result: known[name] } : {}),
	}));
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

function stateOf(checkpoint: JobCheckpoint, name: string, index: number, hasResult: boolean): StepState {
	if (checkpoint.pending !== undefined) return flowStateOf(checkpoint, name, index);
	const { at, isBackward, status, open = [] } = checkpoint;
	const branches = openBranches(checkpoint);
	if (!isBackward) {
		if (branches.includes(index)) return "current";
		if (index < at || open.length > 0 && groupAt(checkpoint.plan, at).includes(index)) return "done";
		return index === at && status === undefined ? "current" : "pending";
	}
	const attempts = showHistory(checkpoint).filter(({ step }) => step === name);
	if (attempts.some(({ isRevert, error }) => isRevert && error === undefined)) return "reverted";
	if (index === at - 1) return status === "failed" ? "failed" : status === undefined ? "reverting" : "done";
	if (hasResult || index < at && !open.includes(index)) return "done";
	return attempts.length > 0 ? "failed" : "pending";
}

/** The same of a durable function, several of whose steps may be current at once. */
function flowStateOf({ at, isBackward, status, records = [] }: JobCheckpoint, name: string, index: number): StepState {
	const known = records.filter((record) => record.name === name);
	if (known.length === 0) return "current";
	if (known.length > 1) return "reverted";
	if (known[0]!.error !== undefined) return "failed";
	if (!isBackward || index !== at - 1) return "done";
	return status === "failed" ? "failed" : "reverting";
}

/** A task as an object for JSON. The checkpoint of a job has a private format, so programs get the job instead. */
export function describeTask(task: StoredTask, checkpoint: JobCheckpoint | undefined): Record<string, unknown> {
	const { payload, ...known } = toRecord(task);
	return { ...known, ...(checkpoint === undefined ? { payload } : { job: toJobRecord(task, checkpoint) }) };
}

/** The job as a JSON object, with the names of `JobRecord`. */
function toJobRecord({ state }: StoredTask, checkpoint: JobCheckpoint): Record<string, unknown> {
	const { version, status, isBackward, plan, at, attempts, previous, input, results, signals } = checkpoint;
	return {
		version,
		status: status ?? state,
		direction: isBackward ? "backward" : "forward",
		step: status === undefined ? plan[isBackward ? at - 1 : at] : undefined,
		attempts,
		previousError: previous,
		input,
		steps: stepsOf(checkpoint),
		results,
		signals,
		error: checkpoint.error,
		revertError: checkpoint.revertError,
		unreverted: checkpoint.unreverted,
		history: showHistory(checkpoint),
	};
}

const marks: Readonly<Record<StepState, readonly [mark: string, style: Style | undefined]>> = {
	done: ["✓", "green"],
	current: ["▶", "cyan"],
	pending: ["·", "dim"],
	failed: ["✗", "red"],
	reverting: ["◀", "yellow"],
	reverted: ["↩", "yellow"],
};

/** The steps and the attempts of a job as lines. */
export function jobLines(checkpoint: JobCheckpoint, paint: Paint): string[] {
	const { attempts, previous, error, revertError, unreverted = [], signals, pending = {}, branches = {} } = checkpoint;
	const history = showHistory(checkpoint);
	const failures = { "reverted because of": error, "revert failed": revertError, "last failure": previous };
	const known = Object.entries(failures).filter(([, failure]) => failure !== undefined);
	return [
		paint("bold", "Steps"),
		...stepsOf(checkpoint).map((step, index) => {
			const known = pending[step.name] ?? branches[index] ?? { attempts };
			return stepLine(step, known.attempts, paint);
		}),
		...known.map(([title, failure]) => `  ${title}: ${paint("red", describeFailure(failure!))}`),
		...(unreverted.length > 0 ? [`  not reverted: ${unreverted.map(clean).join(", ")}`] : []),
		...Object.entries(signals).map(([name, { value }]) => `  signal ${clean(name)} has come: ${inline(value)}`),
		...(history.length > 0
			? ["", paint("bold", "History"), ...history.map((attempt) => attemptLine(attempt, paint))]
			: []),
	];
}

function stepLine({ name, state, result }: StepView, attempts: number, paint: Paint): string {
	const [mark, style] = marks[state];
	const isTried = state === "current" || state === "reverting";
	const detail = isTried && attempts > 0
		? `  attempts that failed: ${attempts}`
		: result === undefined
		? ""
		: ` → ${inline(result)}`;
	return `  ${paint(style, mark)} ${clean(name)}${state === "pending" ? "" : paint("dim", ` (${state})`)}${detail}`;
}

function attemptLine({ step, isRevert, attempt, startedAt, duration: time, error }: JobAttempt, paint: Paint): string {
	const what = `${isRevert ? "revert of " : ""}${clean(step)}, attempt ${attempt}`;
	const outcome = error === undefined ? paint("green", "done") : paint("red", `failed: ${clean(error)}`);
	return `  ${instant(startedAt)}  ${what}, ${duration(time)}: ${outcome}`;
}

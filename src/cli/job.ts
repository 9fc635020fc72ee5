/**
 * Shows a job, which is read from its checkpoint.
 *
 * @module
 */

import type { StoredTask } from "../basket/store.ts";
import { branchOf } from "../job/branch-name.ts";
import { groupAt, openBranches } from "../job/groups.ts";
import { partsOf } from "../job/version.ts";
import { showChildren } from "../job/children-view.ts";
import { type JobAttempt, type JobCheckpoint, type JobHead, type JobResults, showHistory } from "../job/state.ts";
import { count, duration, instant, type Paint, type Style } from "./text.ts";
import { describeFailure, inline, toRecord } from "./task.ts";
import { clean } from "./text.ts";

/** Whether removing a job would leave effects that are never reverted. */
export function isHalfDone({ state }: StoredTask, checkpoint: JobHead | undefined): boolean {
	if (checkpoint === undefined || checkpoint.status !== undefined) return false;
	const { at, isBackward, logged, history, spawned } = checkpoint;
	return state === "running" || at > 0 || isBackward || history.length > 0 || logged > 0 || spawned !== undefined;
}

/** How many children of a step have each status: that of their job if they have ended, otherwise their state. */
export type ChildCounts = Readonly<Record<string, number>>;

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
	/** Its children by their status, if it has some. */
	readonly children?: ChildCounts | undefined;
}

/** The children by the places of their steps. */
type Children = ReadonlyMap<number, ChildCounts>;

/** The steps of a job in order. */
function stepsOf(checkpoint: JobCheckpoint, children: Children | undefined): StepView[] {
	const { plan } = checkpoint;
	const known = stepResults(checkpoint);
	return plan.map((name, index) => ({
		name,
		state: stateOf(checkpoint, name, index, name in known, children?.get(index)),
		...(name in known ? { result: known[name] } : {}),
		...(children?.has(index) ? { children: children.get(index) } : {}),
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

function stateOf(
	checkpoint: JobCheckpoint,
	name: string,
	index: number,
	hasResult: boolean,
	children: ChildCounts | undefined,
): StepState {
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
function flowStateOf({ at, isBackward, status, records = [] }: JobCheckpoint, name: string, index: number): StepState {
	const known = records.filter((record) => record.name === name);
	if (known.length === 0) return "current";
	if (known.length > 1) return "reverted";
	if (known[0]!.error !== undefined) return "failed";
	if (!isBackward || index !== at - 1) return "done";
	return status === "failed" ? "failed" : "reverting";
}

/** A task as an object for JSON. The checkpoint of a job has a private format, so programs get the job instead. */
export function describeTask(
	task: StoredTask,
	checkpoint: JobCheckpoint | undefined,
	children?: Children,
): Record<string, unknown> {
	const { payload, ...known } = toRecord(task);
	return { ...known, ...(checkpoint === undefined ? { payload } : { job: toJobRecord(task, checkpoint, children) }) };
}

/** The job as a JSON object, with the names of `JobRecord`. */
function toJobRecord(
	{ state, kind }: StoredTask,
	checkpoint: JobCheckpoint,
	counts: Children | undefined,
): Record<string, unknown> {
	const { version, status, isBackward, plan, at, attempts, previous, results, signals } = checkpoint;
	const { input, children } = showChildren(checkpoint, partsOf(kind).itemOf);
	return {
		version,
		status: status ?? state,
		direction: isBackward ? "backward" : "forward",
		step: status === undefined ? plan[isBackward ? at - 1 : at] : undefined,
		attempts,
		previousError: previous,
		children,
		input,
		steps: stepsOf(checkpoint, counts),
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
export function jobLines(checkpoint: JobCheckpoint, paint: Paint, children: Children): string[] {
	const { attempts, previous, error, revertError, unreverted = [], signals, pending = {}, branches = {} } = checkpoint;
	const history = showHistory(checkpoint);
	const failures = { "reverted because of": error, "revert failed": revertError, "last failure": previous };
	const known = Object.entries(failures).filter(([, failure]) => failure !== undefined);
	return [
		paint("bold", "Steps"),
		...stepsOf(checkpoint, children).map((step, index) => {
			const known = pending[step.name] ?? branches[index] ?? { attempts };
			return stepLine(step, known.attempts, checkpoint.spawned?.count, paint);
		}),
		...known.map(([title, failure]) => `  ${title}: ${paint("red", describeFailure(failure!))}`),
		...(unreverted.length > 0 ? [`  not reverted: ${unreverted.map(clean).join(", ")}`] : []),
		...Object.entries(signals).map(([name, { value }]) => `  signal ${clean(name)} has come: ${inline(value)}`),
		...(history.length > 0
			? ["", paint("bold", "History"), ...history.map((attempt) => attemptLine(attempt, paint))]
			: []),
	];
}

function stepLine(
	{ name, state, result, children }: StepView,
	attempts: number,
	most: number | undefined,
	paint: Paint,
): string {
	const [mark, style] = marks[state];
	const isTried = state === "current" || state === "reverting";
	const detail = isTried && attempts > 0
		? `  attempts that failed: ${attempts}`
		: result === undefined
		? ""
		: ` → ${inline(result)}`;
	const kin = children && `  ${childrenText(children, state === "current" ? most : undefined)}`;
	const how = state === "pending" ? "" : paint("dim", ` (${state})`);
	return `  ${paint(style, mark)} ${clean(name)}${how}${kin ?? ""}${detail}`;
}

/** For example `500 of 1,200 children: 20 completed, 480 waiting`. */
function childrenText(counts: ChildCounts, most = 0): string {
	const number = Object.values(counts).reduce((sum, number) => sum + number, 0);
	const part = number < most ? `${number.toLocaleString("en-US")} of ` : "";
	const each = Object.entries(counts).map(([status, number]) => `${number.toLocaleString("en-US")} ${status}`);
	return `${part}${count(Math.max(number, most), "child")}: ${each.join(", ")}`;
}

function attemptLine(
	{ step, isRevert, attempt, startedAt, duration: time, error, item }: JobAttempt,
	paint: Paint,
): string {
	const place = item === undefined ? "" : `, item ${item}`;
	const what = `${isRevert ? "revert of " : ""}${clean(step)}${place}, attempt ${attempt}`;
	const outcome = error === undefined ? paint("green", "done") : paint("red", `failed: ${clean(error)}`);
	return `  ${instant(startedAt)}  ${what}, ${duration(time)}: ${outcome}`;
}

/**
 * Shows a job, which is read from its checkpoint.
 *
 * @module
 */

import type { StoredTask } from "../basket/store.ts";
import { partsOf } from "../job/version.ts";
import { showChildren } from "../job/children-view.ts";
import { type JobAttempt, type JobCheckpoint, type JobHead, showHistory } from "../job/state.ts";
import { type ChildCounts, type JobStepRecord, type JobStepState, stepsOf } from "../job/step-records.ts";
import { count, duration, instant, type Paint, type Style } from "./text.ts";
import { describeFailure, inline, toRecord } from "./task.ts";
import { clean } from "./text.ts";

/** Whether removing a job would leave effects that are never reverted. */
export function isHalfDone({ state }: StoredTask, checkpoint: JobHead | undefined): boolean {
	if (checkpoint === undefined || checkpoint.status !== undefined) return false;
	const { at, isBackward, logged, history, spawned } = checkpoint;
	return state === "running" || at > 0 || isBackward || history.length > 0 || logged > 0 || spawned !== undefined;
}

/** The children by the places of their steps. */
type Children = ReadonlyMap<number, ChildCounts>;

/** A step of a job, with its children by their status, if it has some. */
type StepView = Pick<JobStepRecord, "name" | "state" | "result"> & { readonly children?: ChildCounts | undefined };

function viewSteps(checkpoint: JobCheckpoint, children: Children | undefined): StepView[] {
	return stepsOf(checkpoint, 0, undefined, children).map(({ name, state, ...step }, index) => ({
		name,
		state,
		...("result" in step ? { result: step.result } : {}),
		...(children?.has(index) ? { children: children.get(index) } : {}),
	}));
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
		steps: viewSteps(checkpoint, counts),
		results,
		signals,
		error: checkpoint.error,
		revertError: checkpoint.revertError,
		unreverted: checkpoint.unreverted,
		history: showHistory(checkpoint),
	};
}

const marks: Readonly<Record<JobStepState, readonly [mark: string, style: Style | undefined]>> = {
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
		...viewSteps(checkpoint, children).map((step, index) => {
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

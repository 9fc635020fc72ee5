/**
 * Shows jobs of a processor.
 *
 * @module
 */

import type { TaskFailure } from "../basket/engine.ts";
import type { TaskState } from "../basket/store.ts";
import type { JobRecord } from "../job/view.ts";
import type { JobStepRecord } from "../job/step-records.ts";
import type { InspectedAttempt, InspectedDetail, InspectedStep, InspectedTask } from "./records.ts";
import { type Redacted, redacted, showAttempts } from "./redaction.ts";
import { type Given, inList, showData, type Showing } from "./show-task.ts";
import { previewOf, showValue } from "./value.ts";

/** A job in a list. */
export function showJob(showing: Showing, record: JobRecord): InspectedTask {
	return inList(jobWith(record, redactJob(showing, record)));
}

/** A job with everything but its lane and its children. */
export function showJobDetail(showing: Showing, record: JobRecord): InspectedDetail {
	const shown = redactJob(showing, record);
	const steps = record.steps.map((step) => showStep(step, shown));
	return {
		...jobWith(record, shown),
		...showData(shown),
		history: showAttempts(shown, shown.given),
		steps,
		revertError: shown.showError(record.revertError),
	};
}

/** Whether removing a job would leave effects that are never reverted, or take from another job what it waits for. */
export function isHalfDone({ status, direction, steps, history, children, parent }: JobRecord): boolean {
	if (isEnded(status)) return false;
	const hasBegun = steps.some(({ state }) => state !== "current" && state !== "pending");
	const isBusy = status === "running" || direction === "backward" || children !== undefined;
	return isBusy || hasBegun || history.length > 0 || parent !== undefined;
}

function isEnded(status: JobRecord["status"]): status is "completed" | "reverted" | "failed" {
	return status === "completed" || status === "reverted" || status === "failed";
}

/** The state in the store. */
function stateOf({ status }: JobRecord): TaskState {
	return isEnded(status) ? "done" : status;
}

/** The error that matters most. */
function errorOf({ problem, revertError, error, previousError }: JobRecord): TaskFailure | undefined {
	return problem ?? revertError ?? error ?? previousError;
}

function redactJob({ redact, onError }: Showing, record: JobRecord): Redacted & Given {
	const { id, job, input, meta } = record;
	const error = errorOf(record);
	const results = Object.fromEntries(
		record.steps.flatMap((step) => "result" in step ? [[step.name, step.result] as const] : []),
	);
	const task = { source: "processor", id, kind: job, payload: input, meta, results } as const;
	const given = attemptsOf(record);
	return { ...redacted(redact, { ...task, error, history: [...given] }, onError), given };
}

/** The attempts of its steps, and the claims that never ended, by their starts. */
function attemptsOf({ history, lapses }: JobRecord): InspectedAttempt[] {
	const attempts = history.map(({ duration, error, startedAt, ...attempt }) => ({
		...attempt,
		startedAt,
		endedAt: startedAt + duration,
		error: error === undefined ? undefined : { name: "Error", message: error },
	}));
	const lost = lapses.map(({ worker, startedAt }) => ({ worker, startedAt }));
	return [...attempts, ...lost].sort((one, other) => one.startedAt - other.startedAt);
}

function jobWith(record: JobRecord, shown: Redacted): InspectedTask {
	const { id, job: kind, status, attempts, addedAt, dueAt, priority, lane, parent, run } = record;
	const { direction, step, version, itemOf, children } = record;
	const job = { status: isEnded(status) ? status : undefined, direction, step, version, itemOf, children };
	return {
		source: "processor",
		...{
			id,
			kind,
			state: stateOf(record),
			preview: previewOf(shown.payload),
			attempts,
			addedAt,
			dueAt,
			priority,
			lane,
		},
		...{ parent, run, job, error: shown.error },
		...(shown.isWithheld ? { isWithheld: true } as const : {}),
	};
}

function showStep(step: JobStepRecord, { results = {}, showError }: Redacted): InspectedStep {
	const { name, type, state, attempts, until, error } = step;
	const result = Object.hasOwn(results, name) ? { result: showValue(results[name], 4_096) } : {};
	const types = type === undefined ? {} : { type };
	return { name, ...types, state, attempts, until, error: showError(error), ...result };
}

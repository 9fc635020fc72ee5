/**
 * Shows tasks of a basket.
 *
 * @module
 */

import type { TaskRecord } from "../basket/basket.ts";
import type { InspectedAttempt, InspectedDetail, InspectedTask } from "./records.ts";
import { type Redact, type Redacted, redacted, showAttempts } from "./redaction.ts";
import { previewOf, showValue } from "./value.ts";
import type { OnError } from "../platform/observe.ts";

/** How tasks are shown. */
export interface Showing {
	readonly redact: Redact | undefined;
	readonly onError: OnError | undefined;
}

/** The attempts as `redact` has got them. */
export interface Given {
	readonly given: readonly InspectedAttempt[];
}

/** A task in a list. */
export function showTask(showing: Showing, record: TaskRecord): InspectedTask {
	return inList(taskWith(record, redactTask(showing, record)));
}

/** A list shows no stacks. */
export function inList({ error, ...task }: InspectedTask): InspectedTask {
	if (error === undefined) return task;
	const { name, message, code } = error;
	return { ...task, error: { name, message, code } };
}

/** A task with everything but its lane. */
export function showTaskDetail(showing: Showing, record: TaskRecord): InspectedDetail {
	const shown = redactTask(showing, record);
	return {
		...taskWith(record, shown),
		...showData(shown),
		firstAddedAt: record.history.firstAddedAt,
		history: showAttempts(shown, shown.given),
	};
}

/** What a redaction has left of the data, for a detail. */
export function showData({ payload, result, meta }: Redacted): Pick<InspectedDetail, "payload" | "result" | "meta"> {
	return {
		payload: payload === undefined ? undefined : showValue(payload),
		result: result === undefined ? undefined : showValue(result),
		meta: showMeta(meta),
	};
}

function showMeta(meta: Redacted["meta"] = {}): Readonly<Record<string, string>> {
	return Object.fromEntries(Object.entries(meta).map(([name, value]) => [name, String(value)]));
}

function redactTask({ redact, onError }: Showing, record: TaskRecord): Redacted & Given {
	const { id, kind, payload, result, meta, progress, error, history } = record;
	const task = { source: "outbox", id, kind, payload, result, meta, progress, error } as const;
	const given = history.attempts.map((attempt) => ({ ...attempt }));
	return { ...redacted(redact, { ...task, history: [...given] }, onError), given };
}

function taskWith(record: TaskRecord, shown: Redacted): InspectedTask {
	const { id, kind, state, attempts, crashes, addedAt, dueAt, priority, lane, limitKey, parent, run, schedule } =
		record;
	const place = {
		attempts,
		crashes,
		addedAt,
		dueAt,
		priority,
		lane,
		limitKey,
		parent,
		run,
		schedule,
		progress: shown.progress,
	};
	const withheld = shown.isWithheld ? { isWithheld: true } as const : {};
	return {
		source: "outbox",
		...{ id, kind, state, preview: previewOf(shown.payload), ...place, ...withheld },
		error: shown.error,
	};
}

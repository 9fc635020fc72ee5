/**
 * Describes a stored task: as JSON for programs, in a few words for people.
 *
 * @module
 */

import { decodeFailure, decodeMeta, type TaskFailure } from "../basket/engine.ts";
import { showHistory, type TaskHistory } from "../basket/history.ts";
import type { Data, Message, StoredTask } from "../basket/store.ts";
import { openBranches } from "../job/groups.ts";
import type { JobHead } from "../job/state.ts";
import { partsOf } from "../job/version.ts";
import { type JobChildren, showChildren } from "../job/children-view.ts";
import { isCollected } from "../basket/place.ts";
import { openEnvelope, unmask, unpack } from "../schedule/envelope.ts";
import { clean, count, distance, duration, toJson } from "./text.ts";

/** How a payload that is not JSON is shown. */
export type Encoding = "text" | "base64";

/** A decoded payload, as far as possible without the codec of the program. */
export interface Decoded {
	/** The value; text that is not JSON unchanged, bytes as base64. Absent if `undefined` was stored. */
	readonly payload?: unknown;
	/** Absent for JSON. */
	readonly encoding?: Encoding | undefined;
}

/** Decodes a payload. Never throws. */
export function decodeData(data: Data): Decoded {
	if (typeof data !== "string") {
		return { payload: btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join("")), encoding: "base64" };
	}
	if (data === "") return {};
	try {
		return { payload: JSON.parse(data) };
	} catch {
		return { payload: data, encoding: "text" };
	}
}

/** The payload for the function of a task, and its schedule if it recurs. */
export interface OpenPayload {
	readonly data: Data;
	readonly schedule?: { readonly text: string; readonly next: number } | undefined;
	/** The maximum number of items of a run, if items are collected. They are the inbox of the task. */
	readonly most?: number | undefined;
}

/** Takes the payload of a schedule out of what is stored around it. Never throws. */
export function openPayload({ payload }: Pick<StoredTask, "payload">): OpenPayload {
	const most = isCollected(payload) ? mostIn(payload) : undefined;
	if (most !== undefined) return { data: "", most };
	const { text, due: next, payload: inner, of } = openEnvelope(payload) ?? {};
	if (typeof text !== "string" || typeof next !== "number") return { data: unmask(payload) };
	try {
		const data = unmask(unpack(inner!));
		return of === undefined ? { data, schedule: { text, next } } : { data };
	} catch {
		return { data: payload, schedule: { text, next } }; // somebody has edited it
	}
}

/** `undefined` if somebody has edited it. */
function mostIn(payload: string): number | undefined {
	const { payload: bounds } = decodeData(payload.slice(1));
	const { most } = Object(bounds) as { readonly most?: unknown };
	return typeof most === "number" ? most : undefined;
}

/** The collected items of a task: its inbox. */
export function toItems(inbox: readonly Message[]): readonly unknown[] {
	return inbox.map(({ data }) => decodeData(unmask(data)).payload);
}

/** The text of a schedule; an interval as a duration. */
export function describeSchedule({ text }: NonNullable<OpenPayload["schedule"]>): string {
	return /^\d+(\.\d+)?$/.test(text) ? `every ${duration(Number(text))}` : clean(text);
}

/** Who runs a task, and since when; `undefined` if nobody does. */
export function runOf({ state, claim }: StoredTask): { worker: string | undefined; since: number } | undefined {
	return state === "running" && claim !== undefined ? { worker: claim.worker, since: claim.at } : undefined;
}

/** The past of a task; `undefined` if nothing is known of it. */
export function historyOf(task: StoredTask): TaskHistory | undefined {
	const history = showHistory(task);
	return history.attempts.length > 0 || history.firstAddedAt !== undefined ? history : undefined;
}

/** The task as an object for JSON. Instants are milliseconds since 1970; absent values are left out. */
export function toRecord(stored: StoredTask): Record<string, unknown> {
	const { payload, error, result, progress, kind, meta, history: _1, claim: _2, ...task } = stored;
	const known = { run: runOf(stored), history: historyOf(stored) };
	const { name, message, code, stack } = decodeFailure(error) ?? {};
	const { data, schedule, most } = openPayload({ payload });
	const { name: base, version, itemOf } = partsOf(kind);
	return {
		...task,
		kind: base,
		...(version === undefined ? {} : { version }),
		...(itemOf === undefined ? {} : { itemOf }),
		...(most === undefined ? {} : { collects: { most } }),
		...(schedule === undefined ? {} : { schedule }),
		...(meta === undefined ? {} : { meta: decodeMeta(meta) }),
		...(known.run === undefined ? {} : { run: known.run }),
		...(known.history === undefined ? {} : { history: known.history }),
		...(error === undefined ? {} : { error: { name, message, code, stack } }),
		...(result === undefined ? {} : { result: decodeData(unmask(result)).payload }),
		...(progress === undefined ? {} : { progress: decodeData(progress).payload }),
		...decodeData(data),
	};
}

/** A kind in a table: `trip`, `trip@2` for a version, and `trip@2: thumbs` for the items of a step. */
export function describeKind(kind: string): string {
	const { name, version, itemOf } = partsOf(kind);
	const own = version === undefined ? name : `${name}@${version}`;
	return clean(itemOf === undefined ? own : `${own}: ${itemOf}`);
}

/** The inbox of a task as JSON objects. */
export function toMessages(inbox: readonly Message[]): readonly Record<string, unknown>[] {
	return inbox.map(({ n, data }) => {
		const { payload, encoding } = decodeData(data);
		return { n, data: payload, encoding };
	});
}

/** The error of a task on one line. */
export function describeFailure({ name, message }: Pick<TaskFailure, "name" | "message">): string {
	return clean(name === "Error" || name === undefined ? String(message) : `${name}: ${message}`);
}

/** When the state of a task will change by itself, in a few words. */
export function describeDue({ state, dueAt }: StoredTask, now: number): string {
	const isKept = state === "done" || state === "dead";
	if (dueAt === undefined) return isKept ? "" : "a message";
	const left = dueAt - now;
	if (state === "running") return left > 0 ? `lease ${duration(left)}` : "lease over";
	if (isKept) return left > 0 ? `kept ${duration(left)}` : "to go";
	return left > 0 ? distance(dueAt, now) : "now";
}

/** How many characters of a payload are used for one line of a table. */
const longest = 2_000;

/** A task on one line: the position of a job, the last failure, or the payload. */
export function summarize(task: StoredTask, job?: JobHead): string {
	if (job !== undefined) return summarizeJob(job, partsOf(task.kind).itemOf);
	const failure = decodeFailure(task.error);
	if (failure !== undefined && task.state !== "done") return describeFailure(failure);
	const { data, schedule, most } = openPayload(task);
	if (most !== undefined) return `items, at most ${most} in a run`;
	const text = typeof data === "string" ? clean(data.slice(0, longest)) : `${data.length} bytes`;
	return schedule === undefined ? text : `${describeSchedule(schedule)} ${text}`.trim();
}

function summarizeJob(job: JobHead, itemOf: string | undefined): string {
	const { item, children } = showChildren(job, itemOf);
	const { status, plan, at, isBackward, attempts, previous, error, pending } = job;
	const reason = error === undefined ? "" : `: ${describeFailure(error)}`;
	if (status !== undefined) return status + (status === "completed" ? "" : reason);
	const branches = openBranches(job).map((at) => plan[at]!);
	const step = branches.length > 0 ? branches.join(", ") : plan[isBackward ? at - 1 : at];
	const place = `${clean(step ?? "its end")} (${isBackward ? at : at + 1} of ${plan.length})`;
	// What else a durable function will do is not known.
	const names = isBackward ? "steps" : plan.filter((name) => pending?.[name]).map(clean).join(", ") || "work";
	const what = item !== undefined ? `item ${item.index}, ${inline(item.item)}` : pending === undefined ? place : names;
	const number = children && `, ${isBackward ? "" : partOf(children)}${count(children.count, "child")}`;
	const position = `${isBackward ? "reverts " : item === undefined ? "at " : ""}${what}${number ?? ""}`;
	const failed = attempts > 0 && previous !== undefined
		? `, attempt ${attempts} failed: ${describeFailure(previous)}`
		: reason;
	return position + failed;
}

/** While the children of a step are being added. */
function partOf({ count, added }: JobChildren): string {
	return added < count ? `${added.toLocaleString("en-US")} of ` : "";
}

/** A value on one line, cleaned. */
export function inline(value: unknown): string {
	return value === undefined ? "" : clean(toJson(value));
}

/**
 * Decodes and checks the stored head of a job and the entries of its log, which may have been edited or damaged.
 *
 * If no run of a job could have stored them, the job neither runs nor is reported as ended: the error names
 * the invalid field, and the job is held.
 *
 * @module
 */

import type { Codec, TaskFailure } from "../basket/engine.ts";
import type { Data } from "../basket/store.ts";
import { widen } from "./value.ts";
import { branchOf } from "./branch-name.ts";
import type { JobEntry, JobHead } from "./state.ts";
import { check } from "../platform/check.ts";

/**
 * Decodes a head.
 *
 * @throws {TypeError | RangeError} (as a rejection) that names the invalid field; also the errors of the codec
 */
export async function decodeHead(codec: Codec, data: Data): Promise<JobHead> {
	const state = check("state", await codec.decode(data) as JobHead, "object");
	const { form, uid, version, plan, at, isBackward, history, unreverted, isFirm, pending, open, spawned } = state;
	check("form", form, "number", form === 2, "2");
	check("uid", uid, "string", uid !== "", "a string that is not empty");
	if (typeof version !== "number" && version !== undefined) check("version", version, "string");
	const isPlan = Array.isArray(plan) && plan.every(isStep) && new Set(plan).size === plan.length &&
		plan.length > 0 === (pending === undefined);
	check("plan", plan, "object", isPlan, "an array of different names");
	checkWhole("at", at, plan.length);
	check("isBackward", isBackward, "boolean");
	for (const name of ["crashed", "attempts", "logged"] as const) checkWhole(name, state[name]);
	checkTimes(state, "until", "since", "lastDelay", "delay");
	if (isFirm !== undefined) check("isFirm", isFirm, "boolean");
	for (const name of ["error", "revertError", "previous"] as const) checkFailure(name, state[name]);
	const isHistory = Array.isArray(history) && history.every((entry) => isAttempt(entry, plan.length));
	check("history", history, "object", isHistory, "an array of attempts");
	if (open !== undefined) {
		const areOpen = Array.isArray(open) && open.every((at) => Number.isInteger(at) && at >= 0 && at < plan.length);
		check("open", open, "object", areOpen, "an array of places in its plan");
	}
	checkBranches(state);
	if (spawned !== undefined) {
		const { count, added } = check("spawned", spawned, "object");
		checkWhole("count", count);
		checkWhole("added", added, count);
	}
	if (unreverted !== undefined) {
		const isList = Array.isArray(unreverted) &&
			unreverted.every(pending === undefined ? (name) => plan.includes(name) : isString);
		check("unreverted", unreverted, "object", isList, "an array of names in its plan");
	}
	for (const name of ["causes", "ignored"] as const) checkNumbers(name, state[name]);
	checkSignals(state);
	if (pending === undefined) checkStatus(state);
	else checkFlow(state);
	return state;
}

/**
 * Decodes an entry of the log.
 *
 * @throws {TypeError | RangeError} (as a rejection) that names the invalid field; also the errors of the codec
 */
export async function decodeEntry(codec: Codec, data: Data, { plan }: JobHead): Promise<JobEntry> {
	const entry = check("entry", await codec.decode(data) as JobEntry, "object");
	const { uid, at, value, gaps, isRevert, crashed, attempt } = entry;
	if (uid !== undefined) check("uid", uid, "string");
	checkWhole("at", at, plan.length - 1);
	if (isRevert !== undefined) check("isRevert", isRevert, "boolean", isRevert === true, "true");
	if (crashed !== undefined) checkWhole("crashed", crashed);
	if (attempt !== undefined) check("attempt", attempt, "object", isAttempt(attempt, plan.length), "an attempt");
	return gaps === undefined ? entry : { ...entry, value: widen(value, gaps), gaps: undefined };
}

/** What a durable function waits for, and how it has ended. */
function checkFlow({ pending, isBackward, error, revertError, status }: JobHead): void {
	const arePending = isRecord(pending) && Object.values(pending).every(isRecord);
	check("pending", pending, "object", arePending, "an object of objects");
	for (const call of Object.values(pending!)) {
		checkWhole("order", call.order);
		checkWhole("attempts", call.attempts);
		checkFlowType(call.type);
		checkTimes(call, "until", "since", "lastDelay");
		checkFailure("previous", call.previous);
	}
	const ways = isBackward ? [undefined, "reverted", "failed"] : [undefined, "completed"];
	const fits = ways.includes(status) && isBackward === (error !== undefined) &&
		(isBackward || revertError === undefined);
	if (!fits) throw new TypeError(`"status" does not fit the direction of the job: current value is ${String(status)}`);
}

export function checkFlowType(type: string): void {
	check("type", type, "string", ["step", "sleep", "waitFor"].includes(type), "step, sleep or waitFor");
}

function checkTimes<N extends string>(state: { readonly [K in N]?: number | undefined }, ...names: readonly N[]): void {
	for (const name of names) {
		const value = state[name];
		if (value !== undefined) check<unknown>(name, value, "number", Number.isFinite(value), "finite");
	}
}

/** Of entries of the log. */
function checkNumbers(name: string, numbers: readonly number[] | undefined): void {
	if (numbers === undefined) return;
	const areNumbers = Array.isArray(numbers) && numbers.every((n) => Number.isSafeInteger(n) && n > 0);
	check(name, numbers, "object", areNumbers, "an array of whole numbers from 1");
}

function checkSignals({ signals }: JobHead): void {
	const areSignals = isRecord(signals) && Object.values(signals).every(isRecord);
	check("signals", signals, "object", areSignals, "an object of objects");
}

function checkBranches({ branches }: JobHead): void {
	if (branches === undefined) return;
	const areBranches = isRecord(branches) && Object.values(branches).every(isRecord);
	check("branches", branches, "object", areBranches, "an object of objects");
	for (const branch of Object.values(branches)) {
		checkWhole("attempts", branch.attempts);
		checkTimes(branch, "until", "since", "lastDelay");
		checkFailure("previous", branch.previous);
	}
}

/** A job has ended exactly if its cursor is at an end. */
function checkStatus({ plan, at, isBackward, error, revertError, status }: JobHead): void {
	const isAtEnd = at === (isBackward ? 0 : plan.length);
	const fits = isBackward
		? error !== undefined && (isAtEnd ? status === "reverted" : status === undefined) ||
			status === "failed" && error !== undefined && (isAtEnd || revertError !== undefined)
		: status === (isAtEnd ? "completed" : undefined);
	if (fits) return;
	const place = `${isBackward ? "backward" : "forward"} at ${at} of ${plan.length}`;
	throw new TypeError(
		`"status" does not fit the place of the job (${place}): current value is ${JSON.stringify(status)}`,
	);
}

export function checkWhole(name: string, value: number, most: number = Number.MAX_SAFE_INTEGER): void {
	const isWhole = Number.isInteger(value) && value >= 0 && value <= most;
	check(name, value, "number", isWhole, `a whole number from 0 to ${most}`);
}

export function checkFailure(name: string, failure: TaskFailure | undefined): void {
	if (failure === undefined) return;
	const { name: kind, message, stack } = check(name, failure, "object");
	check(`${name}.name`, kind, "string");
	check(`${name}.message`, message, "string");
	if (stack !== undefined) check(`${name}.stack`, stack, "string");
}

export function isAttempt(entry: unknown, length: number): boolean {
	if (!Array.isArray(entry)) return false;
	const [at, attempt, startedAt, duration, isRevert, worker, error, item] = entry;
	const isPlace = length === 0 ? isString(at) : Number.isInteger(at) && at >= 0 && at < length;
	return isPlace && Number.isInteger(attempt) && attempt > 0 &&
		Number.isFinite(startedAt) && Number.isFinite(duration) && [0, 1].includes(isRevert) &&
		(worker === null || isString(worker)) && (error === undefined || isString(error)) &&
		(item === undefined || Number.isInteger(item));
}

/** The name of a step, or that of a branch. */
function isStep(name: unknown): boolean {
	if (!isString(name)) return false;
	try {
		const branch = branchOf(name as string);
		return branch === undefined || branch.length === 2 && branch.every(isString);
	} catch {
		return false;
	}
}

function isRecord(value: unknown): value is object {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isString(value: unknown): boolean {
	return typeof value === "string";
}

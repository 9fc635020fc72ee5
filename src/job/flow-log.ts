/**
 * What is stored of a durable function: an entry of the log for each name that is done, and what it waits for. It is read
 * without its definition, too.
 *
 * @module
 */

import { chain, type Codec, type TaskFailure } from "../basket/engine.ts";
import type { Data } from "../basket/store.ts";
import { checkFailure, checkFlowType, checkWhole, isAttempt } from "./decode.ts";
import type { FlowRecord, JobCheckpoint, JobHead } from "./state.ts";
import { noAttempts, remember } from "./transitions.ts";
import { widen } from "./value.ts";
import { check } from "../platform/check.ts";
import { checkName } from "../platform/name.ts";

/**
 * Decodes an entry of the log: at once if the codec can, because this happens for each step in each pass.
 *
 * @throws {TypeError | RangeError} that names the invalid field; also the errors of the codec
 */
export function decodeRecord(codec: Codec, data: Data): FlowRecord | PromiseLike<FlowRecord> {
	return chain(codec.decode(data) as FlowRecord | PromiseLike<FlowRecord>, checkRecord);
}

function checkRecord(record: FlowRecord): FlowRecord {
	check("entry", record, "object");
	const { uid, name, type, order, value, gaps, error, isRevert, attempt, crashed } = record;
	if (uid !== undefined) check("uid", uid, "string");
	if (name !== undefined) {
		checkName("name", name);
		checkFlowType(type!);
		checkWhole("order", order!);
	}
	checkFailure("error", error);
	if (isRevert !== undefined) check("isRevert", isRevert, "boolean", isRevert === true, "true");
	if (crashed !== undefined) checkWhole("crashed", crashed);
	if (attempt !== undefined) check("attempt", attempt, "object", isAttempt(attempt, 0), "an attempt");
	return gaps === undefined ? record : { ...record, value: widen(value, gaps), gaps: undefined };
}

/** The state after an entry. */
export function followRecord<S extends JobHead>(state: S, record: FlowRecord): S {
	const { isRevert, attempt, crashed = 0 } = record;
	const history = attempt === undefined ? state.history : remember(state.history, attempt);
	const next = { ...state, logged: state.logged + 1, crashed, history };
	return isRevert ? { ...next, ...nothingPending } : next;
}

/** Nothing is known of the current revert. */
export const nothingPending: typeof noAttempts = noAttempts;

/** The indexes of the records that are to be reverted, the next one last. */
export function toRevert(records: readonly FlowRecord[]): number[] {
	const left = new Map<string, number>();
	for (const [index, { name, isRevert, hasRevert }] of records.entries()) {
		if (hasRevert) left.set(name!, index);
		if (isRevert) left.delete(name!);
	}
	return [...left.values()].sort((one, other) => records[one]!.order! - records[other]!.order!);
}

/** The state as readers see it: the plan has the names in the order of their start, and `at` is the place of the current one. */
export function showFlow(state: JobCheckpoint): JobCheckpoint {
	const { pending = {}, isBackward, records = [], status } = state;
	const orders = new Map<string, number>();
	for (const { name, order } of records) if (name !== undefined) orders.set(name, order!);
	const waiting = isBackward || status !== undefined
		? []
		: Object.entries(pending).filter(([name]) => !orders.has(name));
	for (const [name, { order }] of waiting) orders.set(name, order);
	const plan = [...orders].sort(([, one], [, other]) => one - other).map(([name]) => name);
	const current = waiting.sort(([, one], [, other]) => one.order - other.order)[0];
	if (current !== undefined) return { ...state, ...current[1], plan, at: plan.indexOf(current[0]) };
	const next = isBackward ? records[toRevert(records).at(-1)!]?.name ?? "" : undefined;
	return { ...state, plan, at: next === undefined ? plan.length : plan.indexOf(next) + 1 };
}

/** What the body can see of a stored error. */
export function shortFailure(failure: TaskFailure | undefined): TaskFailure | undefined {
	return failure && { name: failure.name, message: failure.message, code: failure.code };
}

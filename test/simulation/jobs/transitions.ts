// Checks whether an entry of the log or a head may follow the stored state. This depends on the calls under the claim, the messages and the
// time.
import type { JobEntry } from "../../../src/job/state.ts";
import type { JobCheckpoint } from "../../../src/job/state.ts";
import type { JobBook, JobClaim } from "./books.ts";
import type { Call } from "./calls.ts";
import { hasCancel, hasSignal } from "./books.ts";
import { revertable, type StepRules } from "./definitions.ts";

/** What a claim stores: one entry of the log, or a head. */
export interface Transition {
	readonly book: JobBook;
	readonly claim: JobClaim;
	/** The monotonic time. */
	readonly now: number;
	/** The number of consecutive crashes after which a step is abandoned. */
	readonly crashes: number;
	readonly fail: (text: string) => void;
}

/** A head, or the state after a commit. */
interface Change extends Transition {
	readonly next: JobCheckpoint;
}

/** Checks that an entry ends the current step or its revert. Returns the state after it. */
export function judgeEntry(transition: Transition, entry: JobEntry): JobCheckpoint {
	const { book, claim, fail } = transition;
	const { state, rules } = book;
	const { uid, at, isRevert = false, value, crashed = 0 } = entry;
	const place = [state.isBackward ? state.at - 1 : state.at, state.isBackward];
	equal(transition, "an entry at", [at, isRevert], place);
	equal(transition, "the uid of an entry", uid, state.logged === 0 ? state.uid : undefined);
	const { crashes } = claim.record.claim;
	if (crashed > crashes || (!claim.isContinued && crashed < crashes)) fail(`with an entry after ${crashed} crashes`);
	const step = rules.steps[at];
	if (state.status !== undefined || step === undefined) {
		fail("with an entry, although it is over");
		return state;
	}
	const { name, type } = step;
	const results = { ...state.results };
	if (type === "step") judgeCall(transition, entry);
	else pass(transition, step, entry);
	if (isRevert) book.reverted.push(name);
	else if (value !== undefined) results[name] = value;
	const names = revertable(rules, at);
	const status = isRevert
		? (names.length > 0 ? undefined : "reverted")
		: at + 1 < rules.steps.length
		? undefined
		: "completed";
	const next = isRevert ? rules.steps.findIndex(({ name }) => name === names[0]) + 1 : at + 1;
	const fresh = { attempts: 0, until: undefined, isFirm: undefined, since: undefined };
	const more = { lastDelay: undefined, previous: undefined, crashed };
	return { ...state, ...fresh, ...more, logged: state.logged + 1, at: next, status, results };
}

/** Checks that an entry has the result of a call. */
function judgeCall(transition: Transition, { at, isRevert, value, attempt }: JobEntry): void {
	const call = lastCall(transition);
	if (call?.outcome !== "succeeded") return transition.fail(`with an entry for ${at}, which has not succeeded`);
	count(transition, call, false);
	equal(transition, "a result", value, isRevert ? undefined : call.value);
	const [index, number, , , isUndone, worker, error] = attempt ?? [];
	equal(transition, "an attempt", [index, number, isUndone, worker, error], [
		at,
		call.context.attempt,
		isRevert ? 1 : 0,
		transition.claim.record.owner.name,
		undefined,
	]);
}

/** Checks a head, which follows the log. */
export function judgeHead(change: Change): void {
	const { book: { state }, next } = change;
	for (const name of ["form", "uid", "version", "input", "plan", "logged"] as const) {
		equal(change, name, next[name], state[name]);
	}
	if (state.status !== undefined) {
		for (const name of ["at", "isBackward", "status", "error", "unreverted"] as const) {
			equal(change, name, next[name], state[name]);
		}
	} else if (state.isBackward) judgeBackward(change);
	else if (next.isBackward) judgeTurn(change);
	else {
		for (const name of ["at", "status"] as const) equal(change, name, next[name], state[name]);
		judgeAttempts(change, current(change).attempts);
	}
	if (next.isBackward !== state.isBackward) judgeFresh(change);
	judgeUntil(change);
}

/** The rules of the current step. */
function current({ book: { state, rules } }: Transition): StepRules {
	return rules.steps[state.isBackward ? state.at - 1 : state.at]!;
}

/**
 * Checks the state after a commit.
 *
 * @param before the state before it
 * @param seen the commit removes messages up to this number
 */
export function judgeCommit(transition: Transition, before: JobCheckpoint, seen: number): void {
	const { book: { state }, claim: { inbox }, fail } = transition;
	if (before.status !== undefined) fail("although it is over");
	if (state.isBackward) return;
	if (hasCancel(inbox)) fail("forward, although it was cancelled before");
	judgeSignals(transition, before, seen);
}

export function equal({ fail }: Pick<Transition, "fail">, what: string, actual: unknown, expected: unknown): void {
	const [text, right] = [JSON.stringify(actual), JSON.stringify(expected)];
	if (text !== right) fail(`with ${what} ${text}, should be ${right}`);
}

/** Returns the call for the current position, if its result is not stored yet. */
function lastCall({ book: { state, rules }, claim: { calls } }: Transition): Call | undefined {
	const { name } = rules.steps[state.isBackward ? state.at - 1 : state.at]!;
	return calls.findLast(({ step, isRevert }) => step.name === name && isRevert === state.isBackward);
}

/** Marks the result of a call as stored. */
function count({ book, now }: Transition, call: Call, hasFailed: boolean): void {
	call.isCounted = true;
	const { step: { name: step }, isRevert, context: { attempt }, beganAt } = call;
	const duration = isAbandoned(call) ? undefined : Math.min(call.endedAt, now) - beganAt;
	book.history.push({ step, isRevert, attempt, hasFailed, duration });
}

/** Ends a step without a function. */
function pass(transition: Transition, step: StepRules, { value, attempt }: JobEntry): void {
	const { book, fail } = transition;
	const { name, type } = step;
	equal(transition, "an attempt", attempt, undefined);
	if (type === "sleep") {
		equal(transition, "a result", value, undefined);
		if (!isOver(transition, step)) fail(`beyond ${name}, whose time is not over`);
	} else if (!isKnown(transition, name)) fail(`beyond ${name}, whose signal has not come`);
	else equal(transition, "a result", value, book.signals.get(name)!.value);
}

/** Whether a run under this claim can know a signal. */
function isKnown({ book: { state }, claim: { record } }: Transition, name: string): boolean {
	return Object.hasOwn(state.signals, name) || hasSignal(record.claim.inbox, name);
}

/** Whether a sleep can have ended by the store time of the claim. */
function isOver(transition: Transition, step: StepRules): boolean {
	const { book: { state, rules }, claim, now } = transition;
	const isCurrent = rules.steps[state.at] === step && state.until !== undefined;
	const until = isCurrent ? state.until! : Math.floor(leastAge(transition) + step.duration);
	return now - claim.addedAt >= until;
}

/** Returns the minimum age of the job when its step ended. */
function leastAge({ claim: { leastAge, calls } }: Transition): number {
	const ended = calls.map(({ beganAt, endedAt, abortedAt }) => Math.min(endedAt, abortedAt) - beganAt);
	return ended.filter((duration) => duration < Infinity).reduce((sum, duration) => sum + duration, leastAge);
}

/** Checks that signals are kept until their step. */
function judgeSignals(transition: Transition, before: JobCheckpoint, seen: number): void {
	const { book: { rules, signals, state: next, entry }, claim, fail } = transition;
	const taken = [...entry.inbox.filter(({ n }) => n <= seen), ...(claim.isContinued ? [] : claim.inbox)];
	for (const { name, type } of rules.steps.slice(next.at)) {
		if (type !== "waitFor") continue;
		const mustBeThere = Object.hasOwn(before.signals, name) || hasSignal(taken, name);
		const isThere = Object.hasOwn(next.signals, name);
		if (isThere !== mustBeThere && (mustBeThere || !hasSignal(claim.record.claim.inbox, name))) {
			fail(`with signals ${Object.keys(next.signals)}`);
		}
		if (isThere) equal(transition, `signal ${name}`, next.signals[name], signals.get(name));
	}
	for (const name of Object.keys(next.signals)) if (!signals.has(name)) fail(`with the signal ${name}`);
}

/** Checks a change from forward to backward. */
function judgeTurn(change: Change): void {
	const { book: { rules, state: { at } }, next: { error }, fail } = change;
	if (turnReason(change) === undefined) {
		const step = rules.steps[at]!;
		const isTimeout = error?.name === "TimeoutError" && error.message.includes(`"${step.name}"`);
		if (step.type !== "waitFor" || !isTimeout) fail(`backward without a reason: ${error?.message}`);
		else if (isKnown(change, step.name)) fail(`backward for want of ${step.name}, which has come`);
		else if (!isOver(change, step)) fail(`backward for want of ${step.name}, whose time is not over`);
	}
	judgeRest(change, revertable(rules, at));
}

/** Returns the reason why a job turns back at its current step; `undefined` for other reasons. */
function turnReason(change: Change): string | undefined {
	const { book: { state, rules }, claim, next } = change;
	const { message = "", name } = next.error ?? {};
	if (name === "AbortError" && hasCancel(claim.record.claim.inbox)) return "cancelled";
	if (isGivenUp(change, message)) return "crashed";
	const call = lastCall(change);
	if (call === undefined) return undefined;
	if (call.outcome === "succeeded" && typeof call.value !== "string" && name === "TypeError") {
		count(change, call, true);
		return "nonsense";
	}
	return isFinal(change, call, rules.steps[state.at]!.attempts, next.error) ? "failed" : undefined;
}

function isGivenUp({ book, crashes }: Transition, message: string): boolean {
	return book.crashes >= crashes && message.startsWith("The process that ran the step ended without a word");
}

function isFinal(transition: Transition, call: Call, limit: number, error: JobCheckpoint["error"]): boolean {
	if (!hasFailed(call)) return false;
	count(transition, call, true);
	judgeError(transition, call, error);
	if (call.context.attempt < limit && call.hint !== "give up") {
		transition.fail(`as failed after ${call.context.attempt} attempts of ${limit}`);
	}
	return true;
}

/** Whether the call has failed or timed out. Other interruptions do not count. */
export function hasFailed(call: Call): boolean {
	const { aborted, reason } = call.context.signal;
	if (aborted && reason?.name !== "TimeoutError") return false;
	return call.outcome === "failed" || isAbandoned(call);
}

/** Whether the call was abandoned after its abort. */
export function isAbandoned({ abortedAt, endedAt, step: { abandonAfter = Infinity } }: Call): boolean {
	return abortedAt < Infinity && endedAt >= abortedAt + abandonAfter;
}

function judgeError(transition: Transition, call: Call, error: JobCheckpoint["error"]): void {
	if (call.context.signal.aborted) equal(transition, "error", error?.name, "TimeoutError");
	else equal(transition, "error", error?.message, call.message);
}

function judgeBackward(change: Change): void {
	const { book: { state, rules }, next, fail } = change;
	for (const name of ["error", "signals", "at"] as const) equal(change, name, next[name], state[name]);
	const { revertAttempts } = current(change);
	if (!next.isBackward) return fail("forward again");
	if (next.revertError === undefined) {
		equal(change, "status", next.status, undefined);
		return judgeAttempts(change, revertAttempts);
	}
	equal(change, "status", next.status, "failed");
	equal(change, "unreverted", next.unreverted, revertable(rules, state.at));
	const call = lastCall(change);
	if (isGivenUp(change, next.revertError.message)) return;
	if (call === undefined || !isFinal(change, call, revertAttempts, next.revertError)) {
		fail(`as failed without a reason: ${next.revertError.message}`);
	}
}

/** Checks the steps that must still be reverted. */
function judgeRest(change: Change, names: readonly string[]): void {
	const { book: { rules }, next } = change;
	const [first] = names;
	const at = rules.steps.findIndex(({ name }) => name === first) + 1;
	equal(change, "step to be reverted", next.at, at);
	const end = rules.hasRevert ? "reverted" : "failed";
	equal(change, "status", next.status, names.length > 0 ? undefined : end);
	equal(change, "unreverted", next.unreverted, undefined);
}

/** Checks a checkpoint with the same position, after which an attempt may have failed. */
function judgeAttempts(change: Change, limit: number): void {
	const { book: { state }, next, fail } = change;
	if (next.attempts === state.attempts) return equal(change, "previous error", next.previous, state.previous);
	const call = lastCall(change);
	if (call === undefined || !hasFailed(call)) return fail(`with ${next.attempts} attempts, of which none has failed`);
	count(change, call, true);
	equal(change, "attempts", next.attempts, state.attempts + 1);
	equal(change, "number of the attempt", call.context.attempt, next.attempts);
	judgeError(change, call, next.previous);
	if (next.attempts >= limit) fail(`to be tried again after ${next.attempts} attempts of ${limit}`);
	if (call.hint === "give up") fail("to be tried again, although it said not to");
	if (typeof call.value !== "string" && call.outcome === "succeeded") fail("to be tried again with such a result");
	judgeBackoff(change, call);
}

function judgeBackoff(change: Change, call: Call): void {
	const { book: { state }, claim, next, now, fail } = change;
	let delay = call.delay;
	if (call.hint !== "retry after" && call.hint !== "retry now") {
		const { backoff } = call.step;
		const { start, factor, max } = typeof backoff === "number" ? { start: backoff, factor: 1, max: backoff } : backoff;
		const last = call.hint === "reset the backoff" ? undefined : state.lastDelay;
		delay = last === undefined ? start : Math.min(last * factor, max);
	}
	const [least, most] = [leastAge(change) + delay, now - claim.addedAt + delay];
	if (!(next.until! >= Math.floor(least) && next.until! <= most)) {
		fail(`to be tried again at ${next.until}, should be from ${least} to ${most}`);
	}
}

/** Checks a checkpoint at the beginning of a step. */
function judgeFresh(change: Change): void {
	const { next: { attempts, previous, lastDelay } } = change;
	equal(change, "attempts", { attempts, previous, lastDelay }, { attempts: 0 });
}

/** Checks a checkpoint that waits for a time without a call. */
function judgeUntil(change: Change): void {
	const { book: { state, rules }, claim, next, now, fail } = change;
	const step = next.isBackward ? undefined : rules.steps[next.at];
	if (next.until === undefined || step === undefined || step.type === "step") return;
	if (next.at === state.at && state.until !== undefined) return equal(change, "until", next.until, state.until);
	const [least, most] = [leastAge(change) + step.duration, now - claim.addedAt + step.duration];
	if (next.until < Math.floor(least) || next.until > most) {
		fail(`with ${step.name} until ${next.until}, should be from ${least} to ${most}`);
	}
}

/** The defined properties. */
export function sorted(object: object): unknown {
	return Object.entries(object).filter(([, value]) => value !== undefined).sort();
}

// Checks whether a checkpoint may follow another one. This depends on the calls under the claim, the messages and the
// time.
import type { JobCheckpoint } from "../../../src/job/state.ts";
import type { JobBook, JobClaim } from "./books.ts";
import type { Call } from "./calls.ts";
import { hasCancel, hasSignal } from "./books.ts";
import { revertable, type StepRules } from "./definitions.ts";

export interface Transition {
	readonly book: JobBook;
	readonly claim: JobClaim;
	readonly next: JobCheckpoint;
	/** The save removes messages up to this number. */
	readonly seen: number;
	/** The monotonic time. */
	readonly now: number;
	/** The number of consecutive crashes after which a step is abandoned. */
	readonly crashes: number;
	readonly fail: (text: string) => void;
}

export function judge(transition: Transition): void {
	const { book: { state }, next, fail } = transition;
	if (state.status !== undefined) fail("although it is over");
	for (const name of ["form", "uid", "version", "input", "plan"] as const) {
		equal(transition, name, next[name], state[name]);
	}
	if (state.isBackward) judgeBackward(transition);
	else judgeForward(transition);
	if (next.at !== state.at || next.isBackward !== state.isBackward) judgeFresh(transition);
	judgeUntil(transition);
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

function judgeForward(transition: Transition): void {
	const { book, next, fail } = transition;
	const { state, rules: { steps } } = book;
	const results = { ...state.results };
	let { at } = state;
	const { name, type } = steps[at]!;
	if (type === "step" && Object.hasOwn(next.results, name)) {
		const call = lastCall(transition);
		if (call?.outcome !== "succeeded") fail(`with a result of ${name}, which has not succeeded`);
		else count(transition, call, false);
		results[name] = call?.value;
		at++;
	}
	if (next.isBackward) judgeTurn(transition, at, results);
	else {
		if (next.at < at) fail(`at ${next.at}, after ${at}`);
		while (at < next.at) pass(transition, steps[at++]!, results);
		equal(transition, "status", next.status, next.at === steps.length ? "completed" : undefined);
		if (next.at === state.at) judgeAttempts(transition, steps[at]!.attempts);
		if (hasCancel(transition.claim.inbox)) fail("forward, although it was cancelled before");
		judgeSignals(transition);
	}
	equal(transition, "results", sorted(next.results), sorted(results));
}

/** Ends a step without a function. */
function pass(transition: Transition, step: StepRules, results: Record<string, unknown>): void {
	const { book, fail } = transition;
	const { name, type } = step;
	if (type === "step") return fail(`without a result of ${name}`);
	if (type === "sleep") {
		if (!isOver(transition, step)) fail(`beyond ${name}, whose time is not over`);
		return;
	}
	if (!isKnown(transition, name)) return fail(`beyond ${name}, whose signal has not come`);
	const { value } = book.signals.get(name)!;
	if (value !== undefined) results[name] = value;
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
function judgeSignals(transition: Transition): void {
	const { book: { rules, signals, state, entry }, claim, seen, next, fail } = transition;
	const taken = [...entry.inbox.filter(({ n }) => n <= seen), ...(claim.isContinued ? [] : claim.inbox)];
	for (const { name, type } of rules.steps.slice(next.at)) {
		if (type !== "waitFor") continue;
		const mustBeThere = Object.hasOwn(state.signals, name) || hasSignal(taken, name);
		const isThere = Object.hasOwn(next.signals, name);
		if (isThere !== mustBeThere && (mustBeThere || !isKnown(transition, name))) {
			fail(`with signals ${Object.keys(next.signals)}`);
		}
		if (isThere) equal(transition, `signal ${name}`, next.signals[name], signals.get(name));
	}
	for (const name of Object.keys(next.signals)) if (!signals.has(name)) fail(`with the signal ${name}`);
}

/** Checks a change from forward to backward. */
function judgeTurn(transition: Transition, at: number, results: Record<string, unknown>): void {
	const { book, next, fail } = transition;
	const { rules, state } = book;
	const reason = at === state.at ? turnReason(transition) : undefined;
	// The reason may be a wait that timed out, behind steps that the job could pass.
	for (; reason === undefined; at++) {
		const step = rules.steps[at];
		if (step === undefined || step.type === "step") return fail(`backward without a reason: ${next.error?.message}`);
		const isTimeout = next.error?.name === "TimeoutError" && next.error.message.includes(`"${step.name}"`);
		if (step.type === "waitFor" && isTimeout) {
			if (isKnown(transition, step.name)) fail(`backward for want of ${step.name}, which has come`);
			if (!isOver(transition, step)) fail(`backward for want of ${step.name}, whose time is not over`);
			break;
		}
		pass(transition, step, results);
	}
	judgeRest(transition, revertable(rules, at));
}

/** Returns the reason why a job turns back at its current step; `undefined` for other reasons. */
function turnReason(transition: Transition): string | undefined {
	const { book: { state, rules }, claim, next } = transition;
	const { message = "", name } = next.error ?? {};
	if (name === "AbortError" && hasCancel(claim.record.claim.inbox)) return "cancelled";
	if (isGivenUp(transition, message)) return "crashed";
	const call = lastCall(transition);
	if (call === undefined) return undefined;
	if (call.outcome === "succeeded" && typeof call.value !== "string" && name === "TypeError") {
		count(transition, call, true);
		return "nonsense";
	}
	return isFinal(transition, call, rules.steps[state.at]!.attempts, next.error) ? "failed" : undefined;
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

function judgeBackward(transition: Transition): void {
	const { book, next, fail } = transition;
	const { state, rules } = book;
	for (const name of ["results", "error", "signals"] as const) equal(transition, name, next[name], state[name]);
	const { name, revertAttempts } = rules.steps[state.at - 1]!;
	const call = lastCall(transition);
	if (!next.isBackward) return fail("forward again");
	if (next.revertError !== undefined) {
		equal(transition, "status", next.status, "failed");
		equal(transition, "unreverted", next.unreverted, revertable(rules, state.at));
		if (isGivenUp(transition, next.revertError.message)) return;
		if (call === undefined || !isFinal(transition, call, revertAttempts, next.revertError)) {
			fail(`as failed without a reason: ${next.revertError.message}`);
		}
	} else if (next.at === state.at) {
		equal(transition, "status", next.status, undefined);
		judgeAttempts(transition, revertAttempts);
	} else {
		if (call?.outcome !== "succeeded") fail(`with ${name} reverted, which it is not`);
		else count(transition, call, false);
		book.reverted.push(name);
		judgeRest(transition, revertable(rules, state.at - 1));
	}
}

/** Checks the steps that must still be reverted. */
function judgeRest(transition: Transition, names: readonly string[]): void {
	const { book: { rules, state }, next } = transition;
	const [first] = names;
	const at = rules.steps.findIndex(({ name }) => name === first) + 1;
	equal(transition, "step to be reverted", next.at, at);
	const end = rules.hasRevert ? "reverted" : "failed";
	equal(transition, "status", next.status, names.length > 0 ? undefined : end);
	equal(transition, "unreverted", next.unreverted, undefined);
	if (state.isBackward) equal(transition, "error", next.error, state.error);
}

/** Checks a checkpoint with the same position, after which an attempt may have failed. */
function judgeAttempts(transition: Transition, limit: number): void {
	const { book: { state }, next, fail } = transition;
	if (next.attempts === state.attempts) return equal(transition, "previous error", next.previous, state.previous);
	const call = lastCall(transition);
	if (call === undefined || !hasFailed(call)) return fail(`with ${next.attempts} attempts, of which none has failed`);
	count(transition, call, true);
	equal(transition, "attempts", next.attempts, state.attempts + 1);
	equal(transition, "number of the attempt", call.context.attempt, next.attempts);
	judgeError(transition, call, next.previous);
	if (next.attempts >= limit) fail(`to be tried again after ${next.attempts} attempts of ${limit}`);
	if (call.hint === "give up") fail("to be tried again, although it said not to");
	if (typeof call.value !== "string" && call.outcome === "succeeded") fail("to be tried again with such a result");
	judgeBackoff(transition, call);
}

function judgeBackoff(transition: Transition, call: Call): void {
	const { book: { state }, claim, next, now, fail } = transition;
	let delay = call.delay;
	if (call.hint !== "retry after" && call.hint !== "retry now") {
		const { backoff } = call.step;
		const { start, factor, max } = typeof backoff === "number" ? { start: backoff, factor: 1, max: backoff } : backoff;
		const last = call.hint === "reset the backoff" ? undefined : state.lastDelay;
		delay = last === undefined ? start : Math.min(last * factor, max);
	}
	const [least, most] = [leastAge(transition) + delay, now - claim.addedAt + delay];
	if (!(next.until! >= Math.floor(least) && next.until! <= most)) {
		fail(`to be tried again at ${next.until}, should be from ${least} to ${most}`);
	}
}

/** Checks a checkpoint at the beginning of a step. */
function judgeFresh(transition: Transition): void {
	const { next: { attempts, previous, lastDelay } } = transition;
	equal(transition, "attempts", { attempts, previous, lastDelay }, { attempts: 0 });
}

/** Checks a checkpoint that waits for a time without a call. */
function judgeUntil(transition: Transition): void {
	const { book: { state, rules }, claim, next, now, fail } = transition;
	const step = next.isBackward ? undefined : rules.steps[next.at];
	if (next.until === undefined || step === undefined || step.type === "step") return;
	if (next.at === state.at && state.until !== undefined) return equal(transition, "until", next.until, state.until);
	const [least, most] = [leastAge(transition) + step.duration, now - claim.addedAt + step.duration];
	if (next.until < Math.floor(least) || next.until > most) {
		fail(`with ${step.name} until ${next.until}, should be from ${least} to ${most}`);
	}
}

function sorted(object: object): unknown {
	return Object.entries(object).sort();
}

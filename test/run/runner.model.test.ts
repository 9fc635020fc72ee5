import fc from "../property.ts";
import { describe, expect, test } from "vitest";
import {
	resetBackoff,
	retryAfter,
	retryNow,
	run,
	type RunOptions,
	sleep,
	stopNow,
	type TaskContext,
} from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { SpiedController, watch } from "../support.ts";

/** The behavior of a task in one attempt. */
interface Script {
	/** The duration. Infinity means that the attempt never ends. */
	readonly duration: number;
	readonly outcome: "return" | "fail" | "stopNow" | "retryNow" | "resetBackoff" | "retryAfter";
	/** The immediate reaction to an abort of the signal, or that the task does not read the signal. */
	readonly reaction: "unread" | "deaf" | "reject" | "fail" | "return";
}

interface Scenario {
	readonly scripts: readonly Script[];
	readonly attempts: number;
	readonly backoff: { readonly start: number; readonly factor: number; readonly max: number } | undefined;
	readonly timeout: number;
	readonly deadline: number;
	readonly abandonAfter: number;
	readonly abortAt: number;
	/** The attempts after which shouldRetry returns false. */
	readonly vetoes: readonly number[];
}

interface Outcome {
	/** The start times of the attempts. */
	readonly starts: readonly number[];
	readonly result: string;
	readonly at: number;
	/** The arguments of onAttemptFailed: the error, and the delay if another attempt follows. */
	readonly failures: readonly (readonly [error: string, delay: number | undefined])[];
}

const retryAfterDelay = 77;

/** A second, simple implementation of the laws of a run. */
function model(scenario: Scenario): Outcome | undefined {
	const { scripts, attempts, backoff, timeout, deadline, abandonAfter, abortAt } = scenario;
	const starts: number[] = [];
	const failures: [string, number | undefined][] = [];
	let now = 0;
	let delay: number | undefined;
	for (let attempt = 1;; attempt++) {
		if (abortAt <= now) return { starts, result: "abort", at: now, failures };
		starts.push(now);
		const { duration, outcome, reaction } = scripts[attempt - 1] ??
			{ duration: 0, outcome: "return", reaction: "deaf" };
		const limitAt = Math.min(now + timeout, deadline);
		const interruptedAt = Math.min(limitAt, abortAt);
		let endsAt = now + duration;
		let end: string = outcome;
		if (interruptedAt < endsAt && reaction !== "unread" && reaction !== "deaf" && abandonAfter > 0) {
			endsAt = interruptedAt;
			end = reaction;
		} else if (interruptedAt + abandonAfter < endsAt) {
			endsAt = interruptedAt + abandonAfter;
			end = "abandoned";
		}
		if (endsAt === Infinity) return undefined; // the run never ends
		now = endsAt;
		if (end === "return") return { starts, result: `value ${attempt}`, at: now, failures };
		const limit = deadline <= now ? "deadline" : "timeout";
		const isLate = limitAt <= now;
		const error = abortAt <= now
			? "abort"
			: isLate
			? (limitAt === deadline ? "deadline" : "timeout")
			: `error ${attempt}`;
		const mayRetry = abortAt > now && attempt < attempts && end !== "stopNow" && !(isLate && limit === "deadline");
		if (!mayRetry || scenario.vetoes.includes(attempt)) {
			failures.push([error, undefined]);
			return { starts, result: error, at: now, failures };
		}
		if (end === "retryNow" || end === "resetBackoff") delay = undefined;
		let wait = 0;
		if (end === "retryAfter") wait = retryAfterDelay;
		else if (end !== "retryNow" && backoff !== undefined) {
			wait = delay = delay === undefined ? backoff.start : Math.min(delay * backoff.factor, backoff.max);
		}
		if (now + wait >= deadline) {
			failures.push([error, undefined]);
			return { starts, result: "deadline", at: now, failures };
		}
		failures.push([error, wait]);
		if (abortAt < now + wait) return { starts, result: "abort", at: abortAt, failures };
		now += wait;
	}
}

/** The same run by the library. */
async function reality(scenario: Scenario): Promise<Outcome | undefined> {
	const clock = new VirtualClock();
	const controller = new SpiedController();
	const { scripts, vetoes, abortAt, ...rest } = scenario;
	const starts: number[] = [];
	const failures: [string, number | undefined][] = [];
	let isRunning = false;
	const options: RunOptions = {
		...rest,
		clock,
		signal: controller.signal,
		shouldRetry: (_error, { attempt }) => !vetoes.includes(attempt),
		onAttemptFailed: ({ error, again, delay }) => void failures.push([nameOf(error), again ? delay : undefined]),
	};
	if (abortAt < Infinity) sleep(abortAt, { clock }).then(() => controller.abort("abort"));
	let at = -1;
	const done = watch(
		run(async (context) => {
			starts.push(clock.monotonic());
			if (rest.abandonAfter === Infinity) expect(isRunning).toBe(false);
			isRunning = true;
			try {
				return await perform(scripts[context.attempt - 1], context, clock);
			} finally {
				isRunning = false;
			}
		}, options).finally(() => at = clock.monotonic()),
	);
	await clock.runUntilIdle();
	if (done.state === "pending") return undefined;
	expect(controller.listeners).toBe(0);
	const result = done.state === "resolved" ? `value ${done.value}` : nameOf(done.error);
	return { starts, result, at, failures };
}

async function perform(script: Script | undefined, context: TaskContext, clock: VirtualClock): Promise<number> {
	const { attempt } = context;
	if (script === undefined) return attempt;
	const { duration, outcome, reaction } = script;
	const error = `error ${attempt}`;
	const isReacting = reaction !== "unread" && reaction !== "deaf";
	if (reaction === "deaf") context.signal.addEventListener("abort", () => {});
	if (duration > 0) {
		const slept = await sleep(duration, { clock, signal: isReacting ? context.signal : undefined }).catch((reason) => ({
			reason,
		}));
		if (slept && reaction === "return") return attempt;
		if (slept) throw reaction === "fail" ? "because of the abort" : slept.reason;
	}
	if (outcome === "return") return attempt;
	if (outcome === "retryAfter") throw retryAfter(retryAfterDelay, error);
	const hints = { stopNow, retryNow, resetBackoff };
	throw outcome === "fail" ? error : hints[outcome](error);
}

function nameOf(error: unknown): string {
	if (typeof error === "string") return error;
	const { name, message } = error as Error;
	expect(name).toBe("TimeoutError");
	return message.startsWith("The deadline") ? "deadline" : "timeout";
}

const script: fc.Arbitrary<Script> = fc.record({
	duration: fc.oneof({ weight: 8, arbitrary: fc.nat(60) }, { weight: 1, arbitrary: fc.constant(Infinity) }),
	outcome: fc.constantFrom("return", "fail", "fail", "fail", "stopNow", "retryNow", "resetBackoff", "retryAfter"),
	reaction: fc.constantFrom("unread", "deaf", "reject", "fail", "return"),
});

// Each kind of time has its own fraction, so that no two events are simultaneous, because the order of simultaneous
// events is undefined.
const orNever = (offset: number, most: number) =>
	fc.oneof(fc.constant(Infinity), fc.nat(most).map((whole) => whole + offset));

const scenario: fc.Arbitrary<Scenario> = fc.record({
	scripts: fc.array(script, { maxLength: 6 }),
	attempts: fc.oneof(fc.integer({ min: 1, max: 6 }), fc.constant(Infinity)),
	backoff: fc.option(
		fc.record({ start: fc.nat(20), factor: fc.integer({ min: 1, max: 3 }), max: fc.integer({ min: 20, max: 100 }) }),
		{ nil: undefined },
	),
	timeout: orNever(1 / 2, 50),
	deadline: orNever(1 / 4 + 1 / 1024, 200),
	abandonAfter: fc.oneof(orNever(1 / 64, 20), fc.constant(0)),
	abortAt: orNever(1 / 8 + 1 / 2048, 200),
	vetoes: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 1 }),
});

describe("run()", () => {
	test("does what its laws say, for any task, options and moment of an abort", async () => {
		await fc.assert(
			fc.asyncProperty(scenario, async (scenario) => {
				expect(await reality(scenario)).toEqual(model(scenario));
			}),
			{ numRuns: 1000 },
		);
	});
});

// An abort at each microtask around each moment of a run. A completed result must stay complete, for all ways to run
// a task.
import { describe, expect, test } from "vitest";
import { Group, Pool, type PoolOptions, run, Runner, type RunnerOptions, sleep, type Task } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { afterMicrotasks, atEachMicrotask } from "../every-microtask.ts";
import { isPage, SpiedController, watch } from "../support.ts";

interface Begun {
	readonly done: Promise<string>;
	/** If absent, the controller aborts. */
	abort?(reason: unknown): void;
}

type Begin = (task: Task<string>, options: RunnerOptions, controller: SpiedController) => Begun;

const ways: Record<string, Begin> = {
	"run()": (task, options, { signal }) => ({ done: run(task, { ...options, signal }) }),
	"Runner.step()": (task, options, { signal }) => {
		const loop = async () => {
			const runner = new Runner(task, options);
			for (;;) {
				const step = await runner.step({ signal });
				if (step.ok) return step.value;
				if (!step.again) throw step.error;
				await sleep(step.delay, { signal, clock: options.clock });
			}
		};
		return { done: loop() };
	},
	"Group.spawn() with a signal": (task, options, { signal }) => ({
		done: new Group(options).spawn("a", task, { signal }).result(),
	}),
	"Group with a signal": (task, options, { signal }) => ({
		done: new Group({ ...options, signal }).spawn("a", task).result(),
	}),
	"GroupTask.cancel()": (task, options) => {
		const spawned = new Group(options).spawn("a", task);
		return { done: spawned.result(), abort: (reason) => spawned.cancel(reason) };
	},
	"Pool.run() with a signal": (task, options, { signal }) => ({
		done: new Pool({ ...options as PoolOptions, max: 1 }).run(task, { signal }),
	}),
	"PoolTask.cancel()": (task, options) => {
		const { clock, ...others } = options;
		const begun = new Pool({ max: 1, clock }).spawn("a", task, others);
		return { done: begun.result(), abort: (reason) => begun.cancel(reason) };
	},
	"Group.stop()": (task, options) => {
		const group = new Group(options);
		return { done: group.spawn("a", task).result(), abort: (reason) => void group.stop({ reason }) };
	},
};

/** The behavior of a task in an attempt; `value` is the result of a success. */
const deeds: Record<string, (value: string | undefined) => string | PromiseLike<string>> = {
	"returns or throws": (value) => {
		if (value === undefined) throw new Error("failure");
		return value;
	},
	"resolves or rejects": (value) => value === undefined ? Promise.reject(new Error("failure")) : Promise.resolve(value),
	"resolves or rejects later": async (value) => {
		for (let i = 0; i < 3; i++) await undefined;
		if (value === undefined) throw new Error("failure");
		return value;
	},
};

/** The moments of the abort, plus or minus some microtasks. */
const moments = ["start", "call 1", "end 1", "shouldRetry", "onAttemptFailed", "call 2", "end 2"] as const;
type Moment = typeof moments[number];

const plans: Record<string, RunnerOptions> = {
	"no options": {},
	"a timeout": { timeout: 1000, deadline: 10_000 },
	"abandonAfter: 0": { abandonAfter: 0 },
	"abandonAfter: 5": { abandonAfter: 5, timeout: 1000 },
};

/** Runs a task with an abort k microtasks after the moment. If k is negative, the abort comes first. */
async function trial(
	begin: Begin,
	deed: string,
	plan: string,
	moment: Moment,
	k: number,
	isRead: boolean,
	last: 1 | 2,
) {
	const clock = new VirtualClock();
	const controller = new SpiedController();
	const reason = { why: "enough" };
	/** The reported failed attempts. `isFinal` means that no abort has happened and no attempt follows. */
	const told: { error: unknown; isFinal: boolean }[] = [];
	/** Calls that began after the abort. */
	let late = 0;
	let isAborted = false;
	let returned: string | undefined;
	let begun: Begun | undefined = undefined as Begun | undefined;
	const abort = () => {
		isAborted = true;
		if (begun?.abort === undefined) controller.abort(reason);
		else begun.abort(reason);
	};
	const at = (here: string) => {
		if (here === moment && !isAborted) afterMicrotasks(k, abort);
	};
	const options: RunnerOptions = {
		...plans[plan],
		clock,
		attempts: 3,
		backoff: 10,
		shouldRetry: async (_error, { attempt }) => {
			at("shouldRetry");
			return await Promise.resolve(attempt < 2);
		},
		onAttemptFailed: ({ error, again }) => {
			at("onAttemptFailed");
			told.push({ error, isFinal: !again && !isAborted });
		},
	};
	begun = begin(
		(context) => {
			if (isAborted) late++;
			if (isRead) context.signal.aborted;
			at(`call ${context.attempt}`);
			const value = context.attempt === last ? "value" : undefined;
			const end = () => {
				at(`end ${context.attempt}`);
				// The run has not abandoned the attempt, which would be reported as a failure.
				if (value !== undefined && told.length < context.attempt) returned = value;
			};
			const result = deeds[deed]!;
			if (deed !== "resolves or rejects later") {
				end();
				return result(value);
			}
			return Promise.resolve().then(end).then(() => result(value));
		},
		options,
		controller,
	);
	const done = watch(begun.done);
	at("start");
	await clock.runUntilIdle();
	expect({ state: done.state, late }).toEqual({ state: done.state === "pending" ? "settled" : done.state, late: 0 });
	if (returned !== undefined && (plans[plan]!.abandonAfter === undefined || deed !== "resolves or rejects later")) {
		expect(done).toEqual({ state: "resolved", value: "value" });
	}
	if (done.state === "rejected") {
		const final = told.at(-1);
		// A failure that is reported as final is final. Otherwise the abort has ended the run.
		expect(done.error).toBe(final?.isFinal ? final.error : reason);
	}
	expect([controller.listeners, clock.pending]).toEqual([0, 0]);
}

/** All cases apart from the number of microtasks. */
const cases = moments.flatMap((moment) =>
	Object.keys(deeds).flatMap((deed) =>
		[false, true].flatMap((isRead) => ([1, 2] as const).map((last) => ({ moment, deed, isRead, last })))
	)
);

// Skipped in pages and workerd, where macrotasks are slow and each trial needs some. Microtasks do not depend on the
// engine.
describe.skipIf(isPage).each(Object.entries(ways))("%s", (_way, begin) => {
	test.each(Object.keys(plans))("keeps its laws whenever an abort comes: %s", async (plan) => {
		// All cases run concurrently, because a macrotask takes long in some engines.
		await Promise.all(cases.map(async ({ moment, deed, isRead, last }) => {
			try {
				await atEachMicrotask(30, (k) => trial(begin, deed, plan, moment, k, isRead, last));
			} catch (error) {
				const text = `${moment}, ${deed}, ${isRead ? "read" : "unread"}, ${last} attempts`;
				throw new Error(`${text}: ${(error as Error).message}`, { cause: error });
			}
		}));
	});
});

/** The behavior of a task k microtasks after its timeout. */
const reactions: Record<string, (reason: unknown) => string> = {
	"returns": () => "value",
	"rejects with the reason": (reason) => {
		throw reason;
	},
	"fails": () => {
		throw new Error("failure");
	},
};

/** Runs an attempt that times out, and then ends or is aborted by its caller some microtasks later. */
async function late(begin: Begin, reaction: string, abandonAfter: number, k: number, isAborted: boolean) {
	const clock = new VirtualClock();
	const controller = new SpiedController();
	const reason = { why: "enough" };
	const told: unknown[] = [];
	let [running, calls, most] = [0, 0, 0];
	const begun: Begun = begin(
		({ signal }) => {
			calls++;
			most = Math.max(most, ++running);
			return new Promise((resolve, reject) => {
				signal.addEventListener("abort", () => {
					if (isAborted) afterMicrotasks(k, () => (begun.abort ?? ((reason) => controller.abort(reason)))(reason));
					afterMicrotasks(isAborted ? 10 : k, () => {
						running--;
						try {
							resolve(reactions[reaction]!(signal.reason));
						} catch (error) {
							reject(error);
						}
					});
				});
			});
		},
		{ attempts: 2, timeout: 5, abandonAfter, clock, onAttemptFailed: ({ error }) => told.push(error) },
		controller,
	);
	const done = watch(begun.done);
	await clock.runUntilIdle();
	const { state, value, error } = done;
	if (state === "resolved") expect([value, told.length]).toEqual(["value", calls - 1]);
	else expect([state, calls, told.length, error]).toEqual(["rejected", calls, calls, isAborted ? error : told.at(-1)]);
	if (reaction === "returns" && abandonAfter > 0) expect([state, calls]).toEqual(["resolved", 1]);
	if (state === "rejected" && error !== reason) {
		expect([(error as Error).name, error]).toEqual(["TimeoutError", told.at(-1)]);
		expect((told[0] as Error).name).toBe("TimeoutError");
	}
	// Only an abandoned attempt may overlap the next one.
	if (abandonAfter > 0) expect(most).toBe(1);
	expect([controller.listeners, clock.pending]).toEqual([0, 0]);
}

// Skipped in pages and workerd; see above.
describe.skipIf(isPage).each(Object.entries(ways))("%s", (_way, begin) => {
	test.each([0, 20, Infinity])("keeps its laws around a timeout, with abandonAfter: %s", async (abandonAfter) => {
		for (const reaction of Object.keys(reactions)) {
			for (const isAborted of [false, true]) {
				await atEachMicrotask(30, (k) => late(begin, reaction, abandonAfter, k, isAborted));
			}
		}
	});
});

describe("sleep(), Group.wait() and GroupTask.wait()", () => {
	test("are over or aborted, and never both, whenever an abort comes", async () => {
		await atEachMicrotask(30, async (k) => {
			const clock = new VirtualClock();
			const controllers = [0, 1, 2].map(() => new SpiedController());
			const [slept, waited, ended] = controllers.map(({ signal }) => signal) as [AbortSignal, AbortSignal, AbortSignal];
			const group = new Group({ clock });
			const reason = { why: "enough" };
			const task = group.spawn("a", async () => {
				await sleep(5, { clock });
				afterMicrotasks(k, () => {
					for (const controller of controllers) controller.abort(reason);
				});
			});
			const [sleeping, waiting, ending] = [
				watch(sleep(5, { clock, signal: slept }).then(() => true)),
				watch(group.wait({ signal: waited })),
				watch(task.wait({ signal: ended })),
			];
			await clock.runUntilIdle();
			expect([true, reason]).toContain(sleeping.state === "resolved" ? sleeping.value : sleeping.error);
			for (const { state, value } of [waiting, ending]) expect([state, typeof value]).toEqual(["resolved", "boolean"]);
			expect([controllers.map(({ listeners }) => listeners), clock.pending]).toEqual([[0, 0, 0], 0]);
			// A task that stopped before the abort gets this result.
			if (k > 10) expect([waiting.value, ending.value]).toEqual([true, true]);
			if (k === 0) expect([waiting.value, ending.value]).toEqual([false, false]);
		});
	});
});

// The options of run() have the same effects in a pool.
import { describe, expect, test } from "vitest";
import {
	Pool,
	type PoolContext,
	type PoolFunction,
	type PoolTask,
	resetBackoff,
	retryAfter,
	retryNow,
	run,
	type RunnerOptions,
	sleep,
	stopNow,
	type Task,
} from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { deferred, errorOf, settle, SpiedController, untilAborted, watch } from "../support.ts";

const fail = (): never => {
	throw new Error("failure");
};

/** A task that ignores its signal. */
const forever = (): Promise<never> => new Promise(() => {});

/** Creates workers that keep records. */
function workshop() {
	const books = { made: 0, destroyed: [] as number[], died: [] as ((reason?: unknown) => void)[] };
	const createWorker = ({ died }: { died: (reason?: unknown) => void }) => {
		books.died.push(died);
		return ++books.made;
	};
	return { books, createWorker, destroyWorker: (worker: number) => void books.destroyed.push(worker) };
}

/** The ways to run a task with an external abort. */
const ways: Record<string, (task: Task<string>, options: RunnerOptions, signal: AbortSignal) => Promise<string>> = {
	"run()": (task, options, signal) => run(task, { ...options, signal }),
	"a Pool with the options": (task, options, signal) => new Pool({ max: 1, ...options }).run(task, { signal }),
	"a Pool whose task has the options": (task, { clock, ...options }, signal) =>
		new Pool({ max: 1, clock }).run(task, { ...options, signal }),
	"Pool.spawn()": (task, { clock, ...options }, signal) =>
		new Pool({ max: 1, clock, attempts: 9, timeout: 1 }).spawn("a", task, {
			attempts: 1,
			timeout: Infinity,
			...options,
			signal,
		}).result(),
};

/** The behavior of the task in each attempt. */
const scripts: Record<string, (context: { attempt: number; signal: AbortSignal }, clock: VirtualClock) => unknown> = {
	"fails at once": fail,
	"rejects later": async (_context, clock) => {
		await sleep(3, { clock });
		fail();
	},
	"succeeds in the end": ({ attempt }) => attempt < 3 ? fail() : "value",
	"ends with its signal": ({ signal }) => untilAborted(signal),
	"fails because of its signal": ({ signal }) => untilAborted(signal).catch(fail),
	"returns in spite of its signal": ({ signal }) => untilAborted(signal).catch(() => "value"),
	"is late and never looks": async (_context, clock) => {
		await sleep(30, { clock });
		fail();
	},
	"ignores its signal": ({ signal }) => (signal.aborted, forever()),
	"asks for no further attempt": ({ attempt }) => Promise.reject(attempt < 2 ? "again" : stopNow("stop")),
	"asks for an attempt now": ({ attempt }) => Promise.reject(attempt === 2 ? retryNow("now") : "failure"),
	"asks for the first delay": ({ attempt }) => Promise.reject(attempt === 2 ? resetBackoff("reset") : "failure"),
	"asks for a delay": ({ attempt }) => Promise.reject(attempt === 2 ? retryAfter(40, "later") : "failure"),
};

const plans: Record<string, RunnerOptions> = {
	"no options": {},
	"three attempts": { attempts: 3 },
	"a backoff": { attempts: 4, backoff: { start: 5, factor: 2, max: 15 } },
	"jitter": { attempts: 4, backoff: { start: 8, jitter: "full", random: () => 0.5 } },
	"a timeout": { attempts: 2, backoff: 5, timeout: 10 },
	"a deadline": { attempts: 9, backoff: 7, deadline: 20 },
	"a timeout and abandonAfter": { attempts: 2, backoff: 5, timeout: 10, abandonAfter: 4 },
	"abandonAfter: 0": { attempts: 2, timeout: 10, abandonAfter: 0 },
	"one attempt and a timeout": { timeout: 10, abandonAfter: 50 },
	"shouldRetry": { attempts: 9, backoff: 1, shouldRetry: (_error, { attempt }) => Promise.resolve(attempt < 2) },
	"shouldRetry that throws": { attempts: 9, shouldRetry: () => fail() },
};

/** Returns all observable events of a run. */
async function story(way: string, plan: string, script: string, abortAt: number): Promise<unknown[]> {
	const clock = new VirtualClock();
	const controller = new SpiedController();
	const told: unknown[] = [];
	const tell = (...what: unknown[]) => told.push([clock.monotonic(), ...what]);
	const text = (error: unknown) => error instanceof Error ? `${error.name}: ${error.message}` : error;
	const { shouldRetry } = plans[plan]!;
	const options: RunnerOptions = {
		...plans[plan],
		clock,
		onAttemptFailed: ({ error, ...rest }) => tell("failed", text(error), rest),
		shouldRetry: shouldRetry && ((error, context) => {
			tell("asked", text(error), context.attempt, context.signal.aborted);
			return shouldRetry(error, context);
		}),
	};
	const task: Task<string> = (context) => {
		tell("called", context.attempt, text(context.previousError));
		return scripts[script]!(context, clock) as string;
	};
	const done = ways[way]!(task, options, controller.signal);
	done.then((value) => tell("value", value), (error) => tell("error", text(error), text((error as Error)?.cause)));
	await clock.advance(abortAt);
	controller.abort("enough");
	// The run may not wait for a task that ignores its signal. Then the end of the task is not reported.
	await clock.runUntilIdle();
	if (script !== "ignores its signal") expect(controller.listeners).toBe(0);
	return told;
}

describe("Pool.run() with the options of run()", () => {
	test.each(Object.keys(plans))(
		"calls, waits, asks, tells and ends as run() does, whenever an abort comes: %s",
		async (plan) => {
			await Promise.all(
				Object.keys(scripts).flatMap((script) =>
					[2, 6, 12, 200].map(async (abortAt) => {
						const expected = await story("run()", plan, script, abortAt);
						expect(expected.length).toBeGreaterThan(0);
						for (const way of Object.keys(ways)) {
							expect([way, script, abortAt, ...await story(way, plan, script, abortAt)])
								.toEqual([way, script, abortAt, ...expected]);
						}
					})
				),
			);
		},
	);

	test("the options of a task outweigh those of the pool, one by one", async () => {
		const clock = new VirtualClock();
		const pool = new Pool({ max: 1, attempts: 3, backoff: 10, clock });
		const times: number[] = [];
		const task = () => {
			times.push(clock.monotonic());
			fail();
		};
		const results = [
			watch(pool.run(task)),
			watch(pool.run(task, { attempts: 2 })),
			watch(pool.run(task, { backoff: 25, attempts: undefined })),
			watch(pool.run(task, { attempts: 1, priority: 1 })),
		];
		await clock.runUntilIdle();
		expect(results.map(({ state }) => state)).toEqual(Array(4).fill("rejected"));
		expect(times).toEqual([0, 0, 0, 0, 10, 10, 20, 25, 50]);
	});

	test("a task that waits for its next attempt holds no worker, and then waits behind those with its priority", async () => {
		const clock = new VirtualClock();
		const pool = new Pool({ max: 1, attempts: 2, backoff: 10, clock });
		const order: string[] = [];
		const blocker = deferred();
		const task = pool.spawn("a", ({ attempt }) => {
			order.push(`a ${attempt}`);
			if (attempt === 1) fail();
		});
		await clock.advance(5);
		expect(pool.tasks().get("a")).toMatchObject({ status: "restarted", restarts: 1, worker: undefined });
		expect(pool.getSnapshot()).toMatchObject({ waiting: 1, running: 0 });
		expect(await pool.run(() => "other")).toBe("other");
		const running = pool.run(() => blocker.promise);
		await clock.advance(1);
		const waiting = pool.run(() => void order.push("b"));
		await clock.advance(10);
		const last = pool.run(() => void order.push("c"));
		const first = pool.run(() => void order.push("d"), { priority: 1 });
		expect(pool.getSnapshot()).toMatchObject({ waiting: 4, running: 1 });
		blocker.resolve();
		await Promise.all([task.result(), running, waiting, last, first]);
		expect(order).toEqual(["a 1", "d", "b", "a 2", "c"]);
	});

	test("the deadline passes while a task waits for a worker again, and not before its first attempt", async () => {
		const clock = new VirtualClock();
		const pool = new Pool({ max: 1, clock });
		const blockers = [deferred(), deferred()];
		pool.run(() => blockers[0]!.promise);
		const controller = new SpiedController();
		const failed: unknown[] = [];
		const task = pool.spawn("a", () => Promise.reject("failure"), {
			attempts: 9,
			backoff: 10,
			deadline: 50,
			signal: controller.signal,
			onAttemptFailed: ({ attempt, again }) => failed.push([attempt, again]),
		});
		const done = watch(task.result());
		await clock.advance(100);
		expect([done.state, pool.tasks().get("a")?.status]).toEqual(["pending", "not-assigned"]);
		blockers[0]!.resolve();
		await clock.advance(0);
		pool.run(() => blockers[1]!.promise);
		await clock.advance(49);
		expect([done.state, pool.tasks().get("a")?.status]).toEqual(["pending", "restarted"]);
		await clock.advance(1);
		expect(done).toMatchObject({ state: "rejected", error: { name: "TimeoutError", cause: "failure" } });
		expect([failed, pool.tasks().size, controller.listeners]).toEqual([[[1, true]], 0, 0]);
		blockers[1]!.resolve();
		expect([await pool.wait(), await pool.run(() => "next")]).toEqual([true, "next"]);
	});

	test("a deadline that is far away leaves no timer behind, however the task ends", async () => {
		const endings: Record<string, (task: PoolTask, pool: Pool) => unknown> = {
			"in its next attempt": () => {},
			"a cancel": (task) => task.cancel(),
			"a stop": (_task, pool) => pool.stop(),
		};
		for (const [title, end] of Object.entries(endings)) {
			const clock = new VirtualClock();
			const pool = new Pool({ max: 1, deadline: 1e6, timeout: 1e5, attempts: 3, idleTimeout: 1, clock });
			const blocker = deferred();
			const task = pool.spawn("a", ({ attempt }) => attempt === 1 ? fail() : "done");
			await task.assigned();
			pool.run(() => blocker.promise).catch(() => {});
			await clock.advance(10);
			expect([title, clock.pending]).toEqual([title, 1]);
			end(task, pool);
			blocker.resolve();
			await task.result().catch(() => {});
			await clock.advance(1);
			expect([title, clock.pending, await pool.wait()]).toEqual([title, 0, true]);
		}
	});

	test("a timeout gives the worker back when the task has settled, or gives it up with abandonAfter", async () => {
		const clock = new VirtualClock();
		const { books, ...workers } = workshop();
		const pool = new Pool({ ...workers, max: 1, clock, timeout: 10, attempts: 2 });
		const late = deferred<number>();
		const polite = pool.run(({ signal, attempt, worker }) => attempt === 1 ? untilAborted(signal) : worker);
		await clock.advance(10);
		expect([await polite, books]).toMatchObject([1, { made: 1, destroyed: [] }]);
		const failed: unknown[] = [];
		const rude = pool.spawn("a", ({ attempt, worker }) => attempt === 1 ? late.promise : worker, {
			abandonAfter: 5,
			onAttemptFailed: ({ error }) => failed.push((error as Error).name),
		});
		await clock.advance(14);
		expect([pool.tasks().get("a")?.status, books.destroyed]).toEqual(["running", []]);
		await clock.advance(1);
		expect([await rude.result(), failed, books.made, books.destroyed]).toEqual([2, ["TimeoutError"], 2, [1]]);
		late.resolve(0);
		await settle();
		expect([pool.workers().size, await pool.run(({ worker }) => worker)]).toEqual([1, 2]);
		await pool.stop();
		expect(books.destroyed).toEqual([1, 2]);
	});

	test("abandonAfter also ends what is cancelled, and what a stop waits for", async () => {
		for (const isStopped of [false, true]) {
			for (const createWorker of [undefined, () => undefined]) {
				const clock = new VirtualClock();
				const pool = new Pool({ max: 1, clock, createWorker, abandonAfter: 20 });
				const task = pool.spawn("a", forever);
				await task.assigned();
				const stopped = isStopped ? watch(pool.stop()) : undefined;
				if (!isStopped) task.cancel("enough");
				const done = watch(task.result());
				await clock.advance(19);
				expect([done.state, stopped?.state]).toEqual(["pending", isStopped ? "pending" : undefined]);
				await clock.advance(1);
				expect([done.state, stopped?.state]).toEqual(["rejected", isStopped ? "resolved" : undefined]);
				if (!isStopped) expect([done.error, await pool.run(() => "next")]).toEqual(["enough", "next"]);
				expect(pool.getSnapshot()).toMatchObject({ waiting: 0, running: 0 });
			}
		}
	});

	test("a worker that was given up with its task is not used again, and the next task gets another", async () => {
		const clock = new VirtualClock();
		const { books, ...workers } = workshop();
		const pool = new Pool({ ...workers, max: 2, clock, abandonAfter: 0 });
		const late = deferred();
		const task = pool.spawn("a", () => late.promise);
		await task.assigned();
		task.cancel("enough");
		expect(await errorOf(task.result())).toBe("enough");
		expect([books.destroyed, pool.workers().size]).toEqual([[1], 0]);
		expect((await Promise.all([1, 2].map(() => pool.run(({ worker }) => worker)))).toSorted()).toEqual([2, 3]);
		late.resolve();
		await settle();
		expect([pool.workers().size, books.destroyed]).toEqual([2, [1]]);
		await pool.stop();
	});

	test("a worker that dies is a failed attempt, hints included, and so is one that cannot be made", async () => {
		const clock = new VirtualClock();
		const { books, ...workers } = workshop();
		let errors = 1;
		const createWorker = (context: { died: (reason?: unknown) => void }) => {
			if (errors-- > 0) throw "not made";
			return workers.createWorker(context);
		};
		const told: unknown[] = [];
		const pool = new Pool({
			...workers,
			createWorker,
			max: 1,
			clock,
			attempts: 4,
			backoff: { start: 200, factor: 2 },
			shouldRetry: (error, { attempt, worker }) => told.push([clock.monotonic(), error, attempt, worker]) > 0,
		});
		const reasons = ["lost", retryAfter(1000, "lost with a hint")];
		const task = pool.spawn("a", ({ attempt, signal }) => {
			if (attempt === 4) return "done";
			signal.addEventListener("abort", () => told.push(signal.reason));
			books.died.at(-1)!(reasons[attempt - 2]);
			return forever();
		});
		await clock.runUntilIdle();
		expect(await task.result()).toBe("done");
		expect(told).toEqual([
			[0, "not made", 1, undefined],
			"lost",
			[200, "lost", 2, 1],
			"lost with a hint",
			[600, "lost with a hint", 3, 2],
		]);
		expect([clock.monotonic() >= 1600, books.made]).toEqual([true, 3]);
	});

	test("a hint with which a worker dies is not seen by a task that has one attempt", async () => {
		const { books, ...workers } = workshop();
		const pool = new Pool({ ...workers, max: 1 });
		const reasons: unknown[] = [];
		const task = pool.spawn("a", ({ signal }) => {
			signal.addEventListener("abort", () => reasons.push(signal.reason));
			return forever();
		});
		await task.assigned();
		books.died[0]!(stopNow("lost"));
		expect([await errorOf(task.result()), reasons]).toEqual(["lost", ["lost"]]);
	});

	test("a stop in the abort listener of a task whose worker dies leaves no task behind", async () => {
		for (const options of [{}, { attempts: 3 }, { restart: () => true }]) {
			const { books, ...workers } = workshop();
			const pool: Pool<number> = new Pool({ ...workers, max: 1 });
			let stopped: Promise<void> | undefined;
			const task = pool.spawn("a", ({ signal }) => {
				signal.addEventListener("abort", () => stopped = pool.stop());
				return forever();
			}, options);
			await task.assigned();
			books.died[0]!("lost");
			const error = await errorOf(task.result()) as Error;
			await stopped;
			expect(["lost", "AbortError"]).toContain(error.name ?? error);
			expect([pool.tasks().size, books.destroyed]).toEqual([0, [1]]);
		}
	});

	test("restart is short for any number of attempts; attempts limit it, and shouldRetry is refused beside it", async () => {
		const clock = new VirtualClock();
		const pool = new Pool({ max: 1, clock, attempts: 2, backoff: 5, shouldRetry: () => false });
		let calls = 0;
		const restart = () => true;
		const task: PoolFunction<unknown> = ({ attempt }) => {
			calls++;
			if (attempt < 6) fail();
		};
		const [unlimited, limited] = [watch(pool.run(task, { restart })), watch(pool.run(task, { restart, attempts: 3 }))];
		await clock.runUntilIdle();
		expect([unlimited.state, limited.state, calls]).toEqual(["resolved", "rejected", 9]);
		const both = { restart, shouldRetry: restart };
		expect(() => pool.spawn("a", task, both)).toThrow(/"restart" must be .*"shouldRetry"/);
		expect(((await errorOf(pool.run(task, both))) as Error).name).toBe("RangeError");
		expect(pool.tasks().size).toBe(0);
	});

	test("shouldRetry and the task see the worker, and reports of an earlier attempt do not show", async () => {
		const clock = new VirtualClock();
		const reports: PoolContext["report"][] = [];
		const workers: unknown[] = [];
		const pool = new Pool({
			max: 1,
			createWorker: () => "worker",
			attempts: 2,
			clock,
			shouldRetry: (_error, { worker }) => workers.push(worker) > 0,
		});
		const second = deferred();
		const task = pool.spawn("a", ({ attempt, report, worker }) => {
			reports.push(report);
			workers.push(worker);
			report(attempt / 10);
			return attempt === 1 ? fail() : second.promise;
		});
		await clock.advance(0);
		reports[0]!(0.9);
		expect(pool.tasks().get("a")).toMatchObject({ status: "running", restarts: 1, progress: 0.2, worker: 1 });
		second.resolve();
		await task.result();
		expect(workers).toEqual(["worker", "worker", "worker"]);
	});

	test("stop() resolves after the callers have heard, whatever is decided", async () => {
		for (const shouldRetry of [undefined, forever, () => true]) {
			const clock = new VirtualClock();
			const pool = new Pool({ max: 2, clock, attempts: 3, backoff: 10, shouldRetry });
			let heard = 0;
			for (const task of [fail, fail, ({ signal }: PoolContext) => untilAborted(signal), fail]) {
				pool.run(task).catch(() => heard++);
			}
			await clock.advance(5);
			await pool.stop();
			expect([heard, pool.getSnapshot().waiting, clock.pending]).toEqual([4, 0, 0]);
		}
	});
});

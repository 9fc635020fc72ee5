import { describe, expect, test, vi } from "vitest";
import {
	NameInUseError,
	Pool,
	type PoolContext,
	type PoolTask,
	resetBackoff,
	retryAfter,
	retryNow,
	sleep,
	stopNow,
} from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { afterMicrotasks, atEachMicrotask } from "../every-microtask.ts";
import { deferred, errorOf, isPage, settle, SpiedController, untilAborted, watch } from "../support.ts";

const fail = (): never => {
	throw new Error("failure");
};

const forever = ({ signal }: { signal: AbortSignal }): Promise<never> => untilAborted(signal);

/** Workers that keep records. */
class Workshop {
	made = 0;
	readonly destroyed: number[] = [];
	readonly died: ((reason?: unknown) => void)[] = [];
	readonly signals: AbortSignal[] = [];
	/** The errors of the next creations. */
	errors: unknown[] = [];
	waitFor: Promise<unknown> | undefined;

	readonly createWorker = async ({ signal, died }: { signal: AbortSignal; died: (reason?: unknown) => void }) => {
		this.signals.push(signal);
		await this.waitFor;
		if (this.errors.length > 0) throw this.errors.shift();
		this.died.push(died);
		return this.made++;
	};

	readonly destroyWorker = (worker: number) => void this.destroyed.push(worker);
}

describe("Pool, the order of what ends", () => {
	const tasks: Record<string, () => unknown> = {
		"that return at once": () => {},
		"that take a microtask": async () => await undefined,
		"that take several": () => settle(),
		"that throw": fail,
		"that reject": () => Promise.reject(new Error("failure")),
	};

	for (const [title, task] of Object.entries(tasks)) {
		for (const options of [undefined, { priority: 1 }, { restart: () => false }]) {
			const name = `tasks ${title}, options ${options === undefined ? "none" : Object.keys(options)}`;
			test(`Pool.wait() resolves after the callers of run() have heard of their results: ${name}`, async () => {
				for (const createWorker of [undefined, () => undefined]) {
					const pool = new Pool({ max: 2, createWorker });
					let heard = 0;
					const hear = () => heard++;
					for (let i = 1; i <= 5; i++) pool.run(task, options).then(hear, hear);
					expect([await pool.wait(), heard]).toEqual([true, 5]);
					await pool.stop();
				}
			});
		}
	}

	for (const isPaused of [false, true]) {
		const name = isPaused ? "of a pool that is paused" : "of a pool";

		test(`Pool.stop() ${name} resolves after the callers of run() have heard that their tasks are rejected`, async () => {
			await atEachMicrotask(30, async (k) => {
				const pool = new Pool({ max: 2 });
				if (isPaused) pool.pause();
				let heard = 0;
				for (let i = 1; i <= 5; i++) pool.run(forever).catch(() => heard++);
				await new Promise<void>((resolve) => afterMicrotasks(k, resolve));
				await pool.stop();
				expect(heard).toBe(5);
			});
		});

		test(`Pool.wait() ${name} resolves after the callers of run() have heard that their tasks are cancelled`, async () => {
			await atEachMicrotask(30, async (k) => {
				const pool = new Pool({ max: 2 });
				if (isPaused) pool.pause();
				const controller = new AbortController();
				let heard = 0;
				for (let i = 1; i <= 5; i++) pool.run(forever, controller).catch(() => heard++);
				await new Promise<void>((resolve) => afterMicrotasks(k, resolve));
				controller.abort("enough");
				expect([await pool.wait(), heard]).toEqual([true, 5]);
				await pool.stop();
			});
		});
	}
});

describe("Pool.run()", () => {
	test("never calls the task synchronously, and resolves with its value", async () => {
		const pool = new Pool({ max: 1 });
		const task = vi.fn(() => "value");
		const done = pool.run(task);
		expect(task).not.toHaveBeenCalled();
		expect(await done).toBe("value");
		expect(await pool.run(async () => 2)).toBe(2);
		await pool.stop();
	});

	test("rejects with what the task throws, and harms neither the worker nor the pool", async () => {
		const pool = new Pool({ max: 1 });
		for (const thrown of [undefined, new Error("failure"), null]) {
			expect(await errorOf(pool.run(() => Promise.reject(thrown)))).toBe(thrown);
			expect(
				await errorOf(pool.run(() => {
					throw thrown;
				})),
			).toBe(thrown);
		}
		const error = new Error("original");
		expect(await errorOf(pool.run(() => Promise.reject(retryAfter(1, error))))).toBe(error);
		expect([await pool.run(() => 1), pool.workers().size]).toEqual([1, 1]);
		await pool.stop();
	});

	test("runs at most max tasks at the same time, first come, first served", async () => {
		const clock = new VirtualClock();
		const pool = new Pool({ max: 3, clock });
		let running = 0;
		let most = 0;
		const order: number[] = [];
		const all = Promise.all(Array.from({ length: 10 }, (_, index) =>
			pool.run(async () => {
				order.push(index);
				most = Math.max(most, ++running);
				await sleep(10, { clock });
				running--;
			})));
		await clock.advance(40);
		await all;
		expect([most, running, order]).toEqual([3, 0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]);
	});

	test("runs those with the highest priority first", async () => {
		const pool = new Pool({ max: 1 });
		const order: string[] = [];
		const all = [["a", 0], ["b", 5], ["c", -1], ["d", 5], ["e", 0], ["f", 1.5]].map(([name, priority]) =>
			pool.run(() => void order.push(name as string), { priority: priority as number })
		);
		await Promise.all(all);
		expect(order.join("")).toBe("bdfaec");
	});

	test("its signal takes it out of the queue, or aborts it while it runs", async () => {
		const controller = new SpiedController();
		const { signal } = controller;
		const pool = new Pool({ max: 1 });
		const task = vi.fn();
		const running = pool.run(forever, { signal });
		const waiting = pool.run(task, { signal });
		await settle();
		expect(controller.listeners).toBe(1);
		controller.abort("enough");
		expect([await errorOf(running), await errorOf(waiting)]).toEqual(["enough", "enough"]);
		expect(await errorOf(pool.run(task, { signal }))).toBe("enough");
		expect([task.mock.calls.length, controller.listeners, await pool.wait()]).toEqual([0, 0, true]);
		expect(await pool.run(() => 1)).toBe(1);
	});

	test("a task that returns in spite of the abort has succeeded; one that throws fails with the reason", async () => {
		const pool = new Pool({ max: 2 });
		for (const outcome of ["value", "failure"]) {
			const controller = new AbortController();
			const done = watch(pool.run(async ({ signal }) => {
				await untilAborted(signal).catch(() => {});
				if (outcome === "failure") fail();
				return "value";
			}, { signal: controller.signal }));
			await settle();
			controller.abort("enough");
			await settle();
			expect(done.value ?? done.error).toBe(outcome === "value" ? "value" : "enough");
		}
	});

	test("checks its arguments", async () => {
		const pool = new Pool({ max: 1 });
		const bad: [unknown, unknown][] = [
			["task", {}],
			[() => {}, null],
			[() => {}, { priority: NaN }],
			[() => {}, { priority: "high" }],
			[() => {}, { signal: {} }],
			[() => {}, { restart: true }],
		];
		for (const [task, options] of bad) {
			const error = await errorOf(pool.run(task as never, options as never)) as Error;
			expect(["TypeError", "RangeError"]).toContain(error.name);
			expect(() => pool.spawn("a", task as never, options as never)).toThrow(error.message);
		}
		expect(() => pool.spawn(5 as never, () => {})).toThrow(TypeError);
		expect(pool.tasks().size).toBe(0);
		for (
			const options of [
				{ max: 0 },
				{ max: 1.5 },
				{ max: "1" },
				{},
				{ max: 1, min: 2 },
				{ max: 1, min: -1 },
				{ max: 1, idleTimeout: -1 },
				{ max: 1, createWorker: 5 },
				{ max: 1, destroyWorker: 5 },
				{ max: 1, onError: 5 },
				{ max: 1, clock: 5 },
				null,
				undefined,
			]
		) {
			expect(() => new Pool(options as never)).toThrow();
		}
		expect(() => pool.max = 0).toThrow(RangeError);
	});
});

describe("Pool.spawn()", () => {
	test("refuses the name of a task that waits or runs with a NameInUseError", async () => {
		const pool = new Pool({ max: 1 });
		const task = pool.spawn("a", forever);
		expect(() => pool.spawn("a", () => 1)).toThrow(NameInUseError);
		await task.assigned();
		const error = await errorOf(Promise.resolve().then(() => pool.spawn("a", () => 1)));
		expect(error).toMatchObject({
			...{ name: "NameInUseError", subject: "task", id: "a" },
			message: 'There is already a task "a": use another name, or wait until it is over',
		});
		task.cancel();
		await errorOf(task.result());
		expect(await pool.spawn("a", () => 1).result()).toBe(1);
	});

	test("assigned() resolves when a worker has taken the task, and rejects if that never happens", async () => {
		const pool = new Pool({ max: 1 });
		const [first, second] = [pool.spawn("a", forever), pool.spawn("b", forever)];
		const states = [watch(first.assigned()), watch(second.assigned())];
		await settle();
		expect(states.map(({ state }) => state)).toEqual(["resolved", "pending"]);
		second.cancel("enough");
		expect([await errorOf(second.assigned()), await errorOf(second.result())]).toEqual(["enough", "enough"]);
		first.cancel();
		expect(await errorOf(first.result())).toMatchObject({ name: "AbortError" });
		first.cancel();
		second.cancel();
	});

	test("a failing task is nobody's unhandled rejection", async () => {
		const pool = new Pool({ max: 1 });
		pool.spawn("a", fail);
		pool.spawn("b", forever);
		pool.spawn("c", () => 1);
		await pool.stop();
	});

	test("restart puts a failed task back at the end of the queue and counts", async () => {
		const pool = new Pool({ max: 1 });
		const order: unknown[] = [];
		const task = pool.spawn("a", ({ attempt, previousError }) => {
			order.push([attempt, (previousError as Error | undefined)?.message, pool.tasks().get("a")]);
			if (attempt < 3) throw new Error(`failure ${attempt}`);
			return "done";
		}, { restart: (error, { attempt }) => order.push(`${(error as Error).message} of ${attempt}`) > 0 });
		const other = pool.run(() => void order.push("other"));
		expect(pool.tasks().get("a")?.status).toBe("not-assigned");
		expect(await task.result()).toBe("done");
		await other;
		const running = { status: "running", worker: 1, progress: undefined, description: undefined };
		expect(order).toEqual([
			[1, undefined, { ...running, restarts: 0 }],
			"failure 1 of 1",
			"other",
			[2, "failure 1", { ...running, restarts: 1 }],
			"failure 2 of 2",
			[3, "failure 2", { ...running, restarts: 2 }],
		]);
		expect(pool.tasks().size).toBe(0);
	});

	test("shows a task that waits again as restarted", async () => {
		const pool = new Pool({ max: 1 });
		const blocker = deferred();
		const task = pool.spawn("a", ({ attempt }) => attempt === 1 ? fail() : "done", { restart: () => true });
		pool.run(() => blocker.promise);
		await task.assigned();
		await settle();
		expect(pool.tasks().get("a")).toMatchObject({ status: "restarted", restarts: 1, worker: undefined });
		blocker.resolve();
		expect(await task.result()).toBe("done");
	});

	test("does not restart after a cancel, a stopNow, a stop, or when restart says no or throws", async () => {
		const pool = new Pool({ max: 3 });
		const restart = vi.fn(() => true);
		const cancelled = pool.spawn("cancelled", forever, { restart });
		await cancelled.assigned();
		cancelled.cancel("enough");
		expect(await errorOf(cancelled.result())).toBe("enough");
		expect(await errorOf(pool.spawn("stopped", () => Promise.reject(stopNow("final")), { restart }).result())).toBe(
			"final",
		);
		expect(restart).not.toHaveBeenCalled();
		await expect(pool.spawn("no", fail, { restart: () => 1 as never }).result()).rejects.toThrow("failure");
		const thrower = () => {
			throw new Error("no idea");
		};
		await expect(pool.spawn("throws", fail, { restart: thrower }).result()).rejects.toThrow("no idea");
		const last = pool.spawn("last", forever, { restart });
		await last.assigned();
		await pool.stop();
		expect(await errorOf(last.result())).toMatchObject({ name: "AbortError" });
		expect(restart).not.toHaveBeenCalled();
	});

	test("comes back in a new macrotask, so that a task that always fails leaves room for timers", async () => {
		const pool = new Pool({ max: 1 });
		const task = pool.spawn("a", fail, { restart: () => true });
		await sleep(20);
		task.cancel("enough");
		expect(await errorOf(task.result())).toBe("enough");
		await pool.stop();
	});

	test("heeds the hints that a task throws: after a delay or at once, and nobody sees the hint", async () => {
		for (const [hint, delay] of [[retryAfter(200, "no"), 200], [retryNow("no"), 0], [resetBackoff("no"), 0]] as const) {
			const clock = new VirtualClock();
			const pool = new Pool({ max: 1, clock });
			const seen: unknown[] = [];
			const task = pool.spawn("a", ({ attempt, previousError }) => {
				seen.push([clock.monotonic(), previousError]);
				if (attempt < 4) throw hint;
				return "done";
			}, { restart: (error) => seen.push(error) > 0 });
			await clock.advance(0);
			expect(await pool.run(() => "other")).toBe("other");
			await clock.runUntilIdle();
			expect(await task.result()).toBe("done");
			const times = [0, 1, 2, 3].map((number) => number * delay);
			expect(seen).toEqual(
				times.flatMap((time, index): unknown[] => index === 0 ? [[0, undefined]] : ["no", [time, "no"]]),
			);
		}
	});

	test("a delay before a restart ends with a cancel, an abort or a stop, and leaves nothing behind", async () => {
		const endings: ((task: PoolTask, controller: AbortController, pool: Pool) => unknown)[] = [
			(task) => task.cancel("enough"),
			(_task, controller) => controller.abort("enough"),
			(_task, _controller, pool) => pool.stop(),
		];
		for (const end of endings) {
			const clock = new VirtualClock();
			const controller = new SpiedController();
			const pool = new Pool({ max: 1, clock, idleTimeout: 5 });
			const task = pool.spawn("a", () => Promise.reject(retryAfter(1000)), {
				restart: () => true,
				signal: controller.signal,
			});
			const idle = watch(pool.wait());
			await clock.advance(10);
			expect([pool.tasks().get("a"), idle.state]).toMatchObject([{ status: "restarted", restarts: 1 }, "pending"]);
			expect(pool.getSnapshot()).toMatchObject({ waiting: 1, running: 0 });
			end(task, controller, pool);
			expect(pool.tasks().size).toBe(0);
			expect(["enough", "AbortError"]).toContain(await task.result().catch((error) => error.name ?? error));
			expect([await pool.wait(), clock.pending, controller.listeners]).toEqual([true, 0, 0]);
			await pool.stop();
		}
	});

	test("restart may be async: the task waits for the answer, and fails with what it rejects with", async () => {
		const pool = new Pool({ max: 1 });
		const answers = [Promise.resolve(true), Promise.resolve(false), Promise.reject(new Error("no idea"))];
		answers[2]!.catch(() => {});
		for (const [index, expected] of ["done", "failure", "no idea"].entries()) {
			const task = pool.spawn("a", ({ attempt }) => attempt === 1 ? fail() : "done", {
				restart: () => answers[index]!,
			});
			expect(await task.result().catch((error) => error.message)).toBe(expected);
		}
		const answer = deferred<boolean>();
		let signal: AbortSignal | undefined;
		const task = pool.spawn("a", fail, {
			restart: (_error, context) => {
				({ signal } = context);
				return answer.promise;
			},
		});
		await task.assigned();
		await settle();
		expect([pool.tasks().get("a")?.worker, await pool.run(() => "other")]).toEqual([undefined, "other"]);
		task.cancel("enough");
		expect([await errorOf(task.result()), signal!.reason]).toEqual(["enough", "enough"]);
		answer.resolve(true);
		await settle();
		expect(pool.getSnapshot()).toMatchObject({ waiting: 0, running: 0 });
		await pool.stop();
	});

	test("restart may cancel its task, abort it, or stop the pool: then the task does not come back", async () => {
		for (const method of ["cancel", "abort", "stop"]) {
			const controller = new SpiedController();
			const pool = new Pool({ max: 1 });
			const run = vi.fn(fail);
			const task: PoolTask = pool.spawn("a", run, {
				signal: controller.signal,
				restart: () => {
					if (method === "cancel") task.cancel("enough");
					else if (method === "abort") controller.abort("enough");
					else pool.stop();
					return true;
				},
			});
			await errorOf(task.result());
			await settle();
			expect([run.mock.calls.length, pool.tasks().size, controller.listeners]).toEqual([1, 0, 0]);
			await pool.stop();
		}
	});

	test("a subscriber that cancels a task just before its call stops the call", async () => {
		for (const method of ["cancel", "abort", "stop"]) {
			const controller = new SpiedController();
			const pool = new Pool({ max: 1 });
			const run = vi.fn(() => 1);
			const task = pool.spawn("a", run, { signal: controller.signal });
			pool.subscribe(() => {
				if (pool.tasks().get("a")?.status !== "running") return;
				if (method === "cancel") task.cancel("enough");
				else if (method === "abort") controller.abort("enough");
				else pool.stop();
			});
			const name = method === "stop" ? "AbortError" : undefined;
			const errors = [await errorOf(task.assigned()), await errorOf(task.result())];
			expect(errors.map((error) => (error as Error).name)).toEqual([name, name]);
			expect([run.mock.calls.length, pool.getSnapshot().running, controller.listeners]).toEqual([0, 0, 0]);
			await pool.stop();
		}
	});

	test("report() shows in tasks(), also taken out of the context, but not after the run", async () => {
		const clock = new VirtualClock();
		const pool = new Pool({ max: 1, clock });
		let report!: PoolContext["report"];
		const [first, second] = [deferred(), deferred()];
		const task = pool.spawn("a", async (context) => {
			({ report } = context);
			await (context.attempt === 1 ? first : second).promise;
		}, { restart: () => true });
		await task.assigned();
		report(0.5, "half");
		expect(pool.tasks().get("a")).toMatchObject({ progress: 0.5, description: "half" });
		const late = report;
		first.reject("again");
		await clock.advance(0);
		expect(pool.tasks().get("a")).toMatchObject({ restarts: 1, progress: undefined, description: undefined });
		late(0.9);
		expect(pool.tasks().get("a")).toMatchObject({ progress: undefined });
		report(1);
		expect(pool.tasks().get("a")).toMatchObject({ progress: 1, description: undefined });
		second.resolve();
		await task.result();
		report(2);
		await pool.run(({ report }) => report(1));
	});
});

describe("Pool workers", () => {
	test("min exist from the start, more come on demand, and an idle one above min goes after idleTimeout", async () => {
		const clock = new VirtualClock();
		const workshop = new Workshop();
		const pool = new Pool({ ...workshop, min: 1, max: 3, idleTimeout: 100, clock });
		expect(workshop.signals.length).toBe(0);
		await clock.advance(0);
		expect([...pool.workers()]).toEqual([[1, { status: "waiting", task: undefined }]]);
		const finish = deferred();
		const all = Array.from({ length: 5 }, () => pool.run(() => finish.promise));
		await clock.advance(0);
		expect([workshop.made, pool.workers().size]).toEqual([3, 3]);
		finish.resolve();
		await Promise.all(all);
		await clock.advance(99);
		expect(pool.workers().size).toBe(3);
		await clock.advance(1);
		expect([pool.workers().size, workshop.destroyed.length]).toEqual([1, 2]);
		await clock.advance(1000);
		expect(pool.workers().size).toBe(1);
		await pool.stop();
		expect(workshop.destroyed.toSorted()).toEqual([0, 1, 2]);
	});

	test("are used one task at a time, the one that was used last first", async () => {
		const workshop = new Workshop();
		const pool = new Pool({ ...workshop, min: 2, max: 2 });
		await settle();
		const first = await pool.run(({ worker }) => worker);
		const all = Array.from({ length: 5 }, () => pool.run(({ worker }) => worker));
		expect(await pool.run(({ worker }) => worker)).toBeTypeOf("number");
		await Promise.all(all);
		expect(await pool.run(({ worker }) => worker)).toBe(await pool.run(({ worker }) => worker));
		expect([0, 1]).toContain(first);
		await pool.stop();
	});

	test("without createWorker are plain slots, as many as are needed", async () => {
		const pool = new Pool({ min: 2, max: Infinity });
		expect(pool.workers().size).toBe(2);
		const names = Array.from({ length: 5 }, (_, index) => `task ${index}`);
		const tasks = names.map((name) => pool.spawn(name, forever));
		await Promise.all(tasks.map((task) => task.assigned()));
		expect([...pool.workers().values()].map(({ task }) => task).toSorted()).toEqual(names);
		await pool.stop();
		expect(pool.workers().size).toBe(0);
	});

	test("an idle one keeps no timer running for ever", async () => {
		const clock = new VirtualClock();
		const pool = new Pool({ max: 5, clock });
		await Promise.all([1, 2, 3].map((value) => pool.run(() => value)));
		expect([pool.workers().size, clock.pending]).toEqual([3, 3]);
		await clock.runUntilIdle();
		expect([pool.workers().size, clock.monotonic(), clock.pending]).toEqual([0, 10_000, 0]);
	});

	test("that cannot be made fail the task that is next, and are tried again after a while", async () => {
		const clock = new VirtualClock();
		const workshop = new Workshop();
		const errors: unknown[] = [];
		workshop.errors = ["no 1", "no 2", "no 3"];
		const pool = new Pool({ ...workshop, max: 1, clock, onError: (error) => void errors.push(error) });
		const [first, second, third] = ["a", "b", "c"].map((name) =>
			pool.spawn(name, ({ worker }) => worker, { restart: (error) => error === "no 2" })
		) as [PoolTask, PoolTask, PoolTask];
		await clock.advance(0);
		expect([await errorOf(first.result()), await errorOf(first.assigned())]).toEqual(["no 1", "no 1"]);
		await clock.advance(99);
		expect(workshop.signals.length).toBe(1);
		await clock.advance(1);
		expect([workshop.signals.length, pool.tasks().get("b")]).toMatchObject([2, { status: "restarted" }]);
		await clock.advance(200);
		expect(await errorOf(third.result())).toBe("no 3");
		await clock.advance(400);
		expect(await second.result()).toBe(0);
		expect(errors).toEqual([]);
		await pool.stop();
	});

	test("that cannot be made while no task waits reach onError, with growing delays", async () => {
		const clock = new VirtualClock();
		const workshop = new Workshop();
		const times: number[] = [];
		workshop.errors = Array(5).fill("no");
		const pool = new Pool({ ...workshop, min: 1, max: 1, clock, onError: () => void times.push(clock.monotonic()) });
		await clock.advance(10_000);
		expect(times).toEqual([0, 100, 300, 700, 1500]);
		expect(pool.workers().size).toBe(1);
		await pool.stop();
	});

	test("that die are replaced; their task fails, or restarts on another", async () => {
		const workshop = new Workshop();
		const pool = new Pool({ ...workshop, max: 1, min: 1 });
		await pool.run(() => {});
		const failing = pool.spawn("a", () => new Promise(() => {}));
		await failing.assigned();
		workshop.died[0]!("lost");
		workshop.died[0]!("lost again");
		expect(await errorOf(failing.result())).toBe("lost");
		await pool.run(() => {});
		let signal: AbortSignal | undefined;
		const restarting = pool.spawn("b", (context) => {
			signal ??= context.signal;
			return context.attempt === 1 ? new Promise<number>(() => {}) : context.worker;
		}, { restart: () => true });
		await restarting.assigned();
		workshop.died[1]!("lost");
		expect(await restarting.result()).toBe(2);
		expect([signal!.reason, workshop.destroyed]).toEqual(["lost", [0, 1]]);
		await pool.stop();
		expect(workshop.destroyed).toEqual([0, 1, 2]);
	});

	test("that die idle reach onError, and those that never worked are not replaced in a tight loop", async () => {
		const clock = new VirtualClock();
		const errors: unknown[] = [];
		let made = 0;
		const pool = new Pool({
			createWorker: ({ died }) => {
				if (++made < 4) queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => died(`death ${made}`))));
				return made;
			},
			min: 1,
			max: 1,
			clock,
			onError: (error) => void errors.push(error),
		});
		await clock.advance(99);
		expect(made).toBe(1);
		await clock.advance(700);
		expect([made, errors, pool.workers().size]).toEqual([4, ["death 1", "death 2", "death 3"], 1]);
		await pool.stop();
	});

	test("that die before they are made count as not made, and are destroyed", async () => {
		const clock = new VirtualClock();
		const destroyed: unknown[] = [];
		let made = 0;
		const pool = new Pool({
			createWorker: ({ died }) => {
				if (++made === 1) died();
				return made;
			},
			destroyWorker: (worker) => void destroyed.push(worker),
			max: 1,
			clock,
		});
		const first = pool.run(({ worker }) => worker);
		const second = pool.run(({ worker }) => worker);
		expect(await errorOf(first)).toMatchObject({ message: "The worker has died" });
		await clock.advance(100);
		expect([await second, destroyed]).toEqual([2, [1]]);
		await pool.stop();
		expect(destroyed).toEqual([1, 2]);
	});

	test("a failing destroyWorker reaches onError and holds up nothing", async () => {
		const errors: unknown[] = [];
		const onError = (error: unknown) => void errors.push(error);
		for (const destroyWorker of [fail, () => Promise.reject(new Error("failure"))]) {
			const pool = new Pool({ createWorker: () => 1, destroyWorker, max: 1, onError });
			await pool.run(() => {});
			await pool.stop();
		}
		expect(errors.length).toBe(2);
	});
});

describe("Pool", () => {
	test("max can be raised and lowered live", async () => {
		const pool = new Pool({ max: 1 });
		const finish = deferred();
		const tasks = Array.from({ length: 6 }, (_, index) => pool.spawn(`${index}`, () => finish.promise));
		await settle();
		expect(pool.getSnapshot()).toMatchObject({ running: 1, waiting: 5 });
		pool.max = 4;
		expect(pool.max).toBe(4);
		await settle();
		expect(pool.getSnapshot()).toMatchObject({ running: 4, waiting: 2 });
		pool.max = 2;
		finish.resolve();
		await Promise.all(tasks.map((task) => task.result()));
		expect(pool.workers().size).toBe(2);
		pool.max = 1;
		expect(pool.workers().size).toBe(1);
	});

	test("pause() holds back what waits, resume() lets it go", async () => {
		const pool = new Pool({ max: 1 });
		const finish = deferred();
		const running = pool.run(() => finish.promise);
		await settle();
		pool.pause();
		const waiting = watch(pool.run(() => "late"));
		finish.resolve();
		await running;
		await settle();
		expect([waiting.state, pool.getSnapshot().isPaused]).toEqual(["pending", true]);
		expect(await pool.wait({ signal: AbortSignal.abort() })).toBe(false);
		const idle = pool.wait();
		pool.resume();
		expect(await idle).toBe(true);
		await settle();
		expect([waiting.value, pool.getSnapshot().isPaused]).toEqual(["late", false]);
	});

	test("stop() aborts what runs, rejects what waits, and resolves when every worker is gone", async () => {
		const workshop = new Workshop();
		const ending = deferred();
		const pool = new Pool({ ...workshop, destroyWorker: () => ending.promise, max: 1 });
		const cleanup = deferred();
		const running = pool.spawn("a", async ({ signal }) => {
			await untilAborted(signal).catch(() => cleanup.promise);
			fail();
		});
		const waiting = pool.spawn("b", () => 1);
		await running.assigned();
		const stopped = watch(pool.stop());
		const again = watch(pool.stop());
		expect(await errorOf(waiting.result())).toMatchObject({ name: "AbortError" });
		expect(() => pool.spawn("c", () => 1)).toThrow(DOMException);
		expect(await errorOf(pool.run(() => 1))).toMatchObject({
			name: "InvalidStateError",
			message: "The pool was stopped for good: create another one",
		});
		cleanup.resolve();
		expect(await errorOf(running.result())).toMatchObject({ name: "AbortError" });
		await settle();
		expect([stopped.state, pool.workers().size]).toEqual(["pending", 0]);
		ending.resolve();
		await settle();
		expect([stopped.state, again.state]).toEqual(["resolved", "resolved"]);
		await pool.stop();
	});

	test("stop() rejects with its signal's reason if that aborts first, and goes on stopping", async () => {
		const workshop = new Workshop();
		const pool = new Pool({ ...workshop, max: 1 });
		const cleanup = deferred();
		const running = pool.spawn("a", () => cleanup.promise);
		await running.assigned();
		const controller = new SpiedController();
		const stopped = pool.stop({ signal: controller.signal });
		controller.abort("too slow");
		expect(await errorOf(stopped)).toBe("too slow");
		expect(await errorOf(pool.stop({ signal: controller.signal }))).toBe("too slow");
		cleanup.resolve();
		await running.result();
		await pool.stop();
		expect([workshop.destroyed, controller.listeners]).toEqual([[0], 0]);
		expect(await errorOf(pool.stop({ signal: 5 as never }))).toBeInstanceOf(TypeError);
	});

	test("stop() gives its reason to what runs and to what waits; that of a second call is ignored", async () => {
		const pool = new Pool({ max: 1 });
		const tasks = ["a", "b"].map((name) => pool.spawn(name, forever));
		await tasks[0]!.assigned();
		await Promise.all([pool.stop({ reason: "enough" }), pool.stop({ reason: "again" })]);
		expect(await Promise.all(tasks.map((task) => errorOf(task.result())))).toEqual(["enough", "enough"]);
	});

	test("stop() aborts the making of workers, waits for it, and destroys what is made all the same", async () => {
		for (const errors of [[], ["no"]]) {
			const workshop = new Workshop();
			const made = deferred<unknown>();
			workshop.waitFor = made.promise;
			workshop.errors = errors;
			const pool = new Pool({ ...workshop, min: 1, max: 1 });
			await settle();
			const stopped = watch(pool.stop());
			await settle();
			expect([workshop.signals[0]!.aborted, stopped.state]).toEqual([true, "pending"]);
			made.resolve(undefined);
			await settle();
			expect([stopped.state, workshop.destroyed.length]).toEqual(["resolved", workshop.made]);
		}
	});

	test("stop() makes no worker whose making has not begun", async () => {
		await atEachMicrotask(5, async (k) => {
			let hasStopped = false;
			const calls: boolean[] = [];
			const pool = new Pool({ min: 1, max: 2, createWorker: () => void calls.push(hasStopped) });
			const results = [pool.run(() => {}), pool.run(() => {})].map((result) => result.catch(() => {}));
			await new Promise<void>((resolve) =>
				afterMicrotasks(k, () => {
					hasStopped = true;
					resolve(pool.stop());
				})
			);
			await Promise.all(results);
			expect([calls.includes(true), pool.workers().size]).toEqual([false, 0]);
		});
	});

	test("Symbol.asyncDispose stops it, where the runtime has that symbol", async () => {
		if (Symbol.asyncDispose === undefined) return;
		const pool = new Pool({ max: 1 });
		await pool[Symbol.asyncDispose]();
		await pool[Symbol.asyncDispose]();
		expect(() => pool.spawn("a", () => 1)).toThrow(DOMException);
	});

	test("getSnapshot() is stable between changes, and subscribers see each", async () => {
		const pool = new Pool({ max: 1 });
		const seen: string[] = [];
		const { subscribe, getSnapshot } = pool;
		expect(getSnapshot()).toBe(getSnapshot());
		subscribe(() => {
			const { waiting, running, tasks } = getSnapshot();
			seen.push(`${waiting} ${running} ${tasks.get("a")?.status}`);
		});
		await pool.spawn("a", () => 1).result();
		expect(seen[0]).toBe("1 0 not-assigned");
		expect(seen).toContain("0 1 running");
		expect(seen.at(-1)).toBe("0 0 undefined");
	});

	test("tasks may use the pool: run inside a task, stop inside a task", async () => {
		const pool = new Pool({ max: 2 });
		expect(await pool.run(() => pool.run(() => "inner"))).toBe("inner");
		let stopped: Promise<void> | undefined;
		const value = await pool.run(() => {
			stopped = pool.stop();
			return "outer";
		});
		await stopped;
		expect(value).toBe("outer");
	});
});

describe("Pool at each microtask", () => {
	/** All ways to end a task around its settlement. */
	const endings: Record<string, (made: { task: PoolTask; pool: Pool<number>; controller: AbortController }) => void> = {
		"a cancel": ({ task }) => task.cancel("enough"),
		"an abort": ({ controller }) => controller.abort("enough"),
		"a stop": ({ pool }) => void pool.stop(),
	};

	for (const [title, end] of Object.entries(endings)) {
		for (const outcome of ["returns", "fails"]) {
			test(`${title} around the moment in which a task ${outcome} changes no success and loses nothing`, async () => {
				await atEachMicrotask(30, async (k) => {
					const controller = new SpiedController();
					const workshop = new Workshop();
					const pool = new Pool({ ...workshop, max: 1 });
					await pool.run(() => {});
					let runs = 0;
					const task: PoolTask = pool.spawn("a", () => {
						if (++runs > 1) return untilAborted(controller.signal);
						afterMicrotasks(k, () => end({ task, pool, controller }));
						if (outcome === "returns") return "value";
						throw new Error("failure");
					}, { signal: controller.signal, restart: () => true });
					const result = await task.result().catch((error) => error) as string | Error;
					if (outcome === "returns") expect(result).toBe("value");
					else expect(["enough", "AbortError"]).toContain((result as Error).name ?? result);
					expect([runs, await task.assigned(), pool.tasks().size]).toEqual([1, undefined, 0]);
					await pool.stop();
					expect([workshop.destroyed, controller.listeners]).toEqual([[0], 0]);
				});
			});
		}

		test(`${title} around the moment in which a task is given a worker leaves nothing behind`, async () => {
			await atEachMicrotask(30, async (k) => {
				const controller = new SpiedController();
				const pool: Pool<number> = new Pool({ max: 1, createWorker: () => 1 });
				const blocker = pool.run(() => {});
				let runs = 0;
				const task = pool.spawn("a", ({ signal }) => (runs++, untilAborted(signal)), controller);
				afterMicrotasks(k, () => end({ task, pool, controller }));
				const error = await errorOf(task.result()) as Error;
				expect(["enough", "AbortError"]).toContain(error.name ?? error);
				const assigned = await task.assigned().then(() => 1, () => 0);
				expect(assigned).toBe(runs);
				await blocker.catch(() => {});
				await pool.stop();
				expect([pool.tasks().size, pool.workers().size, controller.listeners]).toEqual([0, 0, 0]);
			});
		});
	}

	test("a task that is cancelled around its turn holds up none of those behind it", async () => {
		for (const max of [1, 2, 3]) {
			await atEachMicrotask(30, async (k) => {
				const pool = new Pool({ max });
				const first = new AbortController();
				pool.resume();
				afterMicrotasks(k, () => first.abort("enough"));
				const runs = [first, undefined, undefined, undefined].map((options) => pool.run(() => 1, options));
				expect(await Promise.all(runs.slice(1))).toEqual([1, 1, 1]);
				await Promise.allSettled(runs);
				expect(pool.getSnapshot()).toMatchObject({ waiting: 0, running: 0 });
			});
		}
	});

	test("a worker that dies around the moment in which its task returns does not undo that, nor run it again", async () => {
		await atEachMicrotask(30, async (k) => {
			const workshop = new Workshop();
			const pool = new Pool({ ...workshop, max: 1, min: 1 });
			let runs = 0;
			const task = pool.spawn("a", async () => {
				runs++;
				afterMicrotasks(k, () => workshop.died[0]!("lost"));
				return "value";
			}, { restart: () => true });
			expect(await task.result()).toBe("value");
			// An immediate call happens before the method returns.
			expect(runs).toBe(k === 0 ? 2 : 1);
			await settle();
			await pool.stop();
			expect(workshop.destroyed.length).toBe(workshop.made);
		});
	});
});

describe("Pool re-entered", () => {
	const actions: Record<string, (pool: Pool<number>, tasks: PoolTask[]) => unknown> = {
		"stop()": (pool) => pool.stop(),
		"pause()": (pool) => pool.pause(),
		"resume()": (pool) => pool.resume(),
		"max = 1": (pool) => pool.max = 1,
		"max = 5": (pool) => pool.max = 5,
		"wait()": (pool) => pool.wait(),
		"getSnapshot()": (pool) => [pool.getSnapshot(), pool.tasks(), pool.workers()],
		"cancel()": (_pool, tasks) => tasks.forEach((task) => task.cancel("enough")),
		"run()": (pool) => void pool.run(() => 1).catch(() => {}),
		"spawn()": (pool, tasks) => {
			if (!pool.tasks().has("late")) tasks.push(pool.spawn("late", () => 1));
		},
	};

	for (const [title, act] of Object.entries(actions)) {
		test.each(["restart", "attempts"])(
			`${title} from each callback, at each of its calls, breaks no law: %s`,
			async (kind) => {
				for (let at = 0; at < 60; at += isPage ? 7 : 1) {
					const clock = new VirtualClock();
					const tasks: PoolTask[] = [];
					let calls = 0;
					let [made, destroyed, running, depth] = [0, 0, 0, 0];
					const enter = () => {
						if (calls++ !== at || depth > 0) return;
						depth++;
						try {
							act(pool, tasks);
						} catch (error) {
							expect(error).toBeInstanceOf(DOMException); // after a stop
						}
						depth--;
					};
					const pool: Pool<number> = new Pool({
						min: 1,
						max: 2,
						idleTimeout: 10,
						clock,
						createWorker: ({ signal, died }) => {
							signal.addEventListener("abort", enter);
							enter();
							if (++made === 2) queueMicrotask(() => queueMicrotask(() => died("lost")));
							return made;
						},
						destroyWorker: () => {
							destroyed++;
							enter();
						},
					});
					pool.subscribe(enter);
					const ask = (_error: unknown, { attempt }: PoolContext<number>) => {
						enter();
						return attempt < 3;
					};
					const options = kind === "restart" ? { restart: ask } : {
						...{ attempts: 3, backoff: 5, deadline: 30_000, abandonAfter: 5 },
						shouldRetry: ask,
						onAttemptFailed: enter,
					};
					const spawn = (name: string, task: (context: PoolContext<number>) => unknown) => {
						try {
							tasks.push(pool.spawn(name, task, options));
						} catch (error) {
							expect(error).toBeInstanceOf(DOMException); // after a stop
						}
					};
					for (const name of ["a", "b", "c", "d"]) {
						spawn(name, async ({ signal, attempt }) => {
							expect(++running).toBeLessThanOrEqual(5);
							signal.addEventListener("abort", enter);
							enter();
							await sleep(1, { clock });
							running--;
							if (attempt < 2 || name === "d") throw new Error("failure");
						});
					}
					await clock.advance(200);
					pool.resume();
					await clock.advance(20_000);
					for (const task of tasks) await task.result().catch(() => {});
					const stopped = pool.stop();
					await clock.runUntilIdle();
					await stopped;
					expect([made - destroyed, pool.workers().size, pool.tasks().size, clock.pending]).toEqual([0, 0, 0, 0]);
					expect(pool.getSnapshot()).toMatchObject({ waiting: 0, running: 0 });
					if (calls <= at) break;
				}
			},
		);
	}
});

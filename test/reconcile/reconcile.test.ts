import { describe, expect, test } from "vitest";
import { FatalError, type Plan, type PlanTask, reconcile, type ReconcileEvent, sleep, stopNow } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { afterMicrotasks, atEachMicrotask } from "../every-microtask.ts";
import { atEachCall } from "../reentry.ts";
import { errorOf, settle, SpiedController, untilAborted, watch } from "../support.ts";

/** Creates a plan with given rounds. */
const rounds = (...rounds: PlanTask[][]): Plan => ({ create: () => rounds.shift() ?? [] });

const task = (name: string, log: string[], children: PlanTask[] = []): PlanTask => ({
	name,
	pre: () => void log.push(`pre ${name}`),
	perform: () => {
		log.push(name);
		return children;
	},
	post: () => void log.push(`post ${name}`),
});

const failing = (name: string): PlanTask => ({
	name,
	perform: () => {
		throw new Error(`${name} failed`);
	},
});

const quick = { interval: 0 };

describe("reconcile()", () => {
	test("asks again until the plan returns no tasks, and reports", async () => {
		const log: string[] = [];
		const plan = rounds([task("a", log), task("b", log)], [task("c", log)]);
		expect(await reconcile(plan, quick)).toEqual({ rounds: 2, tasks: 3, failures: [] });
		expect(log).toEqual(["pre a", "a", "post a", "pre b", "b", "post b", "pre c", "c", "post c"]);
		expect(await reconcile({ create: async () => [] })).toEqual({ rounds: 0, tasks: 0, failures: [] });
	});

	test("takes 200,000 children of one task", async () => {
		const children = Array.from({ length: 200_000 }, () => ({ name: "child", perform: () => {} }));
		const plan = rounds([{ name: "parent", perform: () => children }]);
		expect(await reconcile(plan, quick)).toEqual({ rounds: 1, tasks: 200_001, failures: [] });
	});

	test("runs children after the parent's post, depth first, before the next task", async () => {
		const log: string[] = [];
		const grandchild = task("a1x", log);
		const plan = rounds([task("a", log, [task("a1", log, [grandchild]), task("a2", log)]), task("b", log)]);
		expect(await reconcile(plan, quick)).toMatchObject({ tasks: 5 });
		expect(log.filter((entry) => !entry.startsWith("pre"))).toEqual([
			"a",
			"post a",
			"a1",
			"post a1",
			"a1x",
			"post a1x",
			"a2",
			"post a2",
			"b",
			"post b",
		]);
	});

	test("survives children of children without end to the stack", async () => {
		let depth = 0;
		const nested = (): PlanTask => ({ name: "nested", perform: () => ++depth < 20_000 ? [nested()] : [] });
		expect(await reconcile(rounds([nested()]), quick)).toMatchObject({ tasks: 20_000 });
	});

	test("skips what comes after a failure, counts it, and runs the next task", async () => {
		const log: string[] = [];
		const child = task("child", log);
		const failIn = (phase: "pre" | "perform" | "post"): PlanTask => ({
			...task(phase, log, [child]),
			[phase]: () => {
				throw new Error(`in ${phase}`);
			},
		});
		const report = await reconcile(
			rounds([failIn("pre"), failIn("perform"), failIn("post"), task("last", log)]),
			quick,
		);
		expect(log).toEqual(["pre perform", "pre post", "post", "pre last", "last", "post last"]);
		expect(report).toMatchObject({
			rounds: 1,
			tasks: 4,
			failures: [{ name: "pre", phase: "pre" }, { name: "perform", phase: "perform" }, {
				name: "post",
				phase: "post",
				error: { message: "in post" },
			}],
		});
	});

	test("rejects with a FatalError when more tasks have failed than are tolerated, over all rounds", async () => {
		const log: string[] = [];
		const plan = rounds([failing("a"), failing("b")], [failing("c"), task("never", log)]);
		const error = await errorOf(reconcile(plan, { ...quick, errorsToTolerate: 2 }));
		expect(error).toBeInstanceOf(FatalError);
		expect(error).toMatchObject({
			name: "FatalError",
			message: '3 tasks have failed, and "errorsToTolerate" is 2',
			cause: { message: "c failed" },
		});
		expect(log).toEqual([]);
		const six = () => rounds(Array.from({ length: 6 }, (_, index) => failing(`${index}`)));
		expect(await errorOf(reconcile(six(), quick))).toBeInstanceOf(FatalError);
		expect(await reconcile(six(), { ...quick, errorsToTolerate: 6 })).toMatchObject({ tasks: 6 });
		expect(await errorOf(reconcile(rounds([failing("a")]), { errorsToTolerate: 0 }))).toBeInstanceOf(FatalError);
		expect(await reconcile(rounds([failing("a")]), { ...quick, errorsToTolerate: Infinity })).toMatchObject({
			rounds: 1,
		});
	});

	test("ends at once with the FatalError that a task throws", async () => {
		const log: string[] = [];
		const fatal = new FatalError("the disk is full");
		for (const thrown of [fatal, stopNow(fatal)]) {
			const plan = rounds([{ name: "a", perform: () => Promise.reject(thrown) }, task("never", log)]);
			expect(await errorOf(reconcile(plan, quick))).toBe(fatal);
		}
		expect(log).toEqual([]);
	});

	test("rejects with what plan.create throws, first or later", async () => {
		const create = (): never => {
			throw new Error("no plan");
		};
		await expect(reconcile({ create })).rejects.toThrow("no plan");
		await expect(reconcile({ create: async () => create() })).rejects.toThrow("no plan");
	});

	test("sleeps between rounds, 1000 ms by default", async () => {
		const clock = new VirtualClock();
		const times: number[] = [];
		const plan = {
			create: () => {
				times.push(clock.monotonic());
				return times.length < 4 ? [{ name: "a", perform: () => {} }] : [];
			},
		};
		const done = reconcile(plan, { clock });
		await clock.runUntilIdle();
		await done;
		expect(times).toEqual([0, 1000, 2000, 3000]);
	});

	test("rejects with a TimeoutError after deadline, 20 minutes by default", async () => {
		const endless = (): Plan => ({ create: () => [{ name: "a", perform: () => {} }] });
		for (const deadline of [undefined, 5_500]) {
			const clock = new VirtualClock();
			const done = watch(reconcile(endless(), { deadline, clock }));
			await clock.runUntilIdle();
			expect(done.error).toMatchObject({ name: "TimeoutError" });
			expect(clock.monotonic()).toBe(deadline ?? 20 * 60_000);
		}
	});

	test("an abort aborts the running phase's signal, waits for it, and starts nothing further", async () => {
		for (const phase of ["create", "pre", "perform", "post"] as const) {
			const log: string[] = [];
			const controller = new SpiedController();
			const held = async ({ signal }: { signal: AbortSignal }) => {
				await untilAborted(signal).catch(() => log.push("aborted"));
				await settle();
				log.push("settled");
				return [];
			};
			const next = task("next", log);
			const plan: Plan = phase === "create"
				? { create: held as Plan["create"] }
				: rounds([{ name: "held", perform: () => [next], [phase]: held }, next]);
			const done = reconcile(plan, { ...quick, signal: controller.signal });
			await settle();
			controller.abort("enough");
			expect(await errorOf(done)).toBe("enough");
			expect(log).toEqual(["aborted", "settled"]);
			expect(controller.listeners).toBe(0);
		}
	});

	test("a phase that fails because of the abort is no failure, and one that ignores it can be abandoned", async () => {
		const clock = new VirtualClock();
		const events: ReconcileEvent[] = [];
		const controller = new AbortController();
		const onEvent = (event: ReconcileEvent) => void events.push(event);
		const polite = rounds([{ name: "a", perform: ({ signal }) => untilAborted(signal) }]);
		const deaf = rounds([{ name: "b", perform: () => new Promise<never>(() => {}) }]);
		const options = { clock, signal: controller.signal, abandonAfter: 50, onEvent };
		const done = [reconcile(polite, options), reconcile(deaf, options)].map((promise) => watch(promise));
		await clock.advance(10);
		controller.abort("enough");
		await clock.advance(50);
		expect(done.map(({ error }) => error)).toEqual(["enough", "enough"]);
		expect(events.filter(({ type }) => type === "failed")).toEqual([]);
	});

	test("rejects at once and calls nothing if the signal has aborted; an abort ends the sleep", async () => {
		let calls = 0;
		const plan = { create: () => (calls++, [{ name: "a", perform: () => {} }]) };
		expect(await errorOf(reconcile(plan, { signal: AbortSignal.abort("enough") }))).toBe("enough");
		expect(calls).toBe(0);
		const clock = new VirtualClock();
		const controller = new AbortController();
		const done = watch(reconcile(plan, { signal: controller.signal, clock }));
		await clock.advance(10);
		controller.abort("enough");
		await settle();
		expect([done.error, calls, clock.pending]).toEqual(["enough", 1, 0]);
	});

	test("onEvent sees each round and each phase, and changes nothing by throwing", async () => {
		const events: string[] = [];
		const errors: unknown[] = [];
		const onEvent = (event: ReconcileEvent) => {
			events.push(
				event.type === "round" ? `round ${event.round}: ${event.tasks}` : `${event.type} ${event.phase} ${event.name}`,
			);
			throw new Error("observer");
		};
		const onError = (error: unknown) => void errors.push(error);
		await reconcile(rounds([task("a", []), failing("b")]), { ...quick, onEvent, onError });
		expect(events).toEqual([
			"round 1: a,b",
			"started pre a",
			"succeeded pre a",
			"started perform a",
			"succeeded perform a",
			"started post a",
			"succeeded post a",
			"started perform b",
			"failed perform b",
		]);
		expect(errors.length).toBe(9);
	});

	test("tasks may wait, and are called as methods of their own", async () => {
		const clock = new VirtualClock();
		class Waiting {
			readonly name = "waiting";
			done = 0;
			async perform() {
				await sleep(100, { clock });
				this.done++;
			}
		}
		const waiting = new Waiting();
		const done = reconcile(rounds([waiting, waiting]), { clock });
		await clock.runUntilIdle();
		expect(await done).toMatchObject({ tasks: 2 });
		expect(waiting.done).toBe(2);
	});

	test("checks its arguments, the plan's tasks, and the children", async () => {
		const bad: [unknown, unknown][] = [
			[undefined, {}],
			[{}, {}],
			[{ create: 5 }, {}],
			[rounds(), null],
			[rounds(), { errorsToTolerate: -1 }],
			[rounds(), { errorsToTolerate: 1.5 }],
			[rounds(), { interval: -1 }],
			[rounds(), { deadline: 0 }],
			[rounds(), { abandonAfter: "1" }],
			[rounds(), { signal: {} }],
			[rounds(), { onEvent: 5 }],
			[rounds(), { onError: 5 }],
			[rounds(), { clock: {} }],
			[{ create: () => "tasks" }, {}],
			[{ create: () => undefined }, {}],
			[rounds([5 as never]), {}],
			[rounds([{ name: 5, perform() {} } as never]), {}],
			[rounds([{ name: "a" } as never]), {}],
			[rounds([{ name: "a", perform() {}, post: 5 } as never]), {}],
		];
		for (const [plan, options] of bad) {
			const { name } = await errorOf(reconcile(plan as never, options as never)) as Error;
			expect(["TypeError", "RangeError"]).toContain(name);
		}
		const badChild = rounds([{ name: "a", perform: () => [{}] as never, post: () => expect(true).toBe(false) }]);
		expect(await reconcile(badChild, quick)).toMatchObject({
			failures: [{ phase: "perform", error: expect.any(TypeError) }],
		});
	});
});

describe("reconcile() at each microtask", () => {
	for (const outcome of ["succeeds", "fails"]) {
		test(`an abort around the end of a phase that ${outcome} lets nothing further start`, async () => {
			await atEachMicrotask(30, async (k) => {
				const controller = new SpiedController();
				const clock = new VirtualClock();
				const late: string[] = [];
				let calls = 0;
				const phase = (name: string) => () => {
					if (controller.signal.aborted) late.push(name);
					if (++calls === 2) afterMicrotasks(k, () => controller.abort("enough"));
					if (outcome === "fails" && name === "perform") throw new Error("failure");
				};
				const create = () => {
					phase("create")();
					if (calls > 20) controller.abort("enough");
					return ["a", "b", "c"].map((name) => ({
						...{ name, pre: phase("pre"), post: phase("post") },
						perform: phase("perform"),
					}));
				};
				const done = reconcile({ create }, { signal: controller.signal, clock, errorsToTolerate: Infinity });
				const error = errorOf(done);
				await clock.runUntilIdle();
				expect([await error, late, controller.listeners, clock.pending]).toEqual(["enough", [], 0, 0]);
			});
		});
	}
});

describe("reconcile() re-entered", () => {
	for (const action of ["abort", "reconcile", "abort and reconcile"]) {
		test(`${action} from each callback, at each of its calls, breaks no law`, async () => {
			await atEachCall(async (reentry) => {
				const controller = new SpiedController();
				const clock = new VirtualClock();
				const late: string[] = [];
				const inner: Promise<unknown>[] = [];
				const log: string[] = [];
				reentry.act = () => {
					if (action.includes("reconcile")) inner.push(reconcile(rounds([task("inner", log)]), { clock }));
					if (action.startsWith("abort")) controller.abort("enough");
				};
				const enter = (name: string) => (): void => {
					if (controller.signal.aborted) late.push(name);
					reentry.enter();
				};
				const plans = [["a", "b"], ["c"], []];
				const create = () => {
					enter("create")();
					return plans.shift()!.map((name) => ({
						name,
						pre: enter("pre"),
						post: enter("post"),
						perform: ({ signal }: { signal: AbortSignal }) => {
							signal.addEventListener("abort", reentry.enter);
							enter("perform")();
							if (name === "b") throw new Error("failure");
						},
					}));
				};
				const options = { signal: controller.signal, clock, onEvent: reentry.enter, onError: reentry.enter };
				const done = watch(reconcile({ create }, options));
				await clock.runUntilIdle();
				await Promise.all(inner);
				expect(done.state).toBe(controller.signal.aborted ? "rejected" : "resolved");
				if (controller.signal.aborted) expect(done.error).toBe("enough");
				else expect(done.value).toMatchObject({ rounds: 2, tasks: 3 });
				expect([late, log.length, controller.listeners, clock.pending]).toEqual([[], inner.length * 3, 0, 0]);
			});
		});
	}
});

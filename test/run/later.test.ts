// Tasks that are put off by `later`: no failure, and no attempt.
import { describe, expect, test } from "vitest";
import { Group, job, later, memoryStore, Pool, Processor, retryAfter, run, Runner, sleep } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { Machine, running } from "../basket/support.ts";
import { errorOf } from "../support.ts";

/** Is put off twice, fails once, is put off once more, and returns. */
function script(): {
	task: (context: { attempt: number; previousError: unknown }) => string;
	calls: [number, unknown][];
} {
	const error = new Error("away");
	const ends = [later(100, "not yet"), later(50), error, later(200)];
	const calls: [number, unknown][] = [];
	return {
		calls,
		task: ({ attempt, previousError }) => {
			calls.push([attempt, (previousError as Error | undefined)?.message]);
			const end = ends[calls.length - 1];
			if (end !== undefined) throw end;
			return "done";
		},
	};
}

/** Makes one step after the other, each after the delay that the one before has asked for. */
async function stepped(runner: Runner<string>, clock: VirtualClock): Promise<string> {
	while (true) {
		const step = await runner.step();
		if (step.ok) return step.value;
		if (!step.again) throw step.error;
		await sleep(step.delay, { clock });
	}
}

const expected = [[1, undefined], [1, undefined], [1, undefined], [2, "away"], [2, "away"]];

describe("later()", () => {
	test("puts a run off: its attempts, its backoff and its observers know nothing of it", async () => {
		const clock = new VirtualClock();
		const { task, calls } = script();
		const failures: number[] = [];
		const asked: unknown[] = [];
		const options = {
			clock,
			attempts: 2,
			backoff: { start: 1_000 },
			shouldRetry: (error: unknown) => asked.push(error) > 0,
			onAttemptFailed: ({ delay }: { delay: number }) => void failures.push(delay),
		};
		const running = run(task, options);
		await clock.advance(10_000);
		expect(await running).toBe("done");
		expect(calls).toEqual(expected);
		expect([failures, asked.length]).toEqual([[1_000], 1]);
		expect(clock.pending).toBe(0);
	});

	test("counts its delay from the end of the attempt, and needs no further attempt", async () => {
		const clock = new VirtualClock();
		const times: number[] = [];
		const running = run(() => {
			times.push(clock.monotonic());
			if (times.length < 4) throw later(times.length * 10);
		}, { clock, attempts: 1 });
		await clock.advance(1_000);
		await running;
		expect(times.map((time) => time - times[0]!)).toEqual([0, 10, 30, 60]);
	});

	test("is no way around a timeout, a deadline or an abort", async () => {
		const clock = new VirtualClock();
		const late = errorOf(
			run(({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(later(10)))), {
				clock,
				timeout: 100,
			}),
		);
		await clock.advance(100);
		expect((await late as Error).name).toBe("TimeoutError");
		const over = errorOf(run(() => Promise.reject(later(500)), { clock, deadline: 1_200 }));
		await clock.advance(2_000);
		expect((await over as Error).name).toBe("TimeoutError");
		const [controller, reason] = [new AbortController(), new Error("enough")];
		const aborted = errorOf(run(() => Promise.reject(later(500)), { clock, signal: controller.signal }));
		await clock.advance(700);
		controller.abort(reason);
		expect(await aborted).toBe(reason);
		expect(clock.pending).toBe(0);
	});

	test("puts the tasks of a Runner, a Group and a Pool off in the same way", async () => {
		for (const kind of ["Runner", "Group", "Pool"] as const) {
			const clock = new VirtualClock();
			const { task, calls } = script();
			const options = { clock, attempts: 2, backoff: 1_000 };
			const work = (context: { attempt: number; previousError?: unknown }) => Promise.resolve(task(context as never));
			const result: Promise<unknown> = kind === "Runner"
				? stepped(new Runner(work, options), clock)
				: kind === "Group"
				? new Group(options).spawn("a", work).result()
				: new Pool({ ...options, max: 1 }).run(work as never);
			await clock.advance(10_000);
			expect([kind, await result]).toEqual([kind, "done"]);
			expect(calls.map(([attempt]) => attempt)).toEqual([1, 1, 1, 2, 2]);
		}
	});

	test("puts tasks without any options off, too, and their names, signals and results stay", async () => {
		let calls = 0;
		const once = () => {
			if (++calls % 3 !== 0) throw later(1, "not yet");
			return "done";
		};
		expect(await run(once)).toBe("done");
		const group = new Group();
		expect(await group.spawn("a", once).result()).toBe("done");
		const pool = new Pool({ max: 1 });
		expect(await pool.run(once)).toBe("done");
		const { signal } = new AbortController();
		expect(await pool.run(once, { signal })).toBe("done");
		const task = pool.spawn("named", once);
		expect(pool.tasks().has("named")).toBe(true);
		expect(await task.result()).toBe("done");
		expect([pool.tasks().size, calls]).toEqual([0, 15]);
		const [controller, reason] = [new AbortController(), new Error("enough")];
		const aborted = errorOf(pool.run(() => Promise.reject(later(60_000)), { signal: controller.signal }));
		await pool.run(() => {});
		controller.abort(reason);
		expect(await aborted).toBe(reason);
		expect(await pool.wait()).toBe(true);
		await pool.stop();
	});

	test("puts a task of a basket off: it keeps its attempts, its error and its lane", async () => {
		const machine = new Machine();
		const { task, calls } = script();
		const basket = machine.basket({ send: (name: string, context) => name === "first" ? task(context) : name }, {
			attempts: 2,
			backoff: 1_000,
		});
		await basket.add("send", "first", { id: "first", lane: "l" });
		await basket.add("send", "second", { id: "second", lane: "l" });
		const { stop } = running(basket);
		await machine.clock.advance(10_000);
		expect(calls).toEqual(expected);
		const told = machine.settled.map(({ id, outcome, attempt, delay }) => [id, outcome, attempt, delay]);
		expect(told).toEqual([
			["first", "later", 1, 100],
			["first", "later", 1, 50],
			["first", "retry", 1, 1_000],
			["first", "later", 2, 200],
			["first", "done", 2, 0],
			["second", "done", 1, 0],
		]);
		expect(basket.getSnapshot()).toMatchObject({ succeeded: 2, failed: 1, dead: 0 });
		await stop();
	});

	test("puts a step of a job off", async () => {
		const clock = new VirtualClock();
		const { task, calls } = script();
		const failures: unknown[] = [];
		const trip = job("trip").step("book", { run: (context) => task(context), attempts: 2, backoff: 1_000 });
		const processor = new Processor({
			store: memoryStore({ clock }),
			jobs: [trip],
			clock,
			onAttemptFailed: ({ attempt }) => void failures.push(attempt),
		});
		const { id } = await processor.add(trip);
		const { stop } = running(processor);
		await clock.advance(10_000);
		expect(calls).toEqual(expected);
		expect(failures).toEqual([1]);
		expect(await processor.result(id)).toMatchObject({ status: "completed", value: "done" });
		await stop();
	});

	test("refuses a delay that is none, and retryAfter() still counts", async () => {
		for (const delay of [-1, NaN, Infinity]) expect(() => later(delay)).toThrow(RangeError);
		expect(() => later("5" as never)).toThrow(TypeError);
		const error = new Error("429");
		expect(await errorOf(run(() => Promise.reject(retryAfter(0, error)), { attempts: 2 }))).toBe(error);
	});
});

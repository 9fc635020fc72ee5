import { describe, expect, test } from "vitest";
import {
	type Basket,
	batch,
	type BatchContext,
	type BatchOptions,
	type BatchTask,
	ClaimLostError,
	later,
	limit,
	resetBackoff,
	retryAfter,
	retryNow,
	stopNow,
} from "../../mod.ts";
import { type Deferred, deferred, errorOf, untilAborted } from "../support.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { Machine, running } from "../basket/support.ts";

type Task = BatchTask<string>;
type Send = (tasks: readonly Task[], context: BatchContext) => unknown;

/** A call of the function, which lasts until the test ends it. */
interface Call extends Deferred<unknown> {
	readonly tasks: readonly Task[];
	readonly context: BatchContext;
}

const ids = (tasks: readonly { id: string }[]): string => tasks.map(({ id }) => id).join(" ");
const failure = new Error("failure");

/** The clock of a machine that sleeps: meanwhile its timers do not go on. */
class SleepingClock extends VirtualClock {
	slept = 0;

	override monotonic(): number {
		return super.monotonic() + this.slept;
	}
}

/** A machine, and the calls of the function that {@link calling} makes. */
class Bench extends Machine {
	readonly calls: Call[] = [];

	/** Each call lasts until the test ends it. */
	readonly send: Send = (tasks, context) => {
		const call = { ...deferred<unknown>(), tasks, context };
		this.calls.push(call);
		return call.promise;
	};

	/** The ids of each call. */
	get sent(): string[] {
		return this.calls.map(({ tasks }) => ids(tasks));
	}

	/** How the runs have ended, as far as that is stored. */
	get outcomes(): string[] {
		return this.settled.map(({ id, outcome }) => `${id} ${outcome}`);
	}

	/** The outcomes in the order of ids, because those of one turn have no order that matters. */
	get sorted(): string[] {
		return this.outcomes.sort();
	}

	async add(basket: Basket<{ send: (payload: string) => unknown }>, list: string): Promise<void> {
		await basket.addMany(list.split(" ").map((id) => ({ kind: "send", payload: id, id })));
		await this.clock.advance(0);
	}

	/** The number of tasks that somebody has claimed. */
	async claimed(): Promise<number> {
		return (await this.memory.counts("default")).running;
	}
}

const letters = (count: number): string => Array.from({ length: count }, (_, index) => `t${index}`).join(" ");

describe("batch() gathers", () => {
	test("the tasks that are due into calls of at most `most`, in order", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: batch({ most: 3 }, bench.send) });
		await bench.add(basket, "a b c d e f g");
		const run = running(basket);
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a b c", "d e f", "g"]);
		for (const call of bench.calls) call.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sorted).toEqual(["a", "b", "c", "d", "e", "f", "g"].map((id) => `${id} done`));
		expect([await bench.claimed(), bench.errors]).toEqual([0, []]);
		await run.stop();
		expect(bench.clock.pending).toBe(0);
	});

	test("tasks of a kind among others, with one more turn for a call that does not wait", async () => {
		const bench = new Bench();
		const single: string[] = [];
		const tasks = { send: batch({ most: 100 }, bench.send), single: (name: string) => void single.push(name) };
		const basket = bench.basket(tasks, { concurrency: 2 });
		await bench.add(basket, letters(250));
		await basket.add("single", "x", { priority: 1 });
		const run = running(basket);
		await bench.clock.advance(0);
		expect(single).toEqual(["x"]);
		// Those that come first have opened the first call, before others filled it.
		expect(bench.calls.map(({ tasks }) => tasks.length)).toEqual([100, 100]);
		expect(await bench.claimed()).toBe(200);
		for (const call of bench.calls) call.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.calls.map(({ tasks }) => tasks.length)).toEqual([100, 100, 50]);
		expect(new Set(bench.calls.flatMap(({ tasks }) => tasks.map(({ id }) => id))).size).toBe(250);
		bench.calls[2]!.resolve(undefined);
		await run.stop();
	});

	test("for at most `wait` milliseconds from the first task on, and a full call begins at once", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: batch({ most: 3, wait: 100 }, bench.send) });
		const run = running(basket);
		await bench.clock.advance(0);
		await bench.add(basket, "a");
		await bench.clock.advance(60);
		await bench.add(basket, "b");
		await bench.clock.advance(39);
		expect(bench.sent).toEqual([]);
		expect(basket.getSnapshot().running).toBe(2);
		await bench.clock.advance(1);
		expect(bench.sent).toEqual(["a b"]);
		await bench.add(basket, "c d e f");
		expect(bench.sent).toEqual(["a b", "c d e"]);
		await bench.clock.advance(99);
		expect(bench.sent.length).toBe(2);
		await bench.clock.advance(1);
		expect(bench.sent).toEqual(["a b", "c d e", "f"]);
		for (const call of bench.calls) call.resolve(undefined);
		await run.stop();
		expect(bench.clock.pending).toBe(0);
	});

	test("also what becomes due while no slot is free, and claims nothing else then", async () => {
		const bench = new Bench();
		const other = deferred();
		const tasks = { send: batch({ most: 3, wait: 1_000 }, bench.send), other: () => other.promise };
		const basket = bench.basket(tasks, { concurrency: 2 });
		const run = running(basket);
		await basket.add("other", undefined);
		await bench.add(basket, "a");
		await basket.add("other", undefined, { id: "behind" });
		await basket.add("send", "b", { id: "b", delay: 300 });
		await bench.clock.advance(299);
		expect([await bench.claimed(), (await basket.get("behind"))?.state]).toEqual([2, "waiting"]);
		const before = bench.spied.count("turn");
		await bench.clock.advance(200);
		expect(await bench.claimed()).toBe(3);
		expect(bench.spied.count("turn") - before).toBeLessThan(5);
		await bench.clock.advance(501);
		expect(bench.sent).toEqual(["a b"]);
		bench.calls[0]!.resolve(undefined);
		other.resolve();
		await bench.clock.advance(0);
		expect((await basket.counts()).waiting).toBe(0);
		await run.stop();
	});

	test("also what is added while the store answers", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: batch({ most: 4, wait: 1_000 }, bench.send) }, { concurrency: 1 });
		const run = running(basket);
		await bench.add(basket, "a");
		bench.spied.after = async (member) => {
			if (member !== "turn") return;
			bench.spied.after = undefined;
			await basket.add("send", "c", { id: "c" });
		};
		await bench.add(basket, "b");
		expect([await bench.claimed(), bench.calls.length]).toEqual([3, 0]);
		await bench.clock.advance(1_000);
		expect(bench.sent).toEqual(["a b c"]);
		bench.calls[0]!.resolve(undefined);
		await run.stop();
	});

	test("one task of a lane at a time", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: batch({ most: 10 }, bench.send) });
		for (const [id, lane] of [["a1", "a"], ["a2", "a"], ["b1", "b"], ["c", undefined]] as const) {
			await basket.add("send", id, { id, lane });
		}
		const run = running(basket);
		await bench.clock.advance(0);
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a1 b1 c", "a2"]);
		bench.calls[1]!.resolve(undefined);
		await run.stop();
	});

	test("no task whose payload is bad: it becomes dead alone", async () => {
		const bench = new Bench();
		const schema = {
			"~standard": {
				version: 1 as const,
				vendor: "test",
				validate: async (value: unknown) =>
					value === "bad" ? { issues: [{ message: "bad" }] } : { value: value as string },
			},
		};
		await bench.add(bench.basket({ send: (_: string) => {} }), "a bad b");
		const codec = {
			encode: (value: unknown) => String(value),
			decode: async (data: unknown) => JSON.parse(String(data)),
		};
		const basket = bench.basket({ send: { run: batch({ most: 3 }, bench.send), schema, codec } });
		const run = running(basket);
		await bench.clock.advance(0);
		expect([bench.sent, bench.outcomes]).toEqual([["a b"], ["bad dead"]]);
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sorted).toEqual(["a done", "b done", "bad dead"]);
		await run.stop();
		expect(bench.clock.pending).toBe(0);
	});

	test("all payloads of a call before it begins, also those that take longer than it waits", async () => {
		const bench = new Bench();
		const gate = deferred();
		const decode = async (data: unknown) => {
			if (String(data).includes("slow")) await gate.promise;
			return JSON.parse(String(data));
		};
		const codec = { encode: (value: unknown) => JSON.stringify(value), decode };
		const basket = bench.basket({ send: { run: batch({ most: 3, wait: 10 }, bench.send), codec } });
		const run = running(basket);
		await bench.add(basket, "slow a");
		await bench.clock.advance(10);
		expect(bench.sent).toEqual([]);
		// The call is closed, so another one gathers.
		await bench.add(basket, "b");
		await bench.clock.advance(10);
		expect(bench.sent).toEqual(["b"]);
		gate.resolve();
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["b", "slow a"]);
		for (const call of bench.calls) call.resolve(undefined);
		await run.stop();
	});
});

describe("batch() settles", () => {
	test("each task for itself: fail() heeds hints, and the others are done when the function returns", async () => {
		const bench = new Bench();
		const send = batch({ most: 10 }, (tasks: readonly Task[], { fail }) => {
			for (const { id, attempt } of tasks) if (attempt > 1) fail(id, stopNow(failure));
			fail("plain", failure);
			fail("after", retryAfter(7_000, failure));
			fail("now", retryNow(failure));
			fail("reset", resetBackoff(failure));
			fail("stop", stopNow(failure));
			fail("later", later(9_000, "not yet"));
			fail("nobody", failure);
			fail("nothing");
		});
		const basket = bench.basket({ send: { run: send, backoff: 1_000, attempts: 5 } });
		await bench.add(basket, "plain after now reset stop later nothing fine");
		await bench.drain(basket);
		const told = new Map(
			bench.settled.map(({ id, outcome, delay, attempt }) => [`${id} ${attempt}`, [outcome, delay]]),
		);
		expect(Object.fromEntries(told)).toEqual({
			"plain 1": ["retry", 1_000],
			"after 1": ["retry", 7_000],
			"now 1": ["retry", 0],
			"now 2": ["dead", 0],
			"reset 1": ["retry", 1_000],
			"stop 1": ["dead", 0],
			"later 1": ["later", 9_000],
			"nothing 1": ["retry", 1_000],
			"fine 1": ["done", 0],
		});
		expect((await basket.get("stop"))?.error?.message).toBe("failure");
		expect(bench.errors).toEqual([]);
	});

	test("a failed task at once, while the call goes on, and the first word counts", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: { run: batch({ most: 10 }, bench.send), backoff: 1_000 } });
		await bench.add(basket, "a b");
		const run = running(basket);
		await bench.clock.advance(0);
		const [{ context, resolve }] = bench.calls as [Call];
		context.fail("a", failure);
		context.fail("a", stopNow(failure));
		await bench.clock.advance(0);
		expect([bench.outcomes, basket.getSnapshot().running]).toEqual([["a retry"], 1]);
		await bench.clock.advance(1_000);
		// The next attempt is in a call of its own, which the first one does not reach.
		expect(bench.sent).toEqual(["a b", "a"]);
		context.fail("a", stopNow(failure));
		resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.outcomes).toEqual(["a retry", "b done"]);
		context.fail("b", failure);
		bench.calls[1]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.outcomes).toEqual(["a retry", "b done", "a done"]);
		expect([context.signal.aborted, bench.errors]).toEqual([false, []]);
		await run.stop();
	});

	test.each(["throws", "rejects"])(
		"all tasks that have not failed before as failed if the function %s",
		async (how) => {
			const bench = new Bench();
			const send = batch({ most: 10 }, (_: readonly Task[], { fail }) => {
				fail("a", stopNow(new Error("its own")));
				const error = retryAfter(5_000, failure);
				if (how === "rejects") return Promise.reject(error);
				throw error;
			});
			const basket = bench.basket({ send });
			await bench.add(basket, "a b c");
			await bench.drain(basket);
			expect(bench.settled.map(({ id, outcome, delay }) => [id, outcome, delay]).sort()).toEqual([
				["a", "dead", 0],
				["b", "retry", 5_000],
				["c", "retry", 5_000],
			]);
			expect((await basket.get("b"))?.error?.message).toBe("failure");
		},
	);

	test("with attempts, previous errors and a changed payload of each task", async () => {
		const bench = new Bench();
		const seen: unknown[] = [];
		const send = batch({ most: 10 }, async (tasks: readonly BatchTask<{ n: number }>[]) => {
			for (const task of tasks) {
				seen.push([
					task.id,
					task.payload.n,
					task.attempt,
					(task.previousError as Error | undefined)?.message,
					task.kind,
				]);
				task.payload.n++;
				task.report(task.attempt);
			}
			await tasks[0]!.save({ n: 10 });
			if (tasks[0]!.attempt === 1) throw failure;
		});
		const basket = bench.basket({ send: { run: send, backoff: 1_000, retain: 60_000 } });
		await basket.add("send", { n: 0 }, { id: "a" });
		await basket.add("send", { n: 5 }, { id: "b" });
		await bench.drain(basket);
		await bench.clock.advance(1_000);
		await bench.drain(basket);
		expect(seen).toEqual([
			["a", 0, 1, undefined, "send"],
			["b", 5, 1, undefined, "send"],
			["a", 10, 2, "failure", "send"],
			["b", 6, 2, "failure", "send"],
		]);
		expect(await basket.wait("b")).toEqual({ state: "done", result: undefined, error: undefined });
	});
});

describe("batch() and concurrency", () => {
	test("a call takes one slot, and no more than `most` tasks are claimed for each", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: batch({ most: 3 }, bench.send) }, { concurrency: 2 });
		await bench.add(basket, letters(10));
		const run = running(basket);
		await bench.clock.advance(0);
		expect([bench.sent, await bench.claimed()]).toEqual([["t0 t1 t2", "t3 t4 t5"], 6]);
		// A task that has failed makes room for nobody: its call takes the slot until it ends.
		bench.calls[0]!.context.fail("t0", later(3_600_000));
		await bench.clock.advance(0);
		expect([bench.calls.length, await bench.claimed()]).toEqual([2, 5]);
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(0);
		expect([bench.sent.slice(2), await bench.claimed()]).toEqual([["t6 t7 t8"], 6]);
		// A call all of whose tasks have failed has no place.
		for (const { id } of bench.calls[1]!.tasks) bench.calls[1]!.context.fail(id, later(3_600_000));
		await bench.clock.advance(0);
		expect(bench.sent.slice(3)).toEqual(["t9"]);
		for (const call of bench.calls) call.resolve(undefined);
		await run.stop();
		expect(bench.clock.pending).toBe(0);
	});

	test("nothing is claimed for a call while other tasks have the slots", async () => {
		const bench = new Bench();
		const gates = [deferred(), deferred()];
		const tasks = { send: batch({ most: 50 }, bench.send), single: (index: number) => gates[index]!.promise };
		const basket = bench.basket(tasks, { concurrency: 2 });
		for (const index of [0, 1]) await basket.add("single", index, { priority: 1 });
		await bench.add(basket, letters(60));
		const run = running(basket);
		await bench.clock.advance(0);
		expect([bench.calls.length, await bench.claimed()]).toEqual([0, 2]);
		gates[0]!.resolve();
		await bench.clock.advance(0);
		expect([bench.calls.map(({ tasks }) => tasks.length), await bench.claimed()]).toEqual([[50], 51]);
		gates[1]!.resolve();
		await bench.clock.advance(0);
		expect(bench.calls.map(({ tasks }) => tasks.length)).toEqual([50, 10]);
		for (const call of bench.calls) call.resolve(undefined);
		await run.stop();
	});

	test("tasks that arrive for a call that has begun meanwhile are released", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: batch({ most: 5, wait: 100 }, bench.send) }, { concurrency: 1 });
		const run = running(basket);
		await bench.clock.advance(0);
		await bench.add(basket, "a");
		const gate = deferred();
		bench.spied.after = (member) => member === "turn" ? gate.promise : undefined;
		await bench.add(basket, "b c");
		await bench.clock.advance(100);
		expect(bench.sent).toEqual(["a"]);
		expect(await bench.claimed()).toBe(3);
		bench.spied.after = undefined;
		gate.resolve();
		await bench.clock.advance(0);
		expect([bench.sent, await bench.claimed(), basket.getSnapshot().running]).toEqual([["a"], 1, 1]);
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(100);
		expect(bench.sent).toEqual(["a", "b c"]);
		expect(bench.calls[1]!.tasks.map(({ attempt }) => attempt)).toEqual([1, 1]);
		bench.calls[1]!.resolve(undefined);
		await run.stop();
	});

	test("a limit counts tasks, not calls", async () => {
		const bench = new Bench();
		const send = {
			run: batch({ most: 10 }, bench.send),
			limit: limit({ key: (payload: string) => payload[0]!, atOnce: 2 }),
		};
		const basket = bench.basket({ send, other: (_: string) => {} });
		await bench.add(basket, "a1 a2 a3 b1 b2 b3 c1");
		const run = running(basket);
		for (let turn = 0; turn < 3; turn++) {
			await bench.clock.advance(0);
			bench.calls.at(-1)!.resolve(undefined);
		}
		await bench.clock.advance(0);
		expect(bench.sent.map((call) => call.split(" ").sort().join(" "))).toEqual(["a1 a2 b1 b2 c1", "a3 b3"]);
		expect([bench.outcomes.length, bench.errors]).toEqual([7, []]);
		await run.stop();
	});

	test("several kinds, each with calls of its own, share the slots with others", async () => {
		const bench = new Bench();
		const tasks = {
			send: batch({ most: 4 }, bench.send),
			mail: batch({ most: 2, wait: 50 }, bench.send),
			single: (_: string) => {},
		};
		const basket = bench.basket(tasks, { concurrency: 2 });
		await basket.addMany([..."abcdefghijkl"].map((id, index) => {
			const kind = (["send", "mail", "single"] as const)[index % 3]!;
			return { kind, payload: id, id: `${kind} ${id}` };
		}));
		const run = running(basket);
		let most = 0;
		for (let count = 0; count < 20; count++) {
			const open = bench.calls.filter(({ context }) => !ended.has(context));
			most = Math.max(most, open.length);
			for (const call of open) {
				ended.add(call.context);
				call.resolve(undefined);
			}
			await bench.clock.advance(50);
		}
		expect(most).toBeLessThanOrEqual(2);
		expect(bench.calls.every(({ tasks }) => new Set(tasks.map(({ kind }) => kind)).size === 1)).toBe(true);
		expect(await basket.counts()).toMatchObject({ waiting: 0, running: 0 });
		expect(bench.settled.filter(({ outcome }) => outcome === "done").length).toBe(12);
		await run.stop();
	});
	const ended = new Set<BatchContext>();
});

describe("batch() in time", () => {
	test("the signal of a task aborts at its timeout, and that of the call when all have", async () => {
		const bench = new Bench();
		const send = batch({ most: 3, wait: 100 }, bench.send);
		const basket = bench.basket({ send: { run: send, timeout: 1_000, backoff: 500 } });
		const run = running(basket);
		await bench.clock.advance(0);
		await bench.add(basket, "a");
		await bench.clock.advance(50);
		await bench.add(basket, "b");
		await bench.clock.advance(50);
		const [{ tasks, context, reject }] = bench.calls as [Call];
		await bench.clock.advance(899); // from the beginning of the wait
		expect(tasks.map(({ signal }) => signal.aborted)).toEqual([false, false]);
		await bench.clock.advance(1);
		expect([...tasks.map(({ signal }) => signal.aborted), context.signal.aborted]).toEqual([true, false, false]);
		await bench.clock.advance(50);
		expect([tasks[1]!.signal.aborted, context.signal.aborted]).toEqual([true, true]);
		expect((context.signal.reason as Error).name).toBe("TimeoutError");
		reject(context.signal.reason);
		await bench.clock.advance(0);
		expect(bench.sorted).toEqual(["a retry", "b retry"]);
		expect((await basket.get("a"))?.error?.name).toBe("TimeoutError");
		await run.stop();
	});

	test("a call that returns has succeeded, also for tasks whose time was over", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: { run: batch({ most: 3 }, bench.send), timeout: 1_000 } });
		await bench.add(basket, "a b");
		const run = running(basket);
		await bench.clock.advance(2_000);
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sorted).toEqual(["a done", "b done"]);
		await run.stop();
	});

	test("abandoned tasks give their slot back, and the call has no effect on them any more", async () => {
		const bench = new Bench();
		const send = batch({ most: 3 }, bench.send);
		const basket = bench.basket({ send: { run: send, timeout: 1_000, abandonAfter: 100, backoff: 500 } }, {
			concurrency: 1,
		});
		await bench.add(basket, "a b");
		const run = running(basket);
		await bench.clock.advance(1_099);
		expect([bench.outcomes, basket.getSnapshot().running]).toEqual([[], 2]);
		await bench.clock.advance(1);
		expect([bench.sorted, basket.getSnapshot().running]).toEqual([["a retry", "b retry"], 0]);
		await bench.clock.advance(500);
		expect(bench.sent).toEqual(["a b", "a b"]);
		bench.calls[0]!.context.fail("a", stopNow(failure));
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.outcomes.length).toBe(2);
		bench.calls[1]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sorted).toEqual(["a done", "a retry", "b done", "b retry"]);
		await run.stop();
		expect(bench.clock.pending).toBe(0);
	});

	test("a task whose deadline passes while the call gathers becomes dead alone", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: { run: batch({ most: 3, wait: 100 }, bench.send), deadline: 1_050 } });
		await bench.add(basket, "a");
		await bench.clock.advance(1_000);
		await bench.add(basket, "b");
		const run = running(basket);
		await bench.clock.advance(100);
		expect([bench.sent, bench.outcomes]).toEqual([["b"], ["a dead"]]);
		bench.calls[0]!.resolve(undefined);
		await run.stop();
		expect(bench.sorted).toEqual(["a dead", "b done"]);
	});

	test("a call of a kind does not wait longer than its timeout allows", () => {
		const machine = new Machine();
		const send = batch({ most: 3, wait: 1_000 }, () => {});
		expect(() => machine.basket({ send: { run: send, timeout: 1_000 } })).toThrow(
			new RangeError('"wait" must be less than the timeout of "send", 1000: current value is 1000'),
		);
		machine.basket({ send: { run: send, timeout: 1_001 } });
	});
});

describe("batch() at the end", () => {
	/** A call that runs, and one that gathers. */
	async function busy(options: Partial<BatchOptions> = {}) {
		const bench = new Bench();
		const send: Send = (tasks, context) => Promise.race([bench.send(tasks, context), untilAborted(context.signal)]);
		const basket = bench.basket({ send: batch({ most: 2, wait: 5_000, ...options }, send) });
		const run = running(basket);
		await bench.clock.advance(0);
		await bench.add(basket, "a b c");
		expect([bench.sent, basket.getSnapshot().running]).toEqual([["a b"], 3]);
		return { bench, basket, run };
	}

	test("a stop aborts the signals of calls, and releases what they still gather", async () => {
		const { bench, basket, run } = await busy();
		const [{ tasks, context }] = bench.calls as [Call];
		const reason = new Error("bye");
		await run.stop(reason);
		expect([...tasks.map(({ signal }) => signal.reason), context.signal.reason]).toEqual([reason, reason, reason]);
		expect(bench.sorted).toEqual(["a released", "b released", "c released"]);
		expect(bench.sent).toEqual(["a b"]);
		const stored = await Promise.all(["a", "b", "c"].map((id) => basket.get(id)));
		expect(stored.map((task) => [task?.state, task?.attempts])).toEqual(Array(3).fill(["waiting", 0]));
		expect([bench.errors, bench.clock.pending]).toEqual([[], 0]);
	});

	test("a stop with time to finish lets a call begin that gathers", async () => {
		const { bench, basket } = await busy();
		const stopped = basket.stop({ finish: 60_000 });
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a b", "c"]);
		for (const call of bench.calls) call.resolve(undefined);
		await bench.clock.advance(0);
		await stopped;
		expect(bench.sorted).toEqual(["a done", "b done", "c done"]);
		expect(bench.clock.pending).toBe(0);
	});

	test("a pause lets a call begin that gathers, and claims nothing for it", async () => {
		const { bench, basket, run } = await busy();
		basket.pause();
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a b", "c"]);
		await bench.add(basket, "d");
		await bench.clock.advance(10_000);
		expect(bench.calls.length).toBe(2);
		basket.resume();
		await bench.clock.advance(5_000);
		expect(bench.sent).toEqual(["a b", "c", "d"]);
		await run.stop();
	});

	test("a pause and a stop at once begin nothing", async () => {
		const { bench, basket, run } = await busy();
		basket.pause();
		await run.stop();
		expect(bench.sent).toEqual(["a b"]);
		expect(bench.sorted).toEqual(["a released", "b released", "c released"]);
	});

	test("a basket that runs again gathers anew, also if a payload was never read", async () => {
		const bench = new Bench();
		let isHanging = true;
		const decode = (data: unknown) => isHanging ? new Promise(() => {}) : JSON.parse(String(data));
		const codec = { encode: (value: unknown) => JSON.stringify(value), decode };
		const basket = bench.basket({ send: { run: batch({ most: 3, wait: 10 }, bench.send), codec } }, { concurrency: 1 });
		const first = running(basket);
		await bench.add(basket, "a b");
		await bench.clock.advance(10);
		first.controller.abort();
		await bench.clock.advance(10_000);
		await first.done;
		isHanging = false;
		const second = running(basket);
		await bench.clock.advance(10);
		expect(bench.sent).toEqual(["a b"]);
		bench.calls[0]!.resolve(undefined);
		await second.stop();
		expect([await bench.claimed(), bench.clock.pending]).toEqual([0, 0]);
	});
});

describe("batch() and claims", () => {
	test("a lost claim aborts the signal of its task only, also before the call has begun", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: batch({ most: 3, wait: 100 }, bench.send) });
		await bench.add(basket, "a b c");
		await basket.delete("nobody");
		await bench.add(basket, "d e");
		const run = running(basket);
		await bench.clock.advance(0);
		const [{ tasks, context, resolve }] = bench.calls as [Call];
		await basket.delete("b");
		await basket.delete("e");
		await bench.clock.advance(100);
		expect(bench.sent).toEqual(["a b c", "d"]);
		expect(tasks.map(({ signal }) => signal.aborted)).toEqual([false, true, false]);
		expect(tasks[1]!.signal.reason).toBeInstanceOf(ClaimLostError);
		expect(context.signal.aborted).toBe(false);
		context.fail("b", failure);
		resolve(undefined);
		bench.calls[1]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sorted).toEqual(["a done", "c done", "d done"]);
		expect(await basket.counts()).toEqual({ waiting: 0, running: 0, held: 0, dead: 0, done: 0 });
		await run.stop();
	});

	test("a call begins with those that are left, or not at all", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: batch({ most: 3, wait: 100 }, bench.send) });
		const run = running(basket);
		await bench.clock.advance(0);
		await bench.add(basket, "a b");
		for (const id of ["a", "b"]) await basket.delete(id);
		await bench.clock.advance(50);
		await bench.add(basket, "c");
		await bench.clock.advance(99);
		expect(bench.sent).toEqual([]); // the wait begins with the first task of the call
		await bench.clock.advance(1);
		expect(bench.sent).toEqual(["c"]);
		bench.calls[0]!.resolve(undefined);
		await run.stop();
		expect(bench.clock.pending).toBe(0);
	});

	test("a call does not begin with tasks whose leases have ended while the machine slept", async () => {
		const bench = new Bench();
		const clock = new SleepingClock();
		const basket = bench.basket({ send: batch({ most: 3, wait: 100 }, bench.send) }, { clock });
		const run = running(basket);
		await clock.advance(0);
		await basket.addMany(["a", "b"].map((id) => ({ kind: "send" as const, payload: id, id })));
		await clock.advance(50);
		expect(basket.getSnapshot().running).toBe(2);
		clock.slept = 3_600_000;
		await clock.advance(50);
		expect(bench.sent).toEqual([]);
		await clock.advance(200);
		expect(bench.sent).toEqual(["a b"]);
		bench.calls[0]!.resolve(undefined);
		await run.stop();
	});

	test("leases are renewed while a call gathers and while it runs", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: batch({ most: 3, wait: 100_000 }, bench.send) });
		const run = running(basket);
		await bench.add(basket, "a b");
		await bench.clock.advance(100_000);
		expect(bench.sent).toEqual(["a b"]);
		await bench.clock.advance(100_000);
		expect(bench.calls[0]!.tasks.map(({ signal }) => signal.aborted)).toEqual([false, false]);
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(0);
		expect(bench.sorted).toEqual(["a done", "b done"]);
		await run.stop();
	});

	test("if the process dies in a call, each of its tasks has crashed once, and after two crashes it runs alone", async () => {
		const bench = new Bench();
		const other = new Bench();
		const store = bench.spied.store;
		const dying = async () => {
			const process = new Bench();
			let isDead = false;
			const members = Object.entries(store).map(([name, member]) => {
				const call = member as (...args: unknown[]) => unknown;
				return [
					name,
					typeof call !== "function" ? call : (...args: unknown[]) => isDead ? new Promise(() => {}) : call(...args),
				];
			});
			const basket = process.basket({ send: batch({ most: 3 }, process.send) }, {
				store: Object.fromEntries(members),
				clock: bench.clock,
			});
			void basket.run().catch(() => {});
			await bench.clock.advance(0);
			isDead = true;
			const { sent } = process;
			await bench.clock.advance(31_000);
			return sent;
		};
		const basket = other.basket({ send: batch({ most: 3 }, other.send) }, { store, clock: bench.clock });
		await basket.addMany(["a", "b", "c"].map((id) => ({ kind: "send" as const, payload: id, id })));
		expect(await dying()).toEqual(["a b c"]);
		const first = running(basket);
		await bench.clock.advance(0);
		expect(other.calls[0]!.tasks.map(({ id, attempt, crashes }) => [id, attempt, crashes])).toEqual([
			["a", 2, 1],
			["b", 2, 1],
			["c", 2, 1],
		]);
		other.calls[0]!.reject(failure); // an end that is stored: the crashes do not count any more
		await bench.clock.advance(0);
		await first.stop();
		await bench.clock.advance(10_000);
		other.calls.length = 0;
		for (const count of [1, 2]) expect([count, await dying()]).toEqual([count, ["a b c"]]);
		await basket.add("send", "d", { id: "d" });
		const second = running(basket);
		for (let turn = 0; turn < 4; turn++) {
			await bench.clock.advance(2_000);
			other.calls.at(-1)!.resolve(undefined);
		}
		await bench.clock.advance(0);
		expect(other.sent.sort()).toEqual(["a", "b", "c", "d"]);
		await second.stop();
	});
});

describe("batch() and the store", () => {
	test("a call that does not wait begins although the store fails", async () => {
		const bench = new Bench();
		const tasks = { send: batch({ most: 50 }, bench.send), other: (_: string) => {} };
		const basket = bench.basket(tasks, { concurrency: 1 });
		await bench.add(basket, "a b");
		bench.spied.before = (member) => {
			if (member === "turn" && bench.spied.count("turn") > 1) throw new Error("away");
		};
		const run = running(basket);
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a"]);
		bench.spied.before = undefined;
		bench.calls[0]!.resolve(undefined);
		await bench.clock.advance(1_000);
		expect(bench.sent).toEqual(["a", "b"]);
		bench.calls[1]!.resolve(undefined);
		await run.stop();
	});

	test("a call that does not wait asks the store once more, however often tasks are added", async () => {
		const bench = new Bench();
		const tasks = { send: batch({ most: 50 }, bench.send), other: (_: string) => {} };
		const basket = bench.basket(tasks, { concurrency: 1 });
		let added = 0;
		bench.spied.after = async (member) => {
			if (member === "turn" && added < 20) await basket.add("send", "x", { id: `x${added++}` });
		};
		await bench.add(basket, "a b");
		const run = running(basket);
		await bench.clock.advance(0);
		expect([bench.calls.length, added < 5]).toEqual([1, true]);
		bench.calls[0]!.resolve(undefined);
		await run.stop();
	});

	test("a task with one attempt may be part of a call", async () => {
		const bench = new Bench();
		const basket = bench.basket({ send: { run: batch({ most: 3 }, bench.send), attempts: 1 } });
		await bench.add(basket, "a b c d");
		const run = running(basket);
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a b c", "d"]);
		for (const call of bench.calls) call.resolve(undefined);
		await run.stop();
	});
});

describe("batch()", () => {
	test("makes a call of one if it is called without a basket", async () => {
		const bench = new Bench();
		const send = batch({ most: 3, wait: 1_000 }, bench.send);
		const context = (id: string) =>
			({ id, signal: new AbortController().signal }) as unknown as Parameters<typeof send>[1];
		const sends = ["a", "b", "c"].map((id) => send(id, context(id)));
		await bench.clock.advance(0);
		expect(bench.sent).toEqual(["a", "b", "c"]);
		bench.calls[0]!.resolve(undefined);
		bench.calls[1]!.reject(failure);
		bench.calls[2]!.context.fail("c", failure);
		await sends[0];
		expect([await errorOf(sends[1]!), await errorOf(sends[2]!)]).toEqual([failure, failure]);
	});

	test("may belong to several kinds and baskets, which do not share calls", async () => {
		const bench = new Bench();
		const send = batch({ most: 10 }, bench.send);
		const first = bench.basket({ send, mail: send });
		const second = bench.basket({ send }, { name: "other" });
		for (const kind of ["send", "mail"] as const) {
			await first.addMany([1, 2].map((n) => ({ kind, payload: "x", id: `${kind}${n}` })));
		}
		await second.add("send", "x", { id: "other" });
		const runs = [running(first), running(second)];
		await bench.clock.advance(0);
		expect(bench.sent.sort()).toEqual(["mail1 mail2", "other", "send1 send2"]);
		for (const call of bench.calls) call.resolve(undefined);
		for (const run of runs) await run.stop();
	});

	test("refuses a drain() of its own basket inside its function", async () => {
		const bench = new Bench();
		const errors: unknown[] = [];
		const basket: Basket<{ send: (payload: string) => unknown }> = bench.basket({
			send: batch({ most: 3 }, async (_: readonly Task[]) => void errors.push(await errorOf(basket.drain()))),
		});
		await bench.add(basket, "a");
		await bench.drain(basket);
		expect(errors).toMatchObject([{ name: "InvalidStateError" }]);
	});

	test.each([
		["most", { most: 0 }, RangeError],
		["most", { most: 1_001 }, RangeError],
		["most", { most: 1.5 }, RangeError],
		["most", {}, TypeError],
		["wait", { most: 1, wait: -1 }, RangeError],
		["wait", { most: 1, wait: Infinity }, RangeError],
		["wait", { most: 1, wait: "1" }, TypeError],
		["options", null, TypeError],
	])("refuses wrong options: %s of %j", (name, options, type) => {
		const create = () => batch(options as BatchOptions, () => {});
		expect(create).toThrow(type);
		expect(create).toThrow(`"${name}" must be`);
	});

	test("refuses a function that is none", () => {
		expect(() => batch({ most: 1 }, undefined as never)).toThrow(
			new TypeError('"run" must be a function: current value is undefined'),
		);
	});
});

// The guarantees of the README, sentence by sentence; a check compares the titles. Other files test each guarantee in
// depth; here each test follows the words. The guarantees that need a server are in
// test/runtimes/server/guarantees.test.ts.
import { describe, expect, test } from "vitest";
import {
	Basket,
	type Clock,
	Group,
	Intermittent,
	job,
	Lifecycle,
	memoryStore,
	poll,
	Pool,
	Processor,
	reconcile,
	run,
	Runner,
	Services,
	sleep,
	type Timer,
} from "../mod.ts";
import { VirtualClock } from "../src/testing/testing.ts";
import { Machine, running, SpiedStore } from "./basket/support.ts";
import { afterMicrotasks, atEachMicrotask } from "./every-microtask.ts";
import { Random } from "./simulation/random.ts";
import { deferred, errorOf, isLong, isPage, SpiedController, untilAborted, watch } from "./support.ts";

const noop = () => {};
const fail = (): never => {
	throw new Error("failure");
};
const seeds = Array.from({ length: isPage && !isLong ? 10 : 50 }, (_, seed) => seed);

/** Counts concurrent operations. */
class Overlap {
	most = 0;
	total = 0;
	#now = 0;

	async during<T>(work: () => Promise<T>): Promise<T> {
		this.total++;
		this.most = Math.max(this.most, ++this.#now);
		try {
			return await work();
		} finally {
			this.#now--;
		}
	}
}

describe("No overlap", () => {
	test("A run settles only after its task has settled", async () => {
		for (const options of [{ timeout: 10 }, { deadline: 10 }, { signal: AbortSignal.abort }]) {
			const clock = new VirtualClock();
			const controller = new AbortController();
			const signal = "signal" in options ? controller.signal : undefined;
			const deaf = async () => {
				await sleep(1_000, { clock });
				fail();
			};
			const outcomes = [
				watch(run(deaf, { ...options, signal, clock })),
				watch(new Runner(deaf, { ...options, clock }).step({ signal })),
				watch(new Group({ ...options, signal, clock }).spawn("a", deaf).wait()),
			];
			await clock.advance(10);
			controller.abort("enough");
			await clock.advance(989);
			expect(outcomes.map(({ state }) => state)).toEqual(["pending", "pending", "pending"]);
			await clock.advance(1);
			expect(outcomes.map(({ state }) => state)).toEqual(["rejected", "resolved", "resolved"]);
		}
	});

	test("Two attempts of one run never overlap", async () => {
		for (const seed of seeds) {
			const [clock, random, overlap] = [new VirtualClock(), new Random(seed), new Overlap()];
			const task = () =>
				overlap.during(async () => {
					await sleep(random.below(100), { clock });
					fail();
				});
			const done = watch(run(task, { attempts: 8, timeout: 30, backoff: random.below(20), clock }));
			await clock.advance(2_000);
			expect([done.state, overlap.total, overlap.most]).toEqual(["rejected", 8, 1]);
		}
	});

	test("Two applications of one `Lifecycle` never overlap", async () => {
		for (const seed of seeds) {
			const [clock, random, overlap] = [new VirtualClock(), new Random(seed), new Overlap()];
			const apply = (config: number) =>
				overlap.during(async () => {
					await sleep(random.below(50), { clock });
					if (config % 3 === 0) fail();
				});
			const lifecycle = new Lifecycle(apply, { retry: { backoff: 5, clock } });
			lifecycle.start();
			for (let config = 0; config < 30; config++) {
				lifecycle.configure(config).catch(noop);
				if (random.chance(0.2)) void lifecycle.stop();
				if (random.chance(0.9)) lifecycle.start();
				await clock.advance(random.below(40));
			}
			void lifecycle.stop();
			await clock.advance(100);
			expect(overlap.most).toBe(1);
			expect(overlap.total).toBeGreaterThan(5);
		}
	});

	test("A start never begins before the previous stop has ended", async () => {
		for (const seed of seeds) {
			const [clock, random, overlap] = [new VirtualClock(), new Random(seed), new Overlap()];
			const start = () => {
				const stopped = deferred();
				void overlap.during(() => stopped.promise);
				return sleep(random.below(20), { clock }).then(() => async () => {
					await sleep(random.below(50), { clock });
					stopped.resolve();
				});
			};
			const shared = new Intermittent(start, { linger: random.below(10), clock });
			for (let listener = 0; listener < 30; listener++) {
				const controller = new AbortController();
				shared.attach(controller.signal).catch(noop);
				sleep(random.below(40), { clock }).then(() => controller.abort("enough"));
				await clock.advance(random.below(60));
			}
			await clock.advance(1_000);
			expect([shared.state, overlap.most]).toEqual(["idle", 1]);
			expect(overlap.total).toBeGreaterThan(5);
		}
	});
});

describe("Done is done", () => {
	test("An attempt that returns has succeeded, even if it was aborted or timed out meanwhile", async () => {
		await atEachMicrotask(30, async (k) => {
			const clock = new VirtualClock();
			const controller = new SpiedController();
			const task = async ({ attempt, signal }: { attempt: number; signal: AbortSignal }) => {
				if (attempt === 1) fail();
				await sleep(20, { clock });
				expect(signal.aborted).toBe(true);
				afterMicrotasks(k, () => controller.abort("too late"));
				return "done";
			};
			const options = { attempts: 3, timeout: 10, clock };
			const outcomes = [
				watch(run(task, { ...options, signal: controller.signal })),
				watch(new Group(options).spawn("a", task, { signal: controller.signal }).result()),
			];
			await clock.advance(100);
			expect(outcomes.map(({ value, error }) => value ?? error)).toEqual(["done", "done"]);
		});
	});

	test("An abort ends a delay or a wait at once", async () => {
		const clock = new VirtualClock();
		const { signal, abort } = abortable();
		const busy = new Pool({ max: 1, clock });
		busy.run(() => new Promise(noop)).catch(noop);
		const group = new Group({ clock });
		group.spawn("a", () => new Promise(noop));
		const basket = new Basket({ store: memoryStore({ clock }), clock, tasks: { a: () => new Promise(noop) } });
		const processor = new Processor({ store: memoryStore({ clock }), clock, jobs: [endless] });
		await basket.open();
		const { id } = await processor.add(endless);
		const waits = [
			run(fail, { attempts: 2, backoff: 1e6, signal, clock }),
			sleep(1e6, { signal, clock }),
			group.wait({ signal }),
			group.get("a")!.wait({ signal }),
			busy.run(noop, { signal }),
			busy.wait({ signal }),
			new Lifecycle(noop).waitForStateChange("inactive", { signal }),
			new Intermittent(() => new Promise<void>(noop)).attach(signal),
			processor.wait(id, { signal }),
			basket.run({ signal }),
			reconcile({ create: () => [{ name: "a", perform: noop }] }, { interval: 1e6, signal, clock }),
		].map((wait) => watch(wait as Promise<unknown>));
		await clock.advance(10);
		expect(waits.map(({ state }) => state)).toEqual(waits.map(() => "pending"));
		abort();
		await clock.advance(0);
		expect(waits.map(({ state }) => state).includes("pending")).toBe(false);
	});

	test("An aborted call rejects with `signal.reason` itself", async () => {
		for (const reason of [new Error("enough"), "enough", { enough: true }, 0, null]) {
			for (const isBefore of [true, false]) {
				const clock = new VirtualClock();
				const { signal, abort } = abortable(reason);
				if (isBefore) abort();
				const basket = new Basket({ store: memoryStore({ clock }), clock, tasks: { a: noop }, gate: closed });
				await basket.add("a", undefined);
				const processor = new Processor({ store: memoryStore({ clock }), clock, jobs: [endless] });
				const { id } = await processor.add(endless);
				const waits = [
					run(({ signal }) => untilAborted(signal), { signal, clock }),
					run(fail, { attempts: 2, backoff: 1e6, signal, clock }),
					sleep(1e6, { signal, clock }),
					new Pool({ max: 1, clock }).run(({ signal }) => untilAborted(signal), { signal }),
					new Lifecycle(noop).waitForStateChange("inactive", { signal }),
					new Intermittent(() => new Promise<void>(noop)).attach(signal),
					reconcile({ create: ({ signal }) => untilAborted(signal) }, { signal, clock }),
					basket.drain({ signal }),
					processor.wait(id, { signal }),
				].map((wait) => errorOf(wait as Promise<unknown>));
				await clock.advance(10);
				abort();
				await clock.advance(10);
				for (const error of await Promise.all(waits)) expect(error).toBe(signal.reason);
			}
		}
	});
});

describe("Nothing is left behind", () => {
	test("A run that has settled leaves no timer and no listener", async () => {
		const deaf = ({ signal }: { signal: AbortSignal }) => untilAborted(signal);
		const ends: Record<string, [task: (context: { signal: AbortSignal }) => unknown, options: object]> = {
			"a success": [({ signal }) => signal.aborted, { timeout: 1_000, deadline: 10_000 }],
			"a failure": [fail, { attempts: 3, backoff: 10, timeout: 1_000, deadline: 10_000 }],
			"a timeout": [deaf, { timeout: 10 }],
			"a deadline": [deaf, { attempts: 3, backoff: 10, deadline: 15 }],
			"giving up": [() => new Promise(noop), { timeout: 10, abandonAfter: 10 }],
			"an abort": [deaf, { timeout: 1_000 }],
			"an abort in a delay": [fail, { attempts: 3, backoff: 1_000, deadline: 10_000 }],
		};
		for (const [name, [task, options]] of Object.entries(ends)) {
			const clock = new VirtualClock();
			const controller = new SpiedController();
			const done = watch(run(task, { ...options, signal: controller.signal, clock }));
			await clock.advance(100);
			if (name.startsWith("an abort")) controller.abort("enough");
			await clock.advance(0);
			expect([name, done.state === "pending", clock.pending, controller.listeners]).toEqual([name, false, 0, 0]);
		}
	});

	test("10,000 attempts on one signal add one listener to it", async () => {
		const controller = new SpiedController();
		const group = new Group({ signal: controller.signal });
		const tasks = Array.from(
			{ length: 5_000 },
			(_, tag) => group.spawn(`${tag}`, ({ signal }) => untilAborted(signal)),
		);
		const runs = tasks.map(() => run(({ signal }) => untilAborted(signal), { signal: controller.signal }).catch(noop));
		await sleep(0);
		expect([tasks.every(({ state }) => state === "running"), controller.listeners]).toEqual([true, 1]);
		controller.abort("enough");
		await Promise.all([...runs, group.wait()]);
		expect(controller.listeners).toBe(0);
	});
});

describe("At least once", () => {
	test("A task that was added runs until it succeeds, across crashes", async () => {
		const machine = new Machine();
		const random = new Random(1);
		const done = new Map<number, number>();
		const tasks = {
			a: (n: number, { attempt }: { attempt: number }) => {
				if (attempt < 4 || random.chance(0.5)) fail();
				done.set(n, (done.get(n) ?? 0) + 1);
			},
		};
		for (let n = 0; n < 50; n++) await machine.basket(tasks).add("a", n);
		for (let crash = 0; crash < 60; crash++) await machine.crash("a", 1_000);
		const work = running(machine.basket(tasks));
		for (let round = 0; round < 500 && done.size < 50; round++) await machine.clock.advance(20_000);
		await work.stop();
		expect([done.size, Math.max(...done.values())]).toEqual([50, 1]);
		expect(await machine.basket(tasks).counts()).toEqual({ waiting: 0, running: 0, held: 0, dead: 0, done: 0 });
	});

	test("A lost claim can write nothing", async () => {
		const clock = new VirtualClock({ now: 1_000_000 });
		const store = memoryStore({ clock });
		const turn = (settle: Parameters<typeof store.turn>[1]["settle"] = []) =>
			store.turn("b", { settle, claim: settle.length > 0 ? [] : [{ kinds: ["a"], limit: 1 }], lease: 1_000 });
		await store.add("b", [{ id: "x", kind: "a", payload: "1", delay: 0, priority: 0, lane: "l" }]);
		const { claims: [lost] } = await turn();
		await clock.advance(1_000);
		const { claims: [current] } = await turn();
		const before = await store.get("b", "x");
		const error = "{}";
		const settled = [
			await turn([{ ref: lost!, outcome: { type: "done", payload: "2" } }]),
			await turn([{ ref: lost!, outcome: { type: "retry", delay: 0, attempts: 9, error, payload: "2" } }]),
			await turn([{ ref: lost!, outcome: { type: "dead", attempts: 9, error, payload: "2" } }]),
			await turn([{ ref: lost!, outcome: { type: "later", delay: 0, seen: 0, payload: "2" } }]),
			await turn([{ ref: lost!, outcome: { type: "release", payload: "2" } }]),
		].map(({ settled: [isWritten] }) => isWritten);
		expect(settled).toEqual([false, false, false, false, false]);
		expect(await store.save("b", [{ ref: lost!, payload: "2", progress: "1" }])).toEqual([false]);
		expect(await store.extend("b", [lost!], 60_000)).toEqual(["lost"]);
		expect(await store.get("b", "x")).toEqual(before);
		expect((await turn([{ ref: current!, outcome: { type: "done" } }])).settled).toEqual([true]);
	});

	test("The signal of a task aborts when its lease may have expired, whatever the store does", async () => {
		const lease = 9_000;
		const ends: Record<string, () => unknown> = {
			"it hangs": () => new Promise(noop),
			"it fails": () => Promise.reject(new Error("unreachable")),
			"it answers late": () => sleep(60_000, { clock: machine.clock }),
		};
		let machine!: Machine;
		for (const [name, answer] of Object.entries(ends)) {
			machine = new Machine();
			let signal!: AbortSignal;
			const basket = machine.basket({
				a: (_: undefined, context: { signal: AbortSignal }) => untilAborted(signal = context.signal),
			}, { lease });
			await basket.add("a");
			const work = running(basket);
			await machine.clock.advance(0);
			machine.spied.before = answer;
			await machine.clock.advance(lease - 1);
			expect([name, signal.aborted]).toEqual([name, false]);
			await machine.clock.advance(1);
			expect([name, signal.aborted, signal.reason?.name]).toEqual([name, true, "ClaimLostError"]);
			const stopped = watch(work.stop());
			await machine.clock.advance(5_000);
			expect([name, stopped.state]).toEqual([name, "resolved"]);
		}
	});

	test("Tasks of one lane run one at a time, in the order in which they were added", async () => {
		for (const seed of seeds.slice(0, 5)) {
			const [machine, random, overlap] = [new Machine(), new Random(seed), new Overlap()];
			const order: number[] = [];
			const tasks = {
				a: (n: number) =>
					overlap.during(async () => {
						await sleep(random.below(100), { clock: machine.clock });
						if (random.chance(0.3)) fail();
						order.push(n);
					}),
			};
			const baskets = [1, 2, 3].map(() => machine.basket(tasks));
			for (let n = 0; n < 40; n++) {
				await baskets[n % 3]!.add("a", n, { lane: "x", priority: random.below(3), delay: random.below(50) });
			}
			const works = baskets.map((basket) => running(basket));
			for (let round = 0; round < 200 && order.length < 40; round++) await machine.clock.advance(20_000);
			await Promise.all(works.map((work) => work.stop()));
			expect([order, overlap.most]).toEqual([Array.from({ length: 40 }, (_, n) => n), 1]);
		}
	});

	test("A task that kills its process takes no other task with it", async () => {
		const machine = new Machine();
		const begun = new Set<string>();
		const done = new Map<string, number>();
		/**
		 * Starts a process that can die. A dead process receives no answers, its timers do not fire, and its actions
		 * are not recorded.
		 */
		const spawn = () => {
			const spied = new SpiedStore(machine.memory);
			let isDead = false;
			const timers = new Set<Timer>();
			const clock: Clock = {
				now: () => machine.clock.now(),
				monotonic: () => machine.clock.monotonic(),
				set: (timer, delay) => isDead || machine.clock.set(timer, delay) || timers.add(timer),
				clear: (timer) => machine.clock.clear(timer),
			};
			spied.before = spied.after = () => isDead ? new Promise(noop) : undefined;
			const good = async (n: string) => {
				begun.add(n);
				await sleep(100, { clock: machine.clock });
				if (!isDead) done.set(n, (done.get(n) ?? 0) + 1);
				else await new Promise(noop);
			};
			const tasks = {
				poison: () => {
					isDead = true;
					for (const timer of timers) machine.clock.clear(timer);
					queueMicrotask(spawn);
					return new Promise(noop);
				},
				once: { run: good, attempts: 1 },
				good,
			};
			void machine.basket(tasks, { store: spied.store, clock, lease: 1_000 }).run();
		};
		const adder = machine.basket({ poison: noop, once: (_: string) => {}, good: (_: string) => {} });
		for (let n = 0; n < 30; n++) {
			if (n % 10 === 5) await adder.add("poison", undefined, { id: `poison ${n}` });
			await adder.add("once", `once ${n}`, { id: `once ${n}` });
			await adder.add("good", `good ${n}`, { id: `good ${n}` });
		}
		spawn();
		for (let round = 0; round < 100; round++) {
			await machine.clock.advance(2_000);
			const { waiting, running } = await adder.counts();
			if (waiting + running === 0) break;
		}
		const dead: string[] = [];
		for await (const { id } of adder.list({ state: "dead" })) dead.push(id);
		expect(dead.filter((id) => id.startsWith("poison"))).toEqual(["poison 5", "poison 15", "poison 25"]);
		// If the process of a running task with `attempts: 1` dies, the task has used its attempt. Only such tasks are
		// dead.
		const others = dead.filter((id) => !id.startsWith("poison"));
		expect(others.filter((id) => !id.startsWith("once") || !begun.has(id) || done.has(id))).toEqual([]);
		expect([done.size + others.length, (await adder.counts()).waiting]).toEqual([60, 0]);
		expect([...done].filter(([id, times]) => id.startsWith("once") && times > 1)).toEqual([]);
	});
});

describe("Each caller for itself", () => {
	test("An invalid item of one caller never fails the call of another", async () => {
		const limits = { maxPayload: 1_000, maxAdd: 3, maxAddBytes: 2_000 };
		const spied = new SpiedStore(memoryStore(), limits);
		// Like Deno KV, whose commits are limited.
		spied.before = (member, [, tasks]) => {
			if (member !== "add") return;
			const sizes = (tasks as { payload: string }[]).map(({ payload }) => payload.length);
			if (sizes.length > limits.maxAdd || sizes.reduce((sum, size) => sum + size) > limits.maxAddBytes) {
				throw new RangeError("too much for one commit");
			}
		};
		const basket = new Basket({ store: spied.store, tasks: { a: (_: unknown) => {} } });
		const cycle: unknown[] = [];
		cycle.push(cycle);
		const bad = [1n, cycle, () => {}, "x".repeat(1_001)];
		const payloads = Array.from({ length: 40 }, (_, n) => n % 10 === 3 ? bad[(n - 3) / 10] : "x".repeat(900));
		const outcomes = await Promise.allSettled([
			...payloads.map((payload) => basket.add("a", payload)),
			basket.addMany(payloads.slice(0, 2).map((payload) => ({ kind: "a" as const, payload }))),
			basket.addMany(payloads.slice(2, 4).map((payload) => ({ kind: "a" as const, payload }))),
		]);
		const failed = outcomes.flatMap(({ status }, index) => status === "rejected" ? [index] : []);
		expect(failed).toEqual([3, 13, 23, 33, 41]);
		expect((await basket.counts()).waiting).toBe(38);
	});

	test("An invalid argument causes a TypeError or a RangeError that says what was given", async () => {
		const store = memoryStore();
		const basket = new Basket({ store, tasks: { a: (_: unknown) => {} } });
		const bad: Record<string, () => unknown> = {
			"-1 attempts": () => run(noop, { attempts: -1 }),
			"a timeout of 0": () => run(noop, { timeout: 0 }),
			"a task that is null": () => run(null as never),
			"a signal that is {}": () => sleep(1, { signal: {} as never }),
			"a delay of NaN": () => sleep(NaN),
			"a Runner's backoff of -1": () => new Runner(noop, { backoff: -1 }),
			"a Group's clock of 1": () => new Group({ clock: 1 as never }),
			"a Pool of 0": () => new Pool({ max: 0 }),
			"a poll of no interval": () => poll(noop, { interval: -1 }),
			"an Intermittent's linger of text": () => new Intermittent(noop, { linger: "1" as never }),
			"a Lifecycle of nothing": () => new Lifecycle(undefined as never),
			"a plan of 1": () => reconcile(1 as never),
			"kinds that are 1": () => new Services({ kinds: 1 as never }),
			"a store of {}": () => new Basket({ store: {} as never, tasks: {} }),
			"a lease of 0": () => new Basket({ store, tasks: {}, lease: 0 }),
			"an id of 1": () => basket.add("a", 1, { id: 1 as never }),
			"a priority of 101": () => basket.add("a", 1, { priority: 101 }),
			"a kind that is not there": () => basket.add("b" as never, 1 as never),
			"entries that are 5": () => basket.addMany(5 as never),
			"a state of bogus": () => basket.list({ state: "bogus" as never }).next(),
			"jobs that are {}": () => new Processor({ store, jobs: {} as never }),
			"a job of no name": () => job(""),
		};
		for (const [name, call] of Object.entries(bad)) {
			const error = await errorOf(new Promise((resolve) => resolve(call())));
			const isNamed = error instanceof TypeError || error instanceof RangeError;
			expect([name, isNamed, String(error)]).toEqual([name, true, expect.stringMatching(/"|\w/)]);
			expect(String(error)).not.toMatch(/undefined is not|Cannot read|not iterable|is not a function/);
		}
		expect((await basket.counts()).waiting).toBe(0);
	});
});

const endless = job("endless").waitFor("never");

/** A gate that never opens. */
const closed = { subscribe: () => noop, getSnapshot: () => false };

function abortable(reason: unknown = "enough"): { signal: AbortSignal; abort: () => void } {
	const controller = new AbortController();
	return { signal: controller.signal, abort: () => controller.abort(reason) };
}

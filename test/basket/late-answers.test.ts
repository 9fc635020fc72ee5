// Store calls that are answered late or never, while other calls are answered at once.
import { describe, expect, test } from "vitest";
import { job, Processor, sleep, StoreError } from "../../mod.ts";
import { Batch } from "../../src/basket/batch.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { deferred, untilAborted, watch } from "../support.ts";
import { Machine, running } from "./support.ts";

const hang = () => new Promise<never>(() => {});

describe("Basket.open()", () => {
	test("is tried again when it is needed after a call that was never answered, and ends the waiting of all", async () => {
		const machine = new Machine();
		machine.spied.before = (member) => member === "open" && machine.spied.count("open") === 1 ? hang() : undefined;
		const basket = machine.basket({ a: () => {} }, { lease: 3_000 });
		const first = watch(basket.counts());
		await machine.clock.advance(999);
		const second = watch(basket.counts());
		await machine.clock.advance(0);
		expect([machine.spied.count("open"), first.state, second.state]).toEqual([1, "pending", "pending"]);
		await machine.clock.advance(1);
		await basket.counts();
		expect([machine.spied.count("open"), first.state, second.state]).toEqual([2, "resolved", "resolved"]);
		await basket.counts();
		await machine.clock.advance(1_000_000);
		await basket.counts();
		expect(machine.spied.count("open")).toBe(2);
	});

	test("stays open when an earlier call fails late", async () => {
		const machine = new Machine();
		machine.spied.before = async (member) => {
			if (member !== "open" || machine.spied.count("open") > 1) return;
			await sleep(5_000, { clock: machine.clock });
			throw new Error("late");
		};
		const basket = machine.basket({ a: () => {} }, { lease: 3_000 });
		const first = watch(basket.counts());
		await machine.clock.advance(2_000);
		await basket.counts();
		await machine.clock.advance(10_000);
		await basket.counts();
		expect([first.state, machine.spied.count("open")]).toEqual(["resolved", 2]);
	});
});

describe("Basket.add()", () => {
	test("does not wait for another one that the store never answers", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: number) => {} }, { lease: 3_000 });
		await basket.open();
		machine.spied.before = (member) => member === "add" && machine.spied.count("add") === 1 ? hang() : undefined;
		const lost = watch(basket.add("a", 1));
		await machine.clock.advance(500);
		const next = watch(basket.add("a", 2));
		await machine.clock.advance(499);
		expect(next.state).toBe("pending");
		await machine.clock.advance(1);
		expect([lost.state, next.state]).toEqual(["pending", "resolved"]);
		await basket.add("a", 3);
		expect([(await basket.counts()).waiting, machine.clock.pending]).toEqual([2, 0]);
	});
});

describe("Basket.add() with a delay", () => {
	test.each([true, false])(
		"makes the task begin in time, though a turn from before is answered late (watched: %s)",
		async (isWatched) => {
			const machine = new Machine();
			const answer = deferred();
			const log: number[] = [];
			const { watch: _, ...unwatched } = machine.spied.store;
			const store = isWatched ? machine.spied.store : unwatched;
			const basket = machine.basket({ a: (_: number) => void log.push(machine.clock.monotonic()) }, { store });
			machine.spied.after = (member) => member === "turn" ? answer.promise : undefined;
			const run = running(basket);
			await machine.clock.advance(10);
			await basket.add("a", 1, { delay: 100 });
			machine.spied.after = undefined;
			answer.resolve();
			await machine.clock.advance(200);
			expect(log).toEqual([110]);
			await run.stop();
		},
	);
});

describe("Batch.submit()", () => {
	test("goes on with what did not fit into a call that is never answered", async () => {
		const clock = new VirtualClock();
		const calls: string[][] = [];
		const flush = (items: readonly string[]) => {
			calls.push([...items]);
			return calls.length === 1 ? hang() : Promise.resolve(items);
		};
		const batch = new Batch<string, string>(flush, { clock, limit: 100 }, (items) => items.length);
		for (const item of ["a", "b", "c"]) batch.submit([item]);
		await clock.advance(99);
		expect(calls).toEqual([["a"]]);
		await clock.advance(1);
		expect([calls, clock.pending]).toEqual([[["a"], ["b"], ["c"]], 0]);
	});

	test("keeps nobody waiting for a call that is not answered for long", async () => {
		const clock = new VirtualClock();
		const calls: string[][] = [];
		const flush = (items: readonly string[]) => {
			calls.push([...items]);
			return items.includes("hangs") ? hang() : Promise.resolve(items);
		};
		const batch = new Batch<string, string>(flush, { clock, limit: 100 });
		batch.submit(["hangs"]);
		await clock.advance(60);
		batch.submit(["a"]);
		await clock.advance(39);
		expect(calls).toEqual([["hangs"]]);
		await clock.advance(1);
		expect(calls).toEqual([["hangs"], ["a"]]);
		batch.submit(["hangs"]);
		await clock.advance(1_000);
		batch.submit(["b"]);
		await clock.advance(0);
		expect([calls.slice(2), clock.pending]).toEqual([[["hangs"], ["b"]], 0]);
	});
});

describe("Basket.delete()", () => {
	test("ends the run of what it has deleted, and not of what was added since under the same id", async () => {
		const machine = new Machine();
		const { clock } = machine;
		const log: string[] = [];
		const politely = async (name: string, { signal }: { signal: AbortSignal }) => {
			log.push(`${name} begins`);
			await sleep(20_000, { clock, signal }).then(() => log.push(`${name} ends`), () => log.push(`${name} aborts`));
		};
		const slow = { ...machine.spied.store, delete: machine.spied.store.delete };
		slow.delete = async (...args) => {
			const deleted = await machine.spied.store.delete(...args);
			await sleep(100, { clock });
			return deleted;
		};
		const basket = machine.basket({ politely }, { store: slow });
		const run = running(basket);
		await basket.add("politely", "first", { id: "x" });
		await clock.advance(0);
		const first = basket.delete("x");
		await clock.advance(100);
		await first;
		await clock.advance(0);
		expect(log).toEqual(["first begins", "first aborts"]);
		await basket.add("politely", "second", { id: "x", delay: 1_000 });
		const second = basket.delete("x");
		await clock.advance(0);
		await basket.add("politely", "third", { id: "x" });
		await clock.advance(100);
		await second;
		await clock.advance(20_000);
		expect(log).toEqual(["first begins", "first aborts", "third begins", "third ends"]);
		expect(machine.errors).toEqual([]);
		await run.stop();
	});
});

describe("Basket.run()", () => {
	test.each([10_000, 10_001, 10_500, 11_500])(
		"gives its tasks back at the end of its grace although a renewal hangs since 10_000 ms: stopped at %i ms",
		async (stoppedAt) => {
			const machine = new Machine();
			const basket = machine.basket({ a: hang }, { grace: 2_000, lease: 30_000 });
			await basket.add("a", undefined, { id: "x" });
			const { spied } = machine;
			spied.before = (member) => member === "extend" && spied.count("extend") === 1 ? hang() : undefined;
			const run = running(basket);
			await machine.clock.advance(stoppedAt);
			expect(spied.count("extend")).toBe(1);
			const stopped = watch(run.stop());
			await machine.clock.advance(2_000);
			expect([stopped.state, await basket.get("x")]).toMatchObject(["resolved", { state: "waiting", crashes: 0 }]);
		},
	);

	test.each([["goes on", 20_000], ["ends with it", 10_500]])(
		"gives back what it has claimed by a call that is answered late, while it stops and a task %s",
		async (_, duration) => {
			const machine = new Machine();
			const { clock, spied } = machine;
			const tasks = { a: () => sleep(duration, { clock }), b: () => {} };
			const basket = machine.basket(tasks, { grace: 5_000, lease: 30_000 });
			await basket.add("a", undefined);
			const run = running(basket);
			await clock.advance(0);
			spied.after = async (member) => {
				if (member !== "turn") return;
				spied.after = undefined;
				await sleep(12_000, { clock });
			};
			// The stop waits for this call, because no task runs anymore.
			spied.before = (member) => member === "extend" && spied.count("extend") === 1 ? hang() : undefined;
			await basket.add("b", undefined, { id: "x" });
			await clock.advance(10_500);
			expect((await basket.get("x"))?.state).toBe("running");
			const stopped = watch(run.stop());
			await clock.advance(1_499);
			expect([stopped.state, (await basket.get("x"))?.state]).toEqual(["pending", "running"]);
			await clock.advance(1);
			expect(await basket.get("x")).toMatchObject({ state: "waiting", attempts: 0, crashes: 0 });
			await clock.advance(5_000);
			expect(stopped.state).toBe("resolved");
		},
	);

	test.each([0, 1])("is over with its grace if a store is silent since %i ms after its last answer", async (later) => {
		const machine = new Machine();
		const basket = machine.basket({ a: hang }, { grace: 2_000, lease: 30_000 });
		await basket.add("a", undefined, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(10_000);
		expect(machine.spied.count("extend")).toBe(1);
		await machine.clock.advance(later);
		machine.spied.before = hang;
		const stopped = watch(run.stop());
		await machine.clock.advance(1_999);
		expect(stopped.state).toBe("pending");
		await machine.clock.advance(1);
		expect(stopped.state).toBe("resolved");
	});
});

describe("Processor.run()", () => {
	test("stores the steps of one job while a call that stores another one's hangs, and sends none after it has stopped", async () => {
		const machine = new Machine();
		const { clock } = machine;
		const steps = job<string>("steps")
			.step("one", { run: async ({ input }) => await sleep(input === "slow" ? 100 : 0, { clock }) })
			.step("two", { run: ({ signal }) => untilAborted(signal) });
		const processor = new Processor({ store: machine.spied.store, jobs: [steps], clock, lease: 3_000, grace: 500 });
		await processor.add(steps, "quick");
		await processor.add(steps, "slow");
		machine.spied.before = (member) => member === "save" && machine.spied.count("save") === 1 ? hang() : undefined;
		const run = running(processor);
		await clock.advance(200);
		expect(machine.spied.count("save")).toBe(1);
		await clock.advance(2_000);
		expect(machine.spied.count("save")).toBeGreaterThan(1);
		const stopped = watch(run.stop());
		await clock.advance(1_500);
		const { length } = machine.spied.calls;
		expect(stopped.state).toBe("resolved");
		await clock.advance(60_000);
		expect(machine.spied.calls.length).toBe(length);
	});

	test("does not send a checkpoint after its end that waited for one that hangs", async () => {
		const machine = new Machine();
		const { clock } = machine;
		const steps = job<number>("steps")
			.step("one", { run: async ({ input }) => await sleep(input, { clock }) })
			.step("two", { run: ({ signal }) => untilAborted(signal) });
		const processor = new Processor({ store: machine.spied.store, jobs: [steps], clock, lease: 30_000, grace: 500 });
		await processor.add(steps, 0);
		await processor.add(steps, 100);
		machine.spied.before = (member) => member === "save" ? hang() : undefined;
		const run = running(processor);
		await clock.advance(200);
		const stopped = watch(run.stop());
		await clock.advance(1_500);
		expect([stopped.state, machine.spied.count("save")]).toEqual(["resolved", 1]);
		await clock.advance(60_000);
		expect(machine.spied.count("save")).toBe(1);
	});

	test("gives back a job whose checkpoint waits for one that hangs, although the store has answered since that was sent", async () => {
		const machine = new Machine();
		const { clock } = machine;
		const steps = job<number>("steps")
			.step("one", { run: async ({ input }) => await sleep(input, { clock }) })
			.step("two", { run: ({ signal }) => untilAborted(signal) });
		const processor = new Processor({ store: machine.spied.store, jobs: [steps], clock, lease: 30_000, grace: 500 });
		machine.spied.before = (member) =>
			member === "save" ? hang() : member === "extend" ? sleep(700, { clock }) : undefined;
		const run = running(processor);
		await processor.add(steps, 0, { id: "hangs" });
		await clock.advance(100);
		await processor.add(steps, 100, { id: "waits" });
		await clock.advance(1_200);
		expect(machine.spied.count("save")).toBe(1);
		const stopped = watch(run.stop());
		await clock.advance(1_500);
		const tasks = await machine.memory.list("jobs", { limit: 10 });
		expect([stopped.state, tasks.map(({ id, state }) => `${id} ${state}`)]).toEqual([
			"resolved",
			["hangs waiting", "waits waiting"],
		]);
		expect(await machine.memory.turn("jobs", { settle: [], claim: [{ kinds: ["steps"], limit: 2 }], lease: 1_000 }))
			.toMatchObject({ claims: [{ id: "hangs", crashes: 0 }, { id: "waits", crashes: 0 }] });
	});
});

describe("A worker whose store was away for two minutes", () => {
	test.each([
		["refused all calls", 200],
		["refused all calls", 30_000],
		["refused all calls", 600_000],
		["answered too late", 200],
		["answered too late", 30_000],
	])("because it %s runs a task within 30 s, or the lease of %d ms if that is shorter", async (how, lease) => {
		for (let offset = 0; offset < 3; offset++) {
			const machine = new Machine();
			const { clock } = machine;
			const begun: number[] = [];
			const back = clock.now() + 120_000 + offset * lease / 3;
			machine.spied.before = () => {
				if (clock.now() >= back || how !== "refused all calls") return;
				throw new StoreError("unavailable", "away");
			};
			machine.spied.after = () => clock.now() < back ? sleep(1.5 * lease, { clock }) : undefined;
			const run = running(machine.basket({ a: () => void begun.push(clock.now()) }, { lease }));
			await machine.memory.add("default", [{ kind: "a", payload: "1", delay: 0, priority: 0 }]);
			await clock.advanceTo(back);
			// One call may be under way, whose late claim ends with its lease.
			await clock.advance((how === "refused all calls" ? 1 : 3) * Math.max(100, Math.min(lease, 30_000)));
			expect(begun).toHaveLength(1);
			await run.stop();
		}
	});
});

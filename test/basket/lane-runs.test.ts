// Runs of lanes: quick tasks of a lane are claimed together, run one after the other, and end with one commit.
import { describe, expect, test } from "vitest";
import { type Basket, later, sleep, stopNow, StoreError } from "../../mod.ts";
import type { Claim } from "../../src/store.ts";
import fc from "../property.ts";
import { deferred, untilAborted } from "../support.ts";
import { Machine, running } from "./support.ts";

const noop = (_: number) => {};
const inLane = (count: number, lane = "x", from = 0) =>
	Array.from({ length: count }, (_, n) => ({ kind: "a", payload: from + n, lane }) as const);
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

/** A machine that notes the largest number of claims of a turn. */
function counted() {
	const machine = new Machine();
	const seen = { most: 0 };
	machine.spied.after = (member, result) => {
		if (member === "turn") seen.most = Math.max(seen.most, (result as { claims: Claim[] }).claims.length);
	};
	return { machine, seen };
}

/** A basket whose task 40 waits for a gate. */
function held() {
	const { machine } = counted();
	const gate = deferred();
	const begun: number[] = [];
	const basket = machine.basket({
		a: async (n: number) => {
			begun.push(n);
			if (n === 40) await gate.promise;
		},
	});
	return { machine, gate, begun, basket };
}

describe("Basket: a run of a lane", () => {
	test("has one commit for many tasks, which run one after the other in order", async () => {
		const { machine, seen } = counted();
		const begun: number[] = [];
		let now = 0;
		let most = 0;
		const basket = machine.basket({
			a: async (n: number) => {
				most = Math.max(most, ++now);
				begun.push(n);
				await sleep(0.1, machine);
				now--;
			},
		});
		await basket.addMany(inLane(1_000));
		const drained = basket.drain();
		await machine.clock.advance(1_000);
		await drained;
		expect([begun, most, seen.most]).toEqual([upTo(1_000), 1, 64]);
		expect(machine.settled.length).toBe(1_000);
	});

	test("takes few turns if its tasks end at once", async () => {
		const { machine, seen } = counted();
		const basket = machine.basket({ a: noop });
		await basket.addMany(inLane(1_000));
		await machine.drain(basket);
		// 1, 2, 4, 8, 16, 32 and then 64 tasks.
		expect([machine.spied.count("turn") < 25, seen.most]).toEqual([true, 64]);
	});

	test("is not there if there are many lanes", async () => {
		const { machine, seen } = counted();
		const basket = machine.basket({ a: noop });
		await basket.addMany(upTo(20_000).map((n) => ({ kind: "a", payload: n, lane: `${n % 500}` }) as const));
		await machine.drain(basket);
		expect(machine.settled.length).toBe(20_000);
		expect(seen.most).toBeLessThanOrEqual(1_010);
	});

	test.each([
		["fails", () => new Error("no"), { attempt: 2, delay: 1_000 }],
		["waits", () => later(5_000), { attempt: 1, delay: 5_000 }],
	])("ends where a task %s: the others are given back, and wait for it", async (_, reason, { attempt, delay }) => {
		const { machine } = counted();
		const begun: unknown[] = [];
		let isFirst = true;
		const basket = machine.basket({
			a: (n: number, context) => {
				begun.push([n, context.attempt, machine.clock.monotonic()]);
				if (n !== 40 || !isFirst) return;
				isFirst = false;
				throw reason();
			},
		}, { backoff: { start: 1_000, jitter: "none" } });
		await basket.addMany(inLane(100));
		const run = running(basket);
		await machine.clock.advance(0);
		expect(begun.length).toBe(41);
		const left = [];
		for await (const { payload, state, attempts, crashes } of basket.list()) {
			left.push([payload, state, attempts, crashes]);
		}
		expect(left).toEqual(upTo(60).map((n) => [40 + n, "waiting", n === 0 ? attempt - 1 : 0, 0]));
		await machine.clock.advance(10_000);
		expect(begun.slice(41)).toEqual(upTo(60).map((n) => [40 + n, n === 0 ? attempt : 1, delay]));
		expect(machine.errors).toEqual([]);
		await run.stop();
	});

	test("goes on behind a task that is dead", async () => {
		const { machine } = counted();
		const begun: number[] = [];
		const basket = machine.basket({
			a: (n: number) => {
				begun.push(n);
				if (n % 10 === 9) throw stopNow(new Error("no"));
			},
		});
		await basket.addMany(inLane(200));
		await machine.drain(basket);
		expect(begun).toEqual(upTo(200));
		expect((await basket.counts()).dead).toBe(20);
	});

	test("has no task with an id of its own: its newest payload runs before those behind it", async () => {
		const { machine, seen } = counted();
		const begun: unknown[] = [];
		const basket = machine.basket({
			a: async (n: number | string) => {
				begun.push(n);
				if (n === 50) await basket.add("a", "newest", { id: "50", lane: "x", ifPresent: "replace" });
			},
		});
		await basket.addMany(inLane(100).map((task) => ({ ...task, id: `${task.payload}` })));
		await machine.drain(basket);
		expect(begun).toEqual([...upTo(51), "newest", ...upTo(100).slice(51)]);
		expect(seen.most).toBe(1);
	});

	test("ends at a task with an id of its own, in the middle", async () => {
		const { machine } = counted();
		const begun: unknown[] = [];
		const basket = machine.basket({
			a: async (n: number | string) => {
				begun.push(n);
				if (n === 50) await basket.add("a", "newest", { id: "mine", lane: "x", ifPresent: "replace" });
			},
		});
		await basket.addMany(inLane(100).map((task) => task.payload === 50 ? { ...task, id: "mine" } : task));
		await machine.drain(basket);
		expect(begun).toEqual([...upTo(51), "newest", ...upTo(100).slice(51)]);
	});

	test.each([
		["of slow tasks", { takes: 100 }],
		["of a kind with few attempts", { attempts: 5 }],
	])("does not consist %s", async (_, { takes = 0, attempts = Infinity }: { takes?: number; attempts?: number }) => {
		const { machine, seen } = counted();
		const basket = machine.basket({ a: { attempts, run: (_: number) => sleep(takes, machine) } });
		await basket.addMany(inLane(50));
		const drained = basket.drain();
		await machine.clock.advance(10_000);
		await drained;
		expect([machine.settled.length, seen.most]).toEqual([50, 1]);
	});

	test.each(["stop", "pause"] as const)("is given back by a %s, in order and without an attempt", async (how) => {
		const { machine } = counted();
		const begun: number[] = [];
		const basket = machine.basket({
			a: async (n: number, { signal }) => {
				begun.push(n);
				if (n === 45) await (how === "stop" ? untilAborted(signal) : sleep(100, machine));
			},
		}, { grace: 1_000 });
		await basket.addMany(inLane(100));
		const run = running(basket);
		await machine.clock.advance(0);
		expect((await basket.counts()).running).toBeGreaterThan(1);
		if (how === "stop") await run.stop();
		else {
			basket.pause();
			await machine.clock.advance(1_000);
		}
		const left = [];
		for await (const { payload, state, attempts, crashes } of basket.list()) {
			left.push([payload, state, attempts, crashes]);
		}
		const first = how === "stop" ? 45 : 46;
		expect(left).toEqual(upTo(100 - first).map((n) => [first + n, "waiting", 0, 0]));
		await run.stop();
	});

	test("times out each task by itself", async () => {
		const { machine } = counted();
		const failed: string[] = [];
		const basket = machine.basket({ a: (_: number) => sleep(0.8, machine) }, {
			timeout: 1,
			onSettled: ({ id, outcome }) => void (outcome === "done" || failed.push(id)),
		});
		await basket.addMany(inLane(300));
		const drained = basket.drain();
		await machine.clock.advance(10_000);
		await drained;
		expect(failed).toEqual([]);
	});

	test("is renewed while it runs, however long", async () => {
		const { machine, gate, begun, basket } = held();
		await basket.addMany(inLane(100));
		const drained = basket.drain();
		await machine.clock.advance(200_000);
		gate.resolve();
		await machine.clock.advance(0);
		await drained;
		expect(begun).toEqual(upTo(100));
	});

	test("skips a task that was deleted meanwhile", async () => {
		const { machine, gate, begun, basket } = held();
		const added = await basket.addMany(inLane(100));
		const drained = basket.drain();
		await machine.clock.advance(0);
		expect(await basket.delete(added[42]!.id)).toBe(true);
		await machine.clock.advance(1_000);
		gate.resolve();
		await machine.clock.advance(0);
		await drained;
		expect(begun).toEqual(upTo(100).filter((n) => n !== 42));
	});

	test("waits for a task whose last run, which was lost, goes on", async () => {
		const { machine } = counted();
		const gate = deferred();
		const begun: unknown[] = [];
		const basket = machine.basket({
			a: async (n: number) => {
				begun.push(n);
				if (n === -1) await gate.promise;
			},
		});
		await basket.add("a", -1, { id: "mine", lane: "y" });
		const drained = basket.drain();
		await machine.clock.advance(0);
		await basket.delete("mine");
		await machine.clock.advance(1_000);
		await basket.addMany(inLane(100).map((task) => task.payload === 50 ? { ...task, id: "mine" } : task));
		await machine.clock.advance(0);
		expect(begun).toEqual([-1, ...upTo(50)]);
		gate.resolve();
		await machine.clock.advance(60_000);
		await drained;
		expect(begun).toEqual([-1, ...upTo(100)]);
	});

	test("whose claim was lost with its answer begins again when the lease has ended", async () => {
		const { machine } = counted();
		let isDown = false;
		machine.spied.after = (member) => {
			if (member === "turn" && isDown) throw new StoreError("unavailable", "gone");
		};
		let left = 600;
		const basket = machine.basket({ a: (_: number) => void (isDown = --left <= 0) });
		await basket.addMany(upTo(2_000).map((n) => ({ kind: "a", payload: n, lane: `${n % 20}` }) as const));
		const run = running(basket);
		await machine.clock.advance(0);
		const { running: first } = await basket.counts();
		await machine.clock.advance(2_000);
		expect(first).toBeGreaterThan(20);
		isDown = false;
		left = Infinity;
		await machine.clock.advance(100_000);
		expect(await basket.counts()).toMatchObject({ waiting: 0, running: 0 });
		await run.stop();
	});

	test("never overlaps or changes its order, whoever works, fails and stops", async () => {
		await fc.assert(
			fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 - 2 }), async (seed) => {
				const next = () => (seed = seed * 48_271 % (2 ** 31 - 1)) % 1_000;
				const machine = new Machine();
				let failures = 30;
				machine.spied.before = async (member) => {
					if (member !== "turn") return;
					await sleep(next() % 7, machine);
					if (next() < 30 && failures-- > 0) throw new StoreError("unavailable", "not yet");
				};
				machine.spied.after = (member) => {
					if (member === "turn" && next() < 30 && failures-- > 0) throw new StoreError("unavailable", "gone");
				};
				const underWay = new Set<string>();
				const done: Record<string, number[]> = { x: [], y: [], z: [] };
				const tasks = {
					a: async (n: number, { lane }: { lane?: string | undefined }) => {
						expect(underWay.has(lane!)).toBe(false);
						underWay.add(lane!);
						try {
							if (next() < 200) await sleep(next() % 3, machine);
							if (next() < 15) throw new Error("again");
							done[lane!]!.push(n);
						} finally {
							underWay.delete(lane!);
						}
					},
				};
				const options = { lease: 60_000, backoff: { start: 20 }, grace: 1_000 };
				const baskets: Basket<typeof tasks, never>[] = [1, 2].map(() => machine.basket(tasks, options));
				for (const lane of ["x", "y", "z"]) await baskets[0]!.addMany(inLane(300, lane));
				for (let round = 0; round < 20; round++) {
					const runs = baskets.map((basket) => running(basket));
					await machine.clock.advance(50 + next());
					const stops = Promise.all(runs.map((run) => run.stop()));
					await machine.clock.advance(2_000);
					await stops;
				}
				const last = running(baskets[0]!);
				await machine.clock.advance(3_000_000);
				await last.stop();
				for (const lane of ["x", "y", "z"]) {
					// A task may run again if it is not known whether its end was stored: then those behind it do, too.
					const firsts = done[lane]!.filter((n, index, all) => all.indexOf(n) === index);
					expect(firsts).toEqual(upTo(300));
				}
			}),
			{ numRuns: 10 },
		);
	});
});

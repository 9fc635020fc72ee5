// Baskets on a store that takes two turns at the same time: the second one begins only under load, and nothing else changes.
import { describe, expect, test } from "vitest";
import { retryAfter, sleep, StoreError } from "../../mod.ts";
import fc from "../property.ts";
import { isNode } from "../support.ts";
import { Machine, running, SpiedStore } from "./support.ts";

const noop = (_: number) => {};
const tasks = (count: number) =>
	Array.from({ length: count }, (_, n) => ({ kind: "a", payload: n, id: `${n}` }) as const);

/** A machine whose turns take time; `underWay` has the number of turns when each one began. */
function slow(takes: () => number = () => 100) {
	const machine = new Machine();
	const spied = new SpiedStore(machine.memory, { turns: 2 });
	const underWay: number[] = [];
	let count = 0;
	spied.before = async (member) => {
		if (member !== "turn") return;
		underWay.push(++count);
		await sleep(takes(), machine);
	};
	spied.after = async (member) => {
		if (member !== "turn") return;
		await sleep(takes(), machine);
		count--;
	};
	return { machine, spied, store: spied.store, underWay };
}

describe("Basket: two turns at the same time", () => {
	test.each([0, 1])(
		"begin if more tasks of %d ms are due than a turn claims, and end with one alone",
		async (takes) => {
			const { machine, store, underWay } = slow(() => 10);
			const seen = new Set<number>();
			const run = (n: number) => (seen.add(n), takes > 0 ? sleep(takes, machine) : undefined) as Promise<void>;
			const basket = machine.basket({ a: run }, { store, concurrency: 50 });
			await basket.addMany(tasks(2_000));
			const drained = basket.drain();
			await machine.clock.advance(3_000);
			await drained;
			expect([seen.size, machine.settled.length, Math.max(...underWay), underWay.at(-1)]).toEqual([
				2_000,
				2_000,
				2,
				1,
			]);
			expect(machine.errors).toEqual([]);
		},
	);

	test("never begin at a store that does not say that it takes them", async () => {
		const { machine, spied, underWay } = slow();
		const { turns: _, ...capabilities } = spied.store.capabilities;
		const basket = machine.basket({ a: noop }, { store: { ...spied.store, capabilities } });
		await basket.addMany(tasks(10_000));
		const drained = basket.drain();
		await machine.clock.advance(60_000);
		await drained;
		expect([machine.settled.length, Math.max(...underWay)]).toEqual([10_000, 1]);
	});

	test.each([
		["for slow tasks", { run: (n: number, machine: Machine) => sleep(1 + n % 3, machine) }],
		["for tasks that run one at a time, so they keep their order", { concurrency: 1 }],
		["for kinds that are not claimed ahead", { attempts: 3 }],
	])("never begin %s", async (_, { run = noop, attempts = Infinity, concurrency = 10 }: {
		run?: (n: number, machine: Machine) => unknown;
		attempts?: number;
		concurrency?: number;
	}) => {
		const { machine, store, underWay } = slow();
		const begun: number[] = [];
		const a = { attempts, run: (n: number) => (begun.push(n), run(n, machine) as Promise<void>) };
		const basket = machine.basket({ a }, { store, concurrency });
		await basket.addMany(tasks(1_000));
		const drained = basket.drain();
		await machine.clock.advance(600_000);
		await drained;
		expect([machine.settled.length, Math.max(...underWay)]).toEqual([1_000, 1]);
		expect(begun).toEqual(tasks(1_000).map(({ payload }) => payload));
	});

	test("never begin once there are lanes that may have runs, so that one turn stores what has ended before another", async () => {
		const { machine, store, underWay } = slow();
		const basket = machine.basket({ a: noop }, { store });
		await basket.addMany(tasks(12_000).map(({ kind, payload }) => ({ kind, payload, lane: `${payload % 1_500}` })));
		const drained = basket.drain();
		await machine.clock.advance(60_000);
		await drained;
		expect([machine.settled.length, Math.max(...underWay)]).toEqual([12_000, 1]);
	});

	test("never begin for tasks that come one by one", async () => {
		const { machine, store, underWay } = slow();
		const basket = machine.basket({ a: noop }, { store });
		const run = running(basket);
		for (const task of tasks(300)) {
			await basket.addMany([task]);
			await machine.clock.advance(70);
		}
		await machine.clock.advance(1_000);
		expect([machine.settled.length, Math.max(...underWay)]).toEqual([300, 1]);
		await run.stop();
	});

	test("do not sleep over the retry that the other one has stored", async () => {
		// The first answer of the end says that a retry is due soon, a later one was computed before.
		for (const slowest of [0, 1, 2, 3, 4, 5, 6, 7]) {
			let begun = 0;
			const { machine, store } = slow(() => begun++ === slowest ? 900 : 50);
			const again: number[] = [];
			const basket = machine.basket({
				a: (n: number, { attempt }) => {
					if (n % 500 === 499 && attempt === 1) throw retryAfter(2_000);
					if (attempt === 2) again.push(machine.clock.now());
				},
			}, { store });
			await basket.addMany(tasks(4_000));
			const run = running(basket);
			await machine.clock.advance(10_000);
			expect([machine.settled.length, again.length]).toEqual([4_008, 8]);
			await run.stop();
		}
	});

	test("are both waited for by a stop: what they claim is given back", async () => {
		const { machine, store, underWay } = slow();
		const basket = machine.basket({ a: noop }, { store });
		await basket.addMany(tasks(10_000));
		const run = running(basket);
		while (underWay.at(-1) !== 2) await machine.clock.advance(10);
		const stopped = run.stop();
		await machine.clock.advance(60_000);
		await stopped;
		const { waiting, running: claimed } = await machine.memory.counts("default");
		expect([waiting + machine.settled.length, claimed]).toEqual([10_000, 0]);
		for await (const { attempts, crashes } of basket.list()) expect([attempts, crashes]).toEqual([0, 0]);
	});

	// Fewer cases elsewhere: in some engines each macrotask takes a millisecond, and these have thousands.
	test.each(isNode ? [91, 141, 191] : [141])(
		"bury what the store refuses, whatever comes in between: %d",
		async (factor) => {
			let count = 0;
			const { machine, store } = slow(() => (count++ * 37 % (factor % 50 + 1)) * factor / 30);
			const { turn } = machine.memory;
			machine.memory.turn = (name, given) => {
				const isRefused = given.settle.some(({ ref, outcome }) => ref.id === "1500" && outcome.type === "done");
				if (isRefused) throw new TypeError("no");
				return turn.call(machine.memory, name, given);
			};
			const basket = machine.basket({ a: noop }, { store });
			await basket.addMany(tasks(4_000));
			const drained = basket.drain();
			await machine.clock.advance(3_000_000);
			await drained;
			const others = machine.settled.filter(({ outcome }) => outcome !== "done");
			expect(others).toMatchObject([{ id: "1500", outcome: "dead" }]);
			expect(machine.settled.length).toBe(4_000);
		},
	);

	test("lose and repeat nothing if turns fail, before or after they have taken effect", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.integer({ min: 1, max: 2 ** 31 - 2 }),
				async (seed) => {
					const random = () => seed = seed * 48_271 % (2 ** 31 - 1);
					const next = () => ({ takes: random() % 400, fails: Math.max(0, random() % 6 - 2) });
					let failures = 40;
					const { machine, spied, store } = slow(() => next().takes);
					const { before, after } = spied;
					const done = new Map<string, number>();
					spied.before = async (member, given) => {
						await before!(member, given);
						if (member === "turn" && next().fails === 1 && failures-- > 0) {
							await after!(member, undefined);
							throw new StoreError("busy", "again");
						}
					};
					spied.after = async (member, result) => {
						await after!(member, result);
						const { fails } = next();
						if (member !== "turn" || fails < 2 || failures-- <= 0) return;
						throw fails === 2 ? new StoreError("unavailable", "gone") : new TypeError("strange");
					};
					const basket = machine.basket({
						a: (n: number, { id, attempt }) => {
							if (n % 7 === 0 && attempt === 1) throw new Error("once");
							done.set(id, (done.get(id) ?? 0) + 1);
						},
					}, { store, lease: 60_000 });
					await basket.addMany(tasks(4_000));
					const run = running(basket);
					run.done.catch(() => {});
					await machine.clock.advance(1_800_000);
					await run.stop();
					const counts = await machine.memory.counts("default");
					expect([counts.waiting, counts.running, counts.dead]).toEqual([0, 0, 0]);
					expect(done.size).toBe(4_000);
					// Each outcome is told once: as it is, or as one of a lost claim.
					expect(machine.settled.filter(({ outcome }) => outcome === "done").length).toBeLessThanOrEqual(4_000);
					expect(machine.settled.filter(({ outcome }) => outcome === "dead")).toEqual([]);
				},
			),
			{ numRuns: isNode ? 5 : 2 },
		);
	});
});

// A process ends a claim when the lease may have ended, even if the store fails, hangs or answers late.
import { describe, expect, test } from "vitest";
import { sleep, StoreError } from "../../mod.ts";
import { deferred, errorOf, untilAborted, watch } from "../support.ts";
import { FakeScope } from "../browser/browser-fakes.ts";
import { Machine, running } from "./support.ts";

const hang = () => new Promise<never>(() => {});
const fail = () => {
	throw new StoreError("unavailable", "gone");
};

/** The ways in which a store can be unavailable. */
const absences = [
	["errs", () => fail],
	["hangs", () => hang],
	["answers after the lease", ({ clock }: Machine) => () => sleep(45_000, { clock })],
] as const;

/** Records when each run of a task began and when its signal aborted, in milliseconds since the beginning. */
function spy(machine: Machine): {
	readonly log: [string, number][];
	politely: (_: unknown, context: { signal: AbortSignal }) => Promise<never>;
} {
	const log: [string, number][] = [];
	const note = (what: string) => log.push([what, machine.clock.monotonic()]);
	return {
		log,
		politely: (_, { signal }) => {
			note("begins");
			signal.addEventListener("abort", () => note((signal.reason as Error).name));
			return untilAborted(signal);
		},
	};
}

/** Stops a basket whose stop must wait. */
async function end({ clock }: Machine, run: ReturnType<typeof running>): Promise<void> {
	const stopped = run.stop();
	await clock.advance(10_000);
	await stopped;
}

describe("Basket: a claim ends locally", () => {
	test.each(absences)("the signal aborts when the lease may be over: the store %s", async (_, absence) => {
		const machine = new Machine();
		const { log, politely } = spy(machine);
		const basket = machine.basket({ a: politely });
		await basket.add("a", 1);
		const run = running(basket);
		await machine.clock.advance(12_000); // renewed once, at 10,000
		machine.spied.before = absence(machine);
		await machine.clock.advance(27_999);
		expect(log).toEqual([["begins", 0]]);
		await machine.clock.advance(1);
		expect(log).toEqual([["begins", 0], ["ClaimLostError", 40_000]]);
		await machine.clock.advance(20_000);
		machine.spied.before = undefined;
		await machine.clock.advance(60_000);
		// The basket continues by itself without a crash. This process claims again the tasks that it could not release
		// in time.
		expect(log.length).toBe(3);
		expect((await basket.list().next()).value).toMatchObject({ state: "running", attempts: 0, crashes: 0 });
		await run.stop();
	});

	test("its lease counts from before the call that has got or renewed it", async () => {
		const machine = new Machine();
		const { log, politely } = spy(machine);
		const basket = machine.basket({ a: politely });
		await basket.add("a", 1);
		machine.spied.after = () => sleep(5_000, machine);
		const run = running(basket);
		await machine.clock.advance(29_000); // claimed from 0, renewed from 10,000 and from 20,000 to 25,000
		machine.spied.before = hang;
		await machine.clock.advance(60_000);
		expect(log).toEqual([["begins", 5_000], ["ClaimLostError", 50_000]]);
		await end(machine, run);
	});

	test("a renewal that hangs for ever does not keep the next one from being made", async () => {
		const machine = new Machine();
		const { log, politely } = spy(machine);
		const basket = machine.basket({ a: politely });
		await basket.add("a", 1);
		const run = running(basket);
		machine.spied.before = (member) =>
			member === "extend" && machine.spied.count("extend") % 2 === 1 ? hang() : undefined;
		await machine.clock.advance(600_000);
		expect(log).toEqual([["begins", 0]]);
		expect(machine.errors.length).toBeGreaterThan(10);
		await end(machine, run);
	});

	test("renewals that fail while turns work make no crashes, however long", async () => {
		const machine = new Machine();
		const { log, politely } = spy(machine);
		const basket = machine.basket({ a: politely });
		await basket.add("a", 1, { id: "x" });
		machine.spied.before = (member) => member === "extend" ? fail() : undefined;
		const run = running(basket);
		await machine.clock.advance(400_000);
		// Each run ends when its lease may have ended. Then the task is released and begins again.
		expect(log.filter(([what]) => what === "ClaimLostError").length).toBe(13);
		expect(await basket.get("x")).toMatchObject({ state: "running", attempts: 0, crashes: 0 });
		expect(machine.settled.every(({ outcome, attempt }) => outcome === "released" && attempt === 1)).toBe(true);
		await run.stop();
		expect(await basket.get("x")).toMatchObject({ state: "waiting", attempts: 0, crashes: 0 });
	});

	test("nothing is claimed as long as renewals fail", async () => {
		const machine = new Machine();
		const { politely } = spy(machine);
		const log: number[] = [];
		const basket = machine.basket({ long: politely, quick: (n: number) => void log.push(n) });
		await basket.add("long");
		const run = running(basket);
		machine.spied.before = (member) => member === "extend" ? fail() : undefined;
		await machine.clock.advance(15_000);
		await basket.add("quick", 1);
		await machine.clock.advance(5_000);
		expect(log).toEqual([]);
		machine.spied.before = undefined;
		await machine.clock.advance(5_000);
		expect(log).toEqual([1]);
		await run.stop();
	});

	test("a renewal that fails when there is nothing to renew any more keeps nothing from being claimed", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const basket = machine.basket({
			a: async (n: number) => {
				await sleep(10_500, machine);
				log.push(n);
			},
		});
		machine.spied.before = (member) => member === "extend" ? sleep(1_000, machine).then(fail) : undefined;
		await basket.add("a", 1);
		const run = running(basket);
		await machine.clock.advance(12_000);
		await basket.add("a", 2);
		machine.spied.before = undefined;
		await machine.clock.advance(12_000);
		expect(log).toEqual([1, 2]);
		await run.stop();
	});

	test("a task whose lost run goes on is not run a second time beside it here", async () => {
		const machine = new Machine();
		const log: string[] = [];
		const end = deferred();
		const basket = machine.basket({
			a: async (_: number) => {
				log.push("begins");
				await end.promise;
				log.push("ends");
			},
			other: () => void log.push("other"),
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(1_000);
		machine.spied.before = hang;
		await machine.clock.advance(40_000);
		machine.spied.before = undefined;
		await machine.clock.advance(60_000);
		await basket.add("other");
		await machine.clock.advance(2_000);
		expect(log).toEqual(["begins", "other"]);
		end.resolve();
		await machine.clock.advance(0);
		await machine.clock.advance(10_000);
		expect(log).toEqual(["begins", "other", "ends", "begins", "ends"]);
		expect([await basket.get("x"), machine.settled.at(-1)]).toMatchObject([undefined, { id: "x", outcome: "done" }]);
		await run.stop();
	});

	test("a process that was stopped as a whole can store nothing when it goes on", async () => {
		const machine = new Machine();
		const log: unknown[] = [];
		const way = deferred();
		const basket = machine.basket({
			a: async (_: number, { save, signal }) => {
				await way.promise;
				log.push(await errorOf(save(2)), signal.aborted);
			},
		});
		await basket.add("a", 1);
		const run = running(basket);
		await machine.clock.advance(0);
		// Before its timers fire, pending answers arrive.
		const { monotonic } = machine.clock;
		machine.clock.monotonic = () => 31_000;
		way.resolve();
		for (let i = 0; i < 20; i++) await null;
		machine.clock.monotonic = monotonic;
		expect(log).toMatchObject([{ name: "ClaimLostError" }, true]);
		await run.stop();
	});

	test("a page that has slept ends what may be over before it does anything else", async () => {
		const scope = new FakeScope();
		const machine = new Machine();
		const { log, politely } = spy(machine);
		const basket = machine.basket({ a: politely });
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(0);
		const { monotonic } = machine.clock;
		machine.clock.monotonic = () => 31_000;
		machine.spied.calls.length = 0;
		scope.dispatch("resume");
		expect([log.at(-1), machine.spied.calls]).toEqual([["ClaimLostError", 31_000], []]);
		machine.clock.monotonic = monotonic;
		await machine.clock.advance(0);
		expect(new Set(machine.spied.calls)).toEqual(new Set(["turn"])); // nothing to renew
		expect(await basket.get("x")).toMatchObject({ state: "running", attempts: 0, crashes: 0 });
		await run.stop();
	});

	test("a task that is not begun when its lease may be over is given back", async () => {
		const machine = new Machine();
		const log: unknown[] = [];
		const basket = machine.basket({
			a: (delay: number) => delay === 0 ? undefined : sleep(delay, machine),
		}, { concurrency: 1 });
		await basket.addMany([0, 0, 0, 50_000, 0, 0].map((payload) => ({ kind: "a" as const, payload })));
		const run = running(basket);
		await machine.clock.advance(1_000);
		machine.spied.before = (member) => member === "extend" ? fail() : undefined;
		await machine.clock.advance(30_000);
		for await (const { state, crashes, attempts } of basket.list()) log.push([state, crashes, attempts]);
		expect(log.every((one) => (one as unknown[])[1] === 0 && (one as unknown[])[2] === 0)).toBe(true);
		machine.spied.before = undefined;
		await machine.clock.advance(120_000);
		expect([await basket.counts(), machine.settled.filter(({ outcome }) => outcome === "done").length]).toMatchObject([
			{ waiting: 0, running: 0 },
			6,
		]);
		await run.stop();
	});
});

describe("Basket: a turn that is given up", () => {
	/**
	 * Creates a basket on a store whose first turn that is not empty takes effect at once. The test decides when this
	 * turn is answered.
	 */
	function late(machine: Machine, kinds: number, settling = false) {
		const answer = deferred();
		let isFirst = true;
		machine.spied.after = (member, result) => {
			if (member !== "turn" || !isFirst) return;
			const { settled, claims } = result as { settled: readonly boolean[]; claims: readonly unknown[] };
			if (settling ? settled.length === 0 : claims.length < kinds) return;
			isFirst = false;
			return answer.promise;
		};
		return answer;
	}

	test("and answers later gives back what it has claimed, which has not crashed", async () => {
		const machine = new Machine();
		const log: unknown[] = [];
		const basket = machine.basket({ a: (n: number, { crashes }) => void log.push([n, crashes]) });
		await basket.add("a", 1);
		await basket.add("a", 2);
		const answer = late(machine, 2);
		const run = running(basket);
		await machine.clock.advance(20_000);
		expect(machine.errors[0]).toMatchObject({ name: "StoreError", code: "unavailable" });
		expect(log).toEqual([]);
		answer.resolve();
		await machine.clock.advance(0);
		expect(log).toEqual([[1, 0], [2, 0]]);
		await run.stop();
	});

	test("and never answers leaves what it has claimed to the end of the lease, and the worker goes on", async () => {
		const machine = new Machine();
		const log: unknown[] = [];
		const basket = machine.basket({ a: (n: number, { crashes }) => void log.push([n, crashes]) });
		await basket.add("a", 1);
		late(machine, 1);
		const run = running(basket);
		await machine.clock.advance(1_000);
		await basket.add("a", 2);
		await machine.clock.advance(11_000);
		expect(log).toEqual([[2, 0]]);
		await machine.clock.advance(30_000);
		expect(log).toEqual([[2, 0], [1, 1]]);
		await run.stop();
	});

	test("and answers later tells what it has settled; until then nobody knows", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: number) => {} });
		await basket.add("a", 1, { id: "x" });
		const answer = late(machine, 0, true);
		const run = running(basket);
		await machine.clock.advance(15_000);
		expect(machine.settled).toEqual([]);
		expect(machine.errors.at(-1)).toMatchObject({ name: "ClaimLostError", id: "x", isUnknown: true });
		answer.resolve();
		await machine.clock.advance(0);
		expect(machine.settled).toMatchObject([{ id: "x", outcome: "done" }]);
		expect(basket.getSnapshot().succeeded).toBe(1);
		await run.stop();
	});

	test("is given more time by a store that is slow, but answers", async () => {
		const machine = new Machine();
		const log: number[] = [];
		machine.spied.before = (member) => member === "turn" ? sleep(12_000, machine) : undefined;
		const basket = machine.basket({ a: (n: number) => void log.push(n) });
		await basket.addMany(Array.from({ length: 20 }, (_, payload) => ({ kind: "a" as const, payload })));
		const run = running(basket);
		await machine.clock.advance(120_000);
		expect(log.length).toBe(20);
		await run.stop();
	});

	test("is not the end: a store that hangs for an hour is used again when it is back", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const basket = machine.basket({ a: (n: number) => void log.push(n) });
		const run = running(basket);
		await machine.clock.advance(0);
		machine.spied.before = (member) => member === "add" ? undefined : hang();
		await basket.add("a", 1);
		await machine.clock.advance(3_600_000);
		expect(log).toEqual([]);
		machine.spied.before = undefined;
		await machine.clock.advance(60_000);
		expect(log).toEqual([1]);
		await run.stop();
	});

	test("is not begun by a store that hangs when it is opened, until another try opens it", async () => {
		const machine = new Machine();
		const log: number[] = [];
		const basket = machine.basket({ a: (n: number) => void log.push(n) });
		await machine.memory.add("default", [{ kind: "a", payload: "1", delay: 0, priority: 0 }]);
		let calls = 0;
		machine.spied.before = (member) => member === "open" && ++calls === 1 ? hang() : undefined;
		const run = running(basket);
		await machine.clock.advance(31_000);
		expect(log).toEqual([1]);
		await run.stop();
	});
});

describe("Basket.run() resolves", () => {
	const behaviours = {
		politely: (_: unknown, { signal }: { signal: AbortSignal }) => untilAborted(signal),
		never: hang,
	};

	test.each(Object.keys(behaviours) as (keyof typeof behaviours)[])(
		"when its grace is over even if no call of the store ever returns: a task ends %s",
		async (kind) => {
			const machine = new Machine();
			const basket = machine.basket(behaviours, { grace: 3_000 });
			await basket.add(kind, undefined);
			const run = running(basket);
			await machine.clock.advance(1_000);
			machine.spied.before = hang;
			const stopped = watch(run.stop());
			await machine.clock.advance(2_999);
			expect(stopped.state).toBe("pending");
			await machine.clock.advance(1);
			expect([stopped.state, machine.clock.pending, basket.getSnapshot().state]).toEqual(["resolved", 0, "stopped"]);
			const { length } = machine.spied.calls;
			await machine.clock.advance(3_600_000);
			expect([machine.spied.calls.length, machine.clock.pending]).toEqual([length, 0]);
		},
	);

	test.each(["turn", "extend", "hasten", "save", "open"] as const)(
		"when its grace is over even if a call of %s is under way, and has hung for long",
		async (hanging) => {
			const machine = new Machine();
			const hints = new Set<() => void>();
			const wake = { subscribe: (listener: () => void) => (hints.add(listener), () => hints.delete(listener)) };
			const basket = machine.basket({
				a: async (_: unknown, { signal, save }) => {
					void save(1).catch(() => {});
					await untilAborted(signal);
				},
			}, { wake, grace: 2_000 });
			await machine.memory.add("default", [{ kind: "a", payload: "0", delay: 0, priority: 0 }]);
			machine.spied.before = (member) => member === hanging ? hang() : undefined;
			const run = running(basket);
			await machine.clock.advance(0);
			for (const hint of hints) hint();
			await machine.clock.advance(11_000);
			expect(machine.spied.count(hanging)).toBeGreaterThan(0);
			const stopped = watch(run.stop());
			await machine.clock.advance(2_000);
			expect([hanging, stopped.state, machine.clock.pending]).toEqual([hanging, "resolved", 0]);
		},
	);

	test("after what is under way was answered, within one second of the end of the grace", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: hang }, { grace: 0 });
		await basket.add("a", undefined, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(0);
		machine.spied.before = () => sleep(400, machine);
		const stopped = watch(run.stop());
		await machine.clock.advance(399);
		expect(stopped.state).toBe("pending");
		await machine.clock.advance(1);
		expect([stopped.state, await basket.get("x")]).toMatchObject(["resolved", { state: "waiting", attempts: 0 }]);
	});

	test("and stores how each task ends as soon as the store is free, not when the grace is over", async () => {
		const machine = new Machine();
		const ends = [deferred(), deferred(), deferred()];
		const basket = machine.basket({ a: (n: number) => ends[n]!.promise });
		for (const n of [0, 1, 2]) await basket.add("a", n, { id: `x${n}` });
		const run = running(basket);
		await machine.clock.advance(0);
		const stopped = run.stop();
		machine.spied.before = (member) => member === "turn" ? sleep(100, machine) : undefined;
		for (const n of [0, 1]) {
			ends[n]!.resolve();
			await machine.clock.advance(10);
		}
		expect(await basket.counts()).toMatchObject({ running: 3 });
		await machine.clock.advance(200);
		expect(await basket.counts()).toMatchObject({ running: 1 });
		ends[2]!.resolve();
		await machine.clock.advance(100);
		await stopped;
		expect(machine.settled.map(({ id, outcome }) => [id, outcome])).toEqual([0, 1, 2].map((n) => [`x${n}`, "done"]));
	});

	test("after the others were given back, though a call hangs that was made before", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: hang });
		await basket.add("a", undefined, { id: "x" });
		const run = running(basket);
		machine.spied.before = (member) => member === "extend" && machine.spied.count("extend") === 1 ? hang() : undefined;
		await machine.clock.advance(12_000);
		const stopped = watch(run.stop());
		await machine.clock.advance(6_000);
		expect([stopped.state, await basket.get("x")]).toMatchObject(["resolved", { state: "waiting", attempts: 0 }]);
	});
});

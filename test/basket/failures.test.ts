// Behavior of a basket if its store or a function of the user fails permanently.
import { describe, expect, test } from "vitest";
import { StoreError } from "../../mod.ts";
import type { Settlement, Turn } from "../../src/store.ts";
import { deferred, untilAborted, watch } from "../support.ts";
import { Machine, running } from "./support.ts";

describe("Basket: an error that is no StoreError", () => {
	test.each([["TypeError", new TypeError("a bug")], ["undefined", undefined], ["text", "text"]])(
		"of a turn is tried five times, then run() and drain() reject with it: %s",
		async (_, error) => {
			const machine = new Machine();
			const basket = machine.basket({ a: () => {} });
			machine.spied.before = (member) => member === "turn" ? Promise.reject(error) : undefined;
			const [run, drain] = [watch(basket.run()), watch(basket.drain())];
			await machine.clock.advance(60_000);
			expect([run.state, run.error, drain.state, drain.error]).toEqual(["rejected", error, "rejected", error]);
			expect([machine.spied.count("turn"), machine.clock.pending]).toEqual([5, 0]);
			expect(basket.getSnapshot().state).toBe("stopped");
			machine.spied.before = undefined;
			await basket.add("a");
			await machine.drain(basket);
		},
	);

	test("of open() is tried five times", async () => {
		const machine = new Machine();
		const error = new TypeError("a bug");
		machine.spied.before = (member) => member === "open" ? Promise.reject(error) : undefined;
		const run = watch(machine.basket({ a: () => {} }).run());
		await machine.clock.advance(60_000);
		expect([run.error, machine.spied.count("open")]).toEqual([error, 5]);
	});

	test("thrown by a store that is not asynchronous does no more harm", async () => {
		const machine = new Machine();
		const error = new TypeError("a bug");
		let isBroken = true;
		const { turn } = machine.spied.store;
		Object.assign(machine.spied.store, {
			turn: (...args: Parameters<typeof turn>) => {
				if (isBroken) throw error;
				return turn(...args);
			},
		});
		const basket = machine.basket({ a: () => {} });
		await basket.add("a");
		const run = running(basket);
		await machine.clock.advance(200);
		isBroken = false;
		await machine.clock.advance(10_000);
		expect(machine.settled).toMatchObject([{ outcome: "done" }]);
		await run.stop();
	});
});

describe("Basket: a StoreError that will not pass", () => {
	test("rejects run() and drain() when the running tasks have ended, within their grace", async () => {
		const machine = new Machine();
		const log: string[] = [];
		const basket = machine.basket({
			a: async (_: number, { signal }) => {
				await untilAborted(signal).catch(() => log.push("aborted"));
				await machine.clock.advance; // yields for a microtask
				log.push("ended");
			},
			b: () => new Promise(() => {}),
		}, { grace: 3_000 });
		await basket.add("a", 1);
		await basket.add("b");
		const [run, drain] = [watch(basket.run()), watch(basket.drain())];
		await machine.clock.advance(0);
		const error = new StoreError("refused", "read-only");
		machine.spied.before = (member) => member === "turn" ? Promise.reject(error) : undefined;
		await basket.add("a", 2);
		await machine.clock.advance(0);
		expect([log, run.state, drain.state]).toEqual([["aborted", "ended"], "pending", "pending"]);
		await machine.clock.advance(3_000);
		expect([run.error, drain.error]).toEqual([error, error]);
		expect(machine.clock.pending).toBe(0);
	});
});

describe("Basket: a settlement that a store cannot take", () => {
	/** Refuses turns that settle certain tasks with another outcome than dead. The error does not name the task. */
	function refuse(machine: Machine, isRefused: (settlement: Settlement) => boolean): void {
		machine.spied.before = (member, [, turn]) => {
			if (member !== "turn") return;
			if ((turn as Turn).settle.some(isRefused)) throw new RangeError("Invalid string length");
		};
	}

	test("makes its task dead with the reason; the others of its turn are settled", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: number) => {} });
		await basket.addMany(Array.from({ length: 6 }, (_, n) => ({ kind: "a" as const, payload: n, id: `t${n}` })));
		refuse(machine, ({ ref, outcome }) => ref.id === "t3" && outcome.type !== "dead");
		const run = running(basket);
		await machine.clock.advance(5_000);
		expect(machine.settled.map(({ id, outcome }) => `${id} ${outcome}`).sort()).toEqual([
			"t0 done",
			"t1 done",
			"t2 done",
			"t3 dead",
			"t4 done",
			"t5 done",
		]);
		expect((await basket.get("t3"))!.error!.message).toContain("Invalid string length");
		expect(machine.errors.some((error) => error instanceof RangeError)).toBe(true);
		await basket.add("a", 6);
		await machine.clock.advance(1_000);
		expect(basket.getSnapshot()).toMatchObject({ state: "running", succeeded: 6, dead: 1 });
		await run.stop();
	});

	test("even as dead leaves its task to the end of the lease", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: number) => {} });
		await basket.addMany(Array.from({ length: 6 }, (_, n) => ({ kind: "a" as const, payload: n, id: `t${n}` })));
		refuse(machine, ({ ref }) => ref.id === "t3");
		const run = running(basket);
		await machine.clock.advance(5_000);
		expect(await basket.counts()).toMatchObject({ running: 1, waiting: 0, dead: 0 });
		expect(basket.getSnapshot()).toMatchObject({ state: "running", succeeded: 5 });
		machine.spied.before = undefined;
		await machine.clock.advance(30_000);
		expect(await basket.counts()).toMatchObject({ running: 0, waiting: 0, dead: 0 });
		await run.stop();
	});

	test("does not hide an error that comes with the claims", async () => {
		const machine = new Machine();
		const error = new TypeError("a bug");
		const basket = machine.basket({ a: (_: number) => {} });
		await basket.add("a", 1);
		const run = watch(basket.run());
		machine.spied.before = (member, [, turn]) => {
			const { settle, claim } = (turn ?? {}) as Turn;
			if (member === "turn" && claim.length > 0 && (settle.length > 0 || machine.spied.count("turn") > 1)) throw error;
		};
		await machine.clock.advance(60_000);
		expect([run.error, machine.settled.map(({ outcome }) => outcome)]).toEqual([error, ["done"]]);
	});
});

describe("Basket: what it is told of", () => {
	test("is one error when many claims are lost together, as when a database is deleted", async () => {
		const machine = new Machine();
		const end = deferred();
		const basket = machine.basket({ a: () => end.promise });
		await basket.addMany(Array.from({ length: 10 }, (_, n) => ({ kind: "a" as const, id: `t${n}` })));
		const run = running(basket);
		await machine.clock.advance(0);
		await machine.memory.delete("default", Array.from({ length: 10 }, (_, n) => `t${n}`));
		end.resolve();
		await machine.clock.advance(0);
		expect(machine.errors).toMatchObject([{ name: "AggregateError", errors: { length: 10 } }]);
		expect((machine.errors[0] as AggregateError).errors[0]).toMatchObject({ name: "ClaimLostError", isUnknown: false });
		expect(machine.settled).toEqual([]);
		await run.stop();
	});

	test("shows at once that nothing runs any more when a run ends that has lost its claim", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: (_: unknown, { signal }) => untilAborted(signal) });
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(0);
		const seen: number[] = [];
		basket.subscribe(() => seen.push(basket.getSnapshot().running));
		await machine.memory.delete("default", ["x"]);
		await machine.clock.advance(10_000);
		expect([seen.at(-1), basket.getSnapshot().running]).toEqual([0, 0]);
		await run.stop();
	});

	test("shows the same snapshot as long as nothing has changed", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: () => {} });
		const run = running(basket);
		await machine.clock.advance(0);
		const seen = new Set([basket.getSnapshot()]);
		let calls = 0;
		basket.subscribe(() => {
			calls++;
			seen.add(basket.getSnapshot());
		});
		await basket.hold("nobody"); // no change here, but possibly in another process
		await machine.clock.advance(600_000);
		expect([seen.size, calls > 1]).toEqual([1, true]);
		await run.stop();
	});
});

describe("Basket: hooks that fail", () => {
	const bad = () => {
		throw new Error("cannot subscribe");
	};

	test.each(["gate", "wake", "watch"] as const)(
		"a subscribe of %s that throws is reported, and the basket works",
		async (what) => {
			const machine = new Machine();
			const gate = { subscribe: what === "gate" ? bad : () => () => {}, getSnapshot: () => true };
			if (what === "watch") Object.assign(machine.spied.store, { watch: bad });
			const basket = machine.basket({ a: () => {} }, {
				gate,
				wake: { subscribe: what === "wake" ? bad : () => () => {} },
			});
			await basket.add("a");
			const run = running(basket);
			await machine.clock.advance(0);
			expect(machine.errors).toMatchObject([{ message: "cannot subscribe" }]);
			expect(machine.settled.length).toBe(1);
			await run.stop();
			expect(machine.clock.pending).toBe(0);
		},
	);

	test("a gate that cannot say that it opens is looked at once a minute", async () => {
		const machine = new Machine();
		let isOpen = false;
		const basket = machine.basket({ a: () => {} }, { gate: { subscribe: bad, getSnapshot: () => isOpen } });
		await basket.add("a");
		const run = running(basket);
		await machine.clock.advance(600_000);
		expect(machine.settled.length).toBe(0);
		isOpen = true;
		await machine.clock.advance(60_000);
		expect(machine.settled.length).toBe(1);
		await run.stop();
	});

	test.each([["nothing", undefined], ["no function", 5], ["a function that throws", bad]])(
		"a subscribe that returns %s does not keep run() from ending",
		async (_, undo) => {
			const machine = new Machine();
			const subscribe = () => undo as () => void;
			Object.assign(machine.spied.store, { watch: subscribe });
			const basket = machine.basket({ a: () => {} }, {
				gate: { subscribe, getSnapshot: () => true },
				wake: [{ subscribe }, { subscribe }],
			});
			const run = running(basket);
			await machine.clock.advance(0);
			const stopped = watch(run.stop());
			await machine.clock.advance(0);
			expect(stopped.state).toBe("resolved");
		},
	);
});

describe("Basket.drain()", () => {
	test("called by the function of one of its own tasks is refused", async () => {
		const machine = new Machine();
		const basket = machine.basket({
			a: (_: number): Promise<void> => basket.drain(),
			b: () => {},
		});
		await basket.add("a", 1, { id: "x" });
		const run = running(basket);
		await machine.clock.advance(0);
		expect(machine.settled).toMatchObject([{ outcome: "retry", error: { name: "InvalidStateError" } }]);
		await basket.add("b");
		const drained = watch(basket.drain());
		await machine.clock.advance(0);
		expect(drained.state).toBe("resolved");
		await run.stop();
	});
});

describe("Basket.stop()", () => {
	test("lets every run() and drain() wait for the same end", async () => {
		const machine = new Machine();
		const basket = machine.basket({ a: () => new Promise(() => {}) }, { grace: 2_000 });
		await basket.add("a");
		const users = [watch(basket.run()), watch(basket.run()), watch(basket.drain())];
		await machine.clock.advance(0);
		const stopped = watch(basket.stop());
		await machine.clock.advance(1_999);
		expect([stopped, ...users].map(({ state }) => state)).toEqual(["pending", "pending", "pending", "pending"]);
		await machine.clock.advance(1);
		expect([stopped, ...users].map(({ state }) => state)).toEqual(["resolved", "resolved", "resolved", "rejected"]);
	});
});

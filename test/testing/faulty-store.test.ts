import { describe, expect, test } from "vitest";
import { memoryStore, type Store, StoreError } from "../../mod.ts";
import { type FaultPlan, faultyStore, type StoreCall, VirtualClock } from "../../src/testing/testing.ts";
import { errorOf, settle, watch } from "../support.ts";

const task = { kind: "work", payload: "", delay: 0, priority: 0 };
const broken = new StoreError("unavailable", "Gone");

/** Creates a faulty store whose plan only affects `add`, with the calls that the plan received. */
function open(plan: FaultPlan) {
	const clock = new VirtualClock();
	const calls: StoreCall[] = [];
	const original = memoryStore({ clock });
	const store = faultyStore(original, (call) => {
		calls.push(call);
		return call.member === "add" ? plan(call) : undefined;
	}, { clock });
	return { clock, calls, original, store };
}

const waiting = async (store: Store<never>) => (await store.counts("b")).waiting;

describe("faultyStore()", () => {
	test("passes everything on, and tells the plan before and after", async () => {
		const { calls, original, store } = open(() => undefined);
		const result = await store.add("b", [task]);
		expect(result[0]!.added).toBe(true);
		expect(calls).toEqual([
			{ member: "add", args: ["b", [task]], count: 1, phase: "before" },
			{ member: "add", args: ["b", [task]], count: 1, phase: "after", result },
		]);
		expect(store.capabilities).toBe(original.capabilities);
		expect("close" in store).toBe(false);
	});

	test("has all members of the store", () => {
		const original = { ...memoryStore(), close: async () => {} };
		expect(Object.keys(faultyStore(original, () => undefined)).sort()).toEqual(Object.keys(original).sort());
	});

	test("without a fault the store is called before the call returns", () => {
		let isCalled = false;
		const original = Object.assign(memoryStore(), {
			add: async () => {
				isCalled = true;
				return [];
			},
		});
		void faultyStore(original, () => undefined).add("b", [task]);
		expect(isCalled).toBe(true);
	});

	test("an error before the call: nothing is done", async () => {
		const { store, original } = open(({ phase }) => phase === "before" ? { error: broken } : undefined);
		expect(await errorOf(store.add("b", [task]))).toBe(broken);
		expect(await waiting(original)).toBe(0);
	});

	test("an error after the call: it is done, and the answer is lost", async () => {
		const { store, original } = open(({ phase }) => phase === "after" ? { error: broken } : undefined);
		expect(await errorOf(store.add("b", [task]))).toBe(broken);
		expect(await waiting(original)).toBe(1);
	});

	test("a failure of the store itself is told to the plan, and to the caller", async () => {
		const { store, calls } = open(() => undefined);
		const error = await errorOf(store.complete("b", { id: "a", token: "1" }, { type: "done" }, undefined as never));
		expect(error).toBeInstanceOf(TypeError);
		expect(calls[1]).toMatchObject({ member: "complete", phase: "after", failure: error });
	});

	test("a delay takes the time of its clock, before or after the call", async () => {
		const { clock, store, original } = open(({ phase }) => ({ delay: phase === "before" ? 10 : 5 }));
		const added = watch(store.add("b", [task]));
		await clock.advance(9);
		expect(await waiting(original)).toBe(0);
		await clock.advance(1);
		expect([await waiting(original), added.state]).toEqual([1, "pending"]);
		await clock.advance(5);
		expect([added.state, clock.pending]).toEqual(["resolved", 0]);
	});

	test("what hangs before the call is never done, what hangs after it never answered", async () => {
		for (const hangs of ["before", "after"]) {
			const { store, original } = open(({ phase }) => ({ hang: phase === hangs }));
			const added = watch(store.add("b", [task]));
			await settle();
			expect([added.state, await waiting(original)]).toEqual(["pending", hangs === "after" ? 1 : 0]);
		}
	});

	test("watch() loses wake-ups, delays them, or tells of an error", async () => {
		const clock = new VirtualClock();
		const log: unknown[] = [];
		const faults = [{ hang: true }, { delay: 10 }, { error: broken }, undefined, { delay: 10 }];
		const store = faultyStore(
			memoryStore({ clock }),
			({ member }) => member === "watch" ? faults.shift() : undefined,
			{ clock },
		);
		const stop = store.watch!("b", () => log.push(clock.now()), (error) => log.push(error));
		for (let i = 0; i < 4; i++) {
			await store.add("b", [task]);
			await settle();
		}
		expect(log).toEqual([broken, 0]);
		await clock.advance(10);
		expect(log).toEqual([broken, 0, 10]);
		await store.add("b", [task]);
		stop();
		await clock.advance(10);
		expect(log).toEqual([broken, 0, 10]);
	});

	test("checks its arguments", () => {
		expect(() => faultyStore(undefined as never, () => undefined)).toThrow(TypeError);
		expect(() => faultyStore({} as never, () => undefined)).toThrow(TypeError);
		expect(() => faultyStore(memoryStore(), undefined as never)).toThrow(TypeError);
		expect(() => faultyStore(memoryStore(), () => undefined, { clock: 1 as never })).toThrow(TypeError);
	});
});

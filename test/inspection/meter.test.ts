import { describe, expect, test } from "vitest";
import { Basket, memoryStore, run, sleep, stopNow } from "../../mod.ts";
import { meter } from "../../src/inspection/inspection.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { watch } from "../support.ts";

describe("meter()", () => {
	test("counts what is done, retried and failed in slots of ten seconds, with waits and durations", async () => {
		const clock = new VirtualClock({ now: 1_000_005_000 });
		const observe = meter({ clock });
		const outbox = new Basket({
			store: memoryStore({ clock }),
			clock,
			observe,
			backoff: { start: 12_000, jitter: "none" },
			attempts: 2,
			tasks: {
				send: async (how: string, { attempt }) => {
					await sleep(300, { clock });
					if (how === "never") throw stopNow(new Error("no such user"));
					if (how === "later" && attempt === 1) throw new Error("away");
				},
			},
		});
		for (const how of ["well", "never", "later"]) await outbox.add("send", how);
		const draining = watch(outbox.drain());
		while (draining.state === "pending") await clock.advance(100);
		const [first] = observe.read();
		expect(first).toMatchObject({ at: 1_000_000_000, done: 1, retried: 1, failed: 1, waited: { p50: 1 } });
		// 300 ms, at most 1.5 times too long.
		for (const part of ["p50", "p95", "max"] as const) {
			expect(first!.took[part]).toBeGreaterThanOrEqual(300);
			expect(first!.took[part]).toBeLessThanOrEqual(450);
		}
		await clock.advance(12_000);
		const again = watch(outbox.drain());
		while (again.state === "pending") await clock.advance(100);
		const slots = observe.read();
		expect(slots.map(({ at, done }) => [at, done])).toEqual([[1_000_000_000, 1], [1_000_010_000, 1]]);
	});

	test("keeps ten minutes, with the slots in which nothing happened", async () => {
		const clock = new VirtualClock({ now: 0 });
		const observe = meter({ clock });
		expect(observe.read()).toEqual([{ at: 0, done: 0, retried: 0, failed: 0, waited: {}, took: {} }]);
		await run(() => 1, { observe });
		await clock.advance(30_000);
		await run(() => 1, { observe });
		expect(observe.read().map(({ done }) => done)).toEqual([1, 0, 0, 1]);
		await clock.advance(580_000);
		expect(observe.read().map(({ done }) => done)).toEqual([0, 1, ...Array(58).fill(0)]);
		expect(observe.read().length).toBe(60);
		await clock.advance(10 * 600_000);
		expect(observe.read().every(({ done }) => done === 0)).toBe(true);
	});

	test("takes a wall clock that jumps", async () => {
		const clock = new VirtualClock({ now: 1_000_000 });
		const times = [1_000_000, 990_000, 500_000, 500_000, 1e12];
		let now = times[0]!;
		const observe = meter({ clock: { ...bind(clock), now: () => now } });
		for (const time of times) {
			now = time;
			await run(() => 1, { observe });
			const slots = observe.read();
			expect(slots.length).toBeLessThanOrEqual(60);
			expect(slots.at(-1)!.done).toBeGreaterThan(0);
		}
	});

	test("refuses options of the wrong type", () => {
		expect(() => meter({ clock: {} as never })).toThrow(TypeError);
		expect(() => meter(1 as never)).toThrow(TypeError);
	});
});

function bind(clock: VirtualClock) {
	return {
		monotonic: () => clock.monotonic(),
		set: clock.set.bind(clock),
		clear: clock.clear.bind(clock),
	};
}

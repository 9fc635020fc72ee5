import { describe, expect, test } from "vitest";
import { sleep } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { errorOf, watch } from "../support.ts";

describe("VirtualClock", () => {
	test("stands still until it is moved", async () => {
		const clock = new VirtualClock({ now: 1000 });
		const slept = watch(sleep(1, { clock }));
		await new Promise((resolve) => setTimeout(resolve, 5));
		expect([clock.now(), clock.monotonic(), slept.state]).toEqual([1000, 0, "pending"]);
	});

	test("advance() fires each timer at its own time, with all that follows from it, in order", async () => {
		const clock = new VirtualClock();
		const log: string[] = [];
		const chain = async (name: string, ...delays: number[]) => {
			for (const delay of delays) {
				await sleep(delay, { clock });
				for (let i = 0; i < 20; i++) await Promise.resolve();
				log.push(`${name} ${clock.now()}`);
			}
		};
		chain("a", 10, 10, 10);
		chain("b", 15, 0, 10);
		chain("c", 10);
		await clock.advance(20);
		expect(log).toEqual(["a 10", "c 10", "b 15", "b 15", "a 20"]);
		expect([clock.now(), clock.pending, clock.nextIn]).toEqual([20, 2, 5]);
		await clock.advance(100);
		expect(log.slice(5)).toEqual(["b 25", "a 30"]);
		expect([clock.now(), clock.pending, clock.nextIn]).toEqual([120, 0, undefined]);
	});

	test("advanceTo() goes to a time on the wall clock", async () => {
		const clock = new VirtualClock({ now: 5000 });
		const slept = watch(sleep(100, { clock }));
		await clock.advanceTo(5100);
		expect([slept.state, clock.now(), clock.monotonic()]).toEqual(["resolved", 5100, 100]);
		expect(await errorOf(clock.advanceTo(5099))).toBeInstanceOf(RangeError);
	});

	test("runUntilIdle() goes on until no timer is set, however far that is", async () => {
		const clock = new VirtualClock();
		const slept = watch(sleep(2 ** 45, { clock }));
		const never = watch(sleep(Infinity, { clock }));
		await clock.runUntilIdle();
		expect([slept.state, never.state, clock.monotonic()]).toEqual(["resolved", "pending", 2 ** 45]);
	});

	test("runUntilIdle() gives up on what goes on for ever", async () => {
		const clock = new VirtualClock();
		let isOver = false;
		(async () => {
			while (!isOver) await sleep(1, { clock });
		})();
		expect(await errorOf(clock.runUntilIdle(50))).toBeInstanceOf(RangeError);
		expect(clock.monotonic()).toBe(50);
		isOver = true;
		await clock.runUntilIdle();
	});

	test("setNow() lets the wall clock jump and leaves the waits alone", async () => {
		const clock = new VirtualClock({ now: 1000 });
		const slept = watch(sleep(10, { clock }));
		clock.setNow(5_000_000);
		expect([clock.now(), clock.monotonic()]).toEqual([5_000_000, 0]);
		await clock.advance(9);
		expect(slept.state).toBe("pending");
		clock.setNow(0);
		await clock.advance(1);
		expect([slept.state, clock.now()]).toEqual(["resolved", 1]);
	});

	test("refuses to be moved while it moves, and bad arguments", async () => {
		const clock = new VirtualClock();
		const moving = clock.advance(10);
		expect(await errorOf(clock.advance(1))).toMatchObject({ name: "InvalidStateError" });
		await moving;
		for (const duration of [-1, NaN]) expect(await errorOf(clock.advance(duration))).toBeInstanceOf(RangeError);
		expect(await errorOf(clock.advance("1" as never))).toBeInstanceOf(TypeError);
		expect(() => clock.setNow(NaN)).toThrow(RangeError);
		expect(() => new VirtualClock({ now: Infinity })).toThrow(RangeError);
		expect(() => new VirtualClock(null as never)).toThrow(TypeError);
	});
});

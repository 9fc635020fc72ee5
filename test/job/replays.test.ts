import { describe, expect, test } from "vitest";
import { Replays } from "../../src/job/replays.ts";

describe("Replays", () => {
	const replay = (size: number) => ({ uid: "u", logged: 1, results: {}, size });

	test("put() forgets the oldest ones, so that all together are bounded by their size", () => {
		const replays = new Replays();
		for (let n = 0; n < 100; n++) replays.put(`job ${n}`, replay(1_000_000));
		const known = Array.from({ length: 100 }, (_, n) => `job ${n}`).filter((id) => replays.take(id) !== undefined);
		expect(known).toEqual(Array.from({ length: 16 }, (_, n) => `job ${n + 84}`));
		replays.put("huge", replay(20_000_000));
		expect(replays.take("huge")).toBeUndefined();
	});

	test("put() bounds the number of small ones, too", () => {
		const replays = new Replays();
		for (let n = 0; n < 100_000; n++) replays.put(`job ${n}`, replay(1));
		let count = 0;
		for (let n = 0; n < 100_000; n++) if (replays.take(`job ${n}`) !== undefined) count++;
		expect(count).toBeGreaterThan(10_000);
		expect(count).toBeLessThan(40_000);
	});

	test("take() gives each once, and put() replaces what is known of a job", () => {
		const replays = new Replays();
		for (let n = 0; n < 50; n++) replays.put("one", { ...replay(1_000_000), logged: n });
		replays.put("two", replay(1_000_000));
		expect(replays.take("one")?.logged).toBe(49);
		expect(replays.take("one")).toBeUndefined();
		expect(replays.take("two")).toBeDefined();
	});
});

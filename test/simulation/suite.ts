// The tests of a simulation, for any store.
import type { VirtualClock } from "../../src/testing.ts";
import { describe, expect, test } from "vitest";
import { replay, simulate, type SimulatedStore } from "./simulate.ts";

/** One test for so many seeds, so that none takes too long. */
const batch = 250;

/** @param store what `npm run simulate` calls it */
export function testSimulation(store: string, open: (clock: VirtualClock) => SimulatedStore, seeds: number): void {
	describe(`A simulation on the store "${store}"`, () => {
		test.each(Array.from({ length: Math.ceil(seeds / batch) }, (_, index) => index * batch + 1))(
			"keeps all invariants from seed %d on",
			async (from) => {
				for (let seed = from; seed < from + batch && seed <= seeds; seed++) {
					const { failure } = await simulate({ seed, open });
					if (failure !== undefined) throw new Error(`${failure}\nTo see it again: ${replay(seed, store)}`);
				}
			},
			60_000,
		);

		test("is the same for the same seed, and another one for another", async () => {
			for (const seed of [1, 2]) {
				const first = await simulate({ seed, open });
				expect(await simulate({ seed, open })).toEqual(first);
				expect((await simulate({ seed: seed + 100_000, open })).hash).not.toBe(first.hash);
			}
		});
	});
}

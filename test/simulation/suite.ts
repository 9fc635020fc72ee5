// The tests of a simulation, for any store. A store brings:
//
// - `open(clock)`: a new empty store for each seed, whose time is `clock.now()`, with a function that closes it;
// - `makeClock`, if the answers of the store take real time, as with a server, a browser or a file: a `PatientClock` of
//   `patient-clock.ts`, whose time stands still while `calls` is not 0. The store counts its calls there;
// - `transactions`, if the store has transactions that can stay open: they complete tasks, and write a mark for each;
// - wake-ups in virtual time, or none, because a seed is not reproducible with wake-ups from real timers;
// - no random values except for those of `Math.random`, which depends on the seed.
//
// See `memory.ts`, `sqlite.ts` and `postgres.ts`.
import { describe, expect, test } from "vitest";
import { replay, simulate, type SimulationOptions } from "./simulate.ts";

/** The number of seeds per test: on a store in a file they take a third of the time that a test has. */
const mostSeeds = 100;
/** Likewise, where each answer takes real time. */
const mostPatient = 20;

export interface SimulationTestOptions {
	/** The name of the store for `npm run simulate`. */
	readonly store: string;
	readonly open: SimulationOptions["open"];
	readonly makeClock?: SimulationOptions["makeClock"];
	readonly seeds: number;
	readonly what?: SimulationOptions["what"];
}

export function testSimulation({ store, open, makeClock, seeds, what = "tasks" }: SimulationTestOptions): void {
	const batch = makeClock === undefined ? mostSeeds : mostPatient;
	describe(`A simulation of ${what} on the store "${store}"`, () => {
		test.each(Array.from({ length: Math.ceil(seeds / batch) }, (_, index) => index * batch + 1))(
			"keeps all invariants from seed %d on",
			async (from) => {
				for (let seed = from; seed < from + batch && seed <= seeds; seed++) {
					const { failure } = await simulate({ seed, open, makeClock, what });
					if (failure !== undefined) throw new Error(`${failure}\nTo see it again: ${replay(seed, store, what)}`);
				}
			},
			60_000,
		);

		test("is the same for the same seed, and another one for another", async () => {
			const first = await simulate({ seed: 2, open, makeClock, what });
			expect(await simulate({ seed: 2, open, makeClock, what })).toEqual(first);
			expect((await simulate({ seed: 100_002, open, makeClock, what })).hash).not.toBe(first.hash);
		});
	});
}

// The tests of a simulation, for any store. A store brings:
//
// - `open(clock)`: an empty store of its own for each seed, whose time is `clock.now()`, and what closes it;
// - `makeClock`, if an answer of the store takes real time, as from a server, a browser or a file: a `PatientClock` of
//   `patient-clock.ts`, whose time stands still while `calls` is not 0. The store counts its calls there;
// - `transactions`, if it has any that can be open for a while: they complete tasks, and leave a mark for each;
// - wake-ups in virtual time, or none: what comes from a real timer makes a seed go another way each time;
// - nothing that is random but by `Math.random`, which follows the seed.
//
// See `memory.ts`, `sqlite.ts` and `postgres.ts`.
import { describe, expect, test } from "vitest";
import { replay, simulate, type SimulationOptions } from "./simulate.ts";

/** One test for so many seeds, so that none takes too long. */
const batch = 250;

export interface SimulationTestOptions {
	/** What `npm run simulate` calls the store. */
	readonly store: string;
	readonly open: SimulationOptions["open"];
	readonly makeClock?: SimulationOptions["makeClock"];
	readonly seeds: number;
	/** Of jobs, in place of tasks of a basket. */
	readonly hasJobs?: boolean;
}

export function testSimulation({ store, open, makeClock, seeds, hasJobs = false }: SimulationTestOptions): void {
	describe(`A simulation of ${hasJobs ? "jobs" : "tasks"} on the store "${store}"`, () => {
		test.each(Array.from({ length: Math.ceil(seeds / batch) }, (_, index) => index * batch + 1))(
			"keeps all invariants from seed %d on",
			async (from) => {
				for (let seed = from; seed < from + batch && seed <= seeds; seed++) {
					const { failure } = await simulate({ seed, open, makeClock, hasJobs });
					if (failure !== undefined) throw new Error(`${failure}\nTo see it again: ${replay(seed, store, hasJobs)}`);
				}
			},
			60_000,
		);

		test("is the same for the same seed, and another one for another", async () => {
			for (const seed of [1, 2]) {
				const first = await simulate({ seed, open, makeClock, hasJobs });
				expect(await simulate({ seed, open, makeClock, hasJobs })).toEqual(first);
				expect((await simulate({ seed: seed + 100_000, open, makeClock, hasJobs })).hash).not.toBe(first.hash);
			}
		});
	});
}

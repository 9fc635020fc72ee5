/**
 * Tests that compare a store with a model of it while they do random things.
 *
 * @module
 */

import type { Bench, StoreTest } from "./bench.ts";

/** A store beside its model. */
export interface Compared {
	/** What was done so far. */
	readonly log: readonly string[];
	/** Does something random to both, and compares them. */
	step(): Promise<void>;
}

/** The test of so many steps. A failure shows the seed, and what was done before. */
export function randomTest(
	title: string,
	seed: number,
	steps: number,
	create: (bench: Bench) => Compared,
): StoreTest {
	return {
		title,
		async run(bench) {
			const both = create(bench);
			try {
				for (let step = 0; step < steps; step++) await both.step();
			} catch (error) {
				const { message } = error as Error;
				const last = both.log.slice(-8).join("\n\t");
				throw new Error(`${message}\nseed ${seed}, step ${both.log.length}, after\n\t${last}`, { cause: error });
			}
		},
	};
}

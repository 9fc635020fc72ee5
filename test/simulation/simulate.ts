// A deterministic simulation: several processes work on one basket, die, are slow and lose answers, while the time
// jumps. All random values come from one seed, so that a failure can be replayed.
import type { Store } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import { BasketSimulation } from "./basket-simulation.ts";
import { BasketWorld } from "./basket-world.ts";
import { makeJobProfile } from "./jobs/profile.ts";
import { JobSimulation } from "./jobs/simulation.ts";
import { JobWorld } from "./jobs/world.ts";
import { makeProfile } from "./profile.ts";
import { Random } from "./random.ts";
import { TreeSimulation } from "./trees/simulation.ts";
import { TreeWorld } from "./trees/world.ts";
import type { StoreTransactions } from "./transactions.ts";

/** A new store for a simulation. */
export interface SimulatedStore {
	readonly store: Store<never>;
	/** Absent if the store has no transactions that can stay open. */
	readonly transactions?: StoreTransactions | undefined;
	close(): void;
}

export interface SimulationOptions {
	readonly seed: number;
	readonly open: (clock: VirtualClock) => SimulatedStore | Promise<SimulatedStore>;
	/** Creates the clock of the simulation, if the store needs a special one. */
	readonly makeClock?: ((options: { now: number }) => VirtualClock) | undefined;
	/** What is simulated: the tasks of a basket, jobs, or trees of jobs with children. @default "tasks" */
	readonly what?: Simulated | undefined;
	readonly onTrace?: ((line: string) => void) | undefined;
}

export type Simulated = "tasks" | "jobs" | "trees";

/** The result of a simulation. */
export interface SimulationReport {
	/** The first failure. */
	readonly failure: string | undefined;
	/** A hash of the trace, which is the same for the same seed. */
	readonly hash: number;
	readonly operations: number;
	readonly runs: number;
	readonly added: number;
}

/** Returns the command that runs one seed with a trace. */
export function replay(seed: number, store: string, what: Simulated): string {
	if (store === "indexeddb") return `indexeddb-simulation.test.ts, with seed ${seed} alone`;
	const command = store === "deno-kv" ? "deno run -A --unstable-kv scripts/simulate.ts" : "npm run simulate --";
	return `${command} --store ${store}${what === "tasks" ? "" : ` --${what}`} --seed ${seed} --trace`;
}

export async function simulate(
	{ seed, open, makeClock, what = "tasks", onTrace }: SimulationOptions,
): Promise<SimulationReport> {
	const random = new Random(seed);
	const start = { now: 1_700_000_000_000 };
	const clock = makeClock?.(start) ?? new VirtualClock(start);
	const { random: original } = Math;
	const { stackTraceLimit } = Error;
	Error.stackTraceLimit = 0; // stacks would cost more than the simulation itself
	// The engine and the store also use random numbers, for which whole milliseconds are sufficient.
	Math.random = () => random.below(50) / 50;
	const { getRandomValues } = crypto;
	crypto.getRandomValues = (array) =>
		(array as unknown as Uint32Array).fill(0).map(() => random.below(2 ** 32)) as never;
	const { store, transactions, close } = await open(clock);
	try {
		if (what === "trees") return await simulateTrees(new TreeWorld(random, clock, store, onTrace));
		const world = what === "jobs"
			? new JobWorld(random, makeJobProfile(random), clock, store, onTrace)
			: new BasketWorld(random, makeProfile(random), clock, store, onTrace, transactions);
		await (world instanceof JobWorld ? new JobSimulation(world) : new BasketSimulation(world)).run();
		const { failure, hash, ledger, calls } = world;
		return { failure, hash, operations: ledger.operations, runs: calls, added: ledger.totals.added };
	} finally {
		close();
		Math.random = original;
		crypto.getRandomValues = getRandomValues;
		Error.stackTraceLimit = stackTraceLimit;
	}
}

async function simulateTrees(world: TreeWorld): Promise<SimulationReport> {
	const simulation = new TreeSimulation(world);
	await simulation.run();
	const { failure, hash, operations, calls } = world;
	return { failure, hash, operations, runs: calls.size, added: simulation.roots };
}

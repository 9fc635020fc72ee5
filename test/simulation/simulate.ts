// A deterministic simulation: several processes work on one basket, die, are slow and lose answers, while the time jumps.
// All that is random comes from one seed, so that a failure can be replayed.
import type { Store } from "../../mod.ts";
import { StoreError } from "../../mod.ts";
import { VirtualClock } from "../../src/testing.ts";
import { describe } from "./ledger.ts";
import { Process } from "./process.ts";
import { type Action, makeProfile } from "./profile.ts";
import { Random } from "./random.ts";
import { kinds } from "./tasks.ts";
import { World } from "./world.ts";

/** A store to be simulated on, of its own. */
export interface SimulatedStore {
	readonly store: Store<never>;
	close(): void;
}

export interface SimulationOptions {
	readonly seed: number;
	readonly open: (clock: VirtualClock) => SimulatedStore;
	readonly onTrace?: ((line: string) => void) | undefined;
}

/** What a simulation came to. */
export interface SimulationReport {
	/** The first thing that was wrong. */
	readonly failure: string | undefined;
	/** The same for the same seed. */
	readonly hash: number;
	readonly operations: number;
	readonly runs: number;
	readonly added: number;
}

/** The command that runs one seed and shows what happens. */
export function replay(seed: number, store: string): string {
	return `npm run simulate -- --store ${store} --seed ${seed} --trace`;
}

export async function simulate({ seed, open, onTrace }: SimulationOptions): Promise<SimulationReport> {
	const random = new Random(seed);
	const clock = new VirtualClock({ now: 1_700_000_000_000 });
	const { random: original } = Math;
	const { stackTraceLimit } = Error;
	Error.stackTraceLimit = 0; // stacks would cost more than all the rest
	// Engine and store have randomness of their own. Whole numbers of milliseconds are enough of it.
	Math.random = () => random.below(50) / 50;
	const { store, close } = open(clock);
	try {
		const world = new World(random, makeProfile(random), clock, store, onTrace);
		await new Simulation(world).run();
		const { failure, hash, ledger, runs } = world;
		return { failure, hash, operations: ledger.operations, runs: runs.size, added: ledger.totals.added };
	} finally {
		close();
		Math.random = original;
		Error.stackTraceLimit = stackTraceLimit;
	}
}

class Simulation {
	readonly #world: World;
	#names = 0;
	#tasks = 0;

	constructor(world: World) {
		this.#world = world;
	}

	async run(): Promise<void> {
		const { profile, clock, random } = this.#world;
		for (let i = 0; i < profile.processes; i++) this.#start();
		for (let step = 0; step < profile.steps && this.#isRight(); step++) {
			const action = random.weighted(profile.actions);
			this.#act(action);
			await clock.advance(action === "advance" ? random.pick([1, 10, 200, 1_000, 5_000, 20_000]) : 0);
			this.#world.check();
		}
		if (this.#isRight()) await this.#calmDown();
		if (this.#isRight()) await this.#finish();
	}

	#isRight(): boolean {
		return this.#world.failure === undefined;
	}

	#start(): void {
		const process = new Process(this.#world, `p${++this.#names}`);
		this.#world.processes.push(process);
		process.work(false);
		if (!this.#world.random.chance(0.2)) return;
		process.stop(true);
		process.work(false);
	}

	#act(action: Action): void {
		const { random, profile, processes } = this.#world;
		if (processes.length < profile.processes) this.#start();
		const process = random.pick(processes);
		switch (action) {
			case "add":
				return this.#add(process, 1);
			case "add many":
				return this.#add(process, 1 + random.below(8));
			case "run":
				return process.work(false);
			case "drain":
				return process.work(true);
			case "stop":
				return process.stop(random.chance(0.5));
			case "pause":
				return process.pause();
			case "resume":
				return process.resume();
			case "kill":
				return process.kill();
			case "jump":
				return this.#world.jump(random.pick([-600_000, -20_000, -1_000, 1_000, 20_000, 600_000]));
			case "hint":
				return process.hint();
			case "hold":
			case "release":
			case "retry":
			case "delete":
				return this.#change(process, action);
			case "look":
				return this.#look(process);
		}
	}

	#add(process: Process, count: number): void {
		const { random, profile } = this.#world;
		if (this.#tasks + count > profile.tasks) return;
		this.#tasks += count;
		const entries = Array.from({ length: count }, () => {
			const kind = random.pick(kinds);
			return {
				kind,
				payload: { changes: 0, ...(kind === "strange" && random.chance(0.2) ? { isBroken: true } : {}) },
				id: random.chance(0.7) ? `t${random.below(profile.tasks / 2)}` : undefined,
				delay: random.chance(0.3) ? random.pick([1, 100, 5_000, 60_000]) : 0,
				priority: random.chance(0.2) ? random.pick([-1, 1, 2]) : 0,
				lane: random.chance(0.5) ? random.pick(["a", "b"]) : undefined,
			};
		});
		const [{ kind, payload, ...options }] = entries as [typeof entries[0]];
		const { basket } = process;
		const added: Promise<unknown> = count === 1 ? basket.add(kind, payload, options) : basket.addMany(entries);
		this.#handle(process, "add", added);
	}

	/** Most often one that is there. */
	#change(process: Process, change: "hold" | "release" | "retry" | "delete"): void {
		const { random, ledger } = this.#world;
		const ids = [...ledger.entries.keys()];
		const id = ids.length > 0 && random.chance(0.9) ? random.pick(ids) : "nobody";
		this.#handle(process, change, process.basket[change](id));
		// Under the same id there may soon be something else, while somebody still works on what was there.
		if (change === "delete" && !id.startsWith("_") && random.chance(0.7)) {
			this.#handle(process, "add", process.basket.add("endless", { changes: 0 }, { id }));
		}
	}

	#look(process: Process): void {
		const { random, ledger } = this.#world;
		const { basket } = process;
		this.#handle(process, "counts", basket.counts());
		this.#handle(process, "get", basket.get([...ledger.entries.keys()].at(random.below(5)) ?? "nobody"));
		this.#handle(process, "list", readAll(basket.list({ state: random.pick([undefined, "waiting", "dead"]) })));
	}

	/** What nobody waits for may fail because the store does. */
	#handle(process: Process, what: string, result: Promise<unknown>): void {
		const { trace, fail } = this.#world;
		result.then(
			() => trace(`${process.name} ${what} is done`),
			(error) => {
				trace(`${process.name} ${what} has failed: ${error.message}`);
				if (!(error instanceof StoreError)) fail(`${process.name}: ${what} rejects with ${error}`);
			},
		);
	}

	/** From here on nothing goes wrong, so that everything must come to an end. */
	async #calmDown(): Promise<void> {
		const { clock, ledger, hanging, processes } = this.#world;
		this.#world.calm();
		await clock.advance(30_000); // what is slow comes through
		if (processes.length === 0) this.#start();
		for (let round = 0; round < 360 && this.#isRight(); round++) {
			for (const end of hanging) end();
			hanging.clear();
			for (const process of processes) {
				if (process.isPaused) process.resume();
				if (!process.isWorking) process.work(false);
			}
			const held = [...ledger.entries.values()].filter(({ isHeld }) => isHeld);
			for (const { id } of held) this.#handle(processes[0]!, "release", processes[0]!.basket.release(id));
			await clock.advance(10_000);
			this.#world.check();
			if ([...ledger.entries.values()].every(({ state }) => state === "dead" || state === "done")) return;
		}
		const left = [...ledger.entries.values()].find(({ state }) => state !== "dead" && state !== "done");
		if (left !== undefined) this.#world.fail(`${describe(left)} is not done after an hour of calm`);
	}

	/** Everything adds up, and nothing is left behind. */
	async #finish(): Promise<void> {
		const { clock, ledger, processes } = this.#world;
		const { basket } = processes[0]!;
		await Promise.all([basket.counts(), readAll(basket.list())]);
		const { added, done, deleted } = ledger.totals;
		const dead = [...ledger.entries.values()].filter(({ state }) => state === "dead").length;
		if (added !== done + deleted + dead) {
			this.#world.fail(`${added} were added, ${done} done, ${deleted} deleted, and ${dead} are dead`);
		}
		// Who was told to run while it was stopping begins again when it has stopped.
		for (let round = 0; round < 2; round++) {
			for (const process of processes) process.stop(true);
			await clock.advance(60_000);
		}
		const { operations } = ledger;
		const working = processes.find(({ isWorking }) => isWorking);
		if (working !== undefined) this.#world.fail(`${working.name} does not stop`);
		if (clock.pending > 0) this.#world.fail(`${clock.pending} timers are left`);
		await clock.advance(600_000);
		if (ledger.operations !== operations) this.#world.fail("The store is used after everything has stopped");
	}
}

async function readAll(tasks: AsyncIterable<unknown>): Promise<void> {
	for await (const _ of tasks);
}

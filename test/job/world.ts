// A job of random shape on processes that die at random calls of the store and in their steps.

import { type JobDefinition, later, sleep, StoreError } from "../../mod.ts";
import { Random } from "../simulation/random.ts";
import type { Database } from "./database.ts";
import { type Fault, Machine, type Process } from "./support.ts";

const never = () => new Promise<never>(() => {});

// deno-lint-ignore no-explicit-any -- of any types, without transactions
type Definition = JobDefinition<any, any, any, any, never>;

export abstract class World {
	readonly machine: Machine;
	deaths = 0;
	protected readonly random: Random;
	#danger: number;
	/** The end of the transaction before: a connection has one at a time. */
	readonly #writing = new Map<Process, Promise<unknown>>();
	/** The steps that were put off. */
	readonly #later = new Set<string>();

	/** @param danger the probability that a process dies at a call of the store; a quarter of that in a step */
	constructor(database: Database, seed: number, danger: number) {
		this.machine = new Machine(database);
		this.random = new Random(seed + 1_000_000);
		this.#danger = danger;
	}

	/** The definition, as a process has it. */
	protected abstract define(process: Process): Definition;
	protected readonly input: unknown;
	/** The names of the signals that are sent, one in each round. */
	protected abstract get signals(): readonly string[];
	/** Returns what is wrong with what has happened. */
	abstract problem(): Promise<string | undefined>;

	/** The outcome as text. */
	async outcome(): Promise<string> {
		const { status, value, error } = (await this.machine.process().processor([]).result("job"))!;
		return JSON.stringify([status, value, error?.message]);
	}

	/** Runs the job until it has ended, or nothing will come of it. */
	async run(): Promise<void> {
		const { machine, random, signals, input } = this;
		await machine.store.open();
		const observer = machine.process();
		const definition = this.define(observer);
		const processor = observer.processor([
			definition,
		]);
		await processor.add(definition, input, { id: "job" });
		for (let index = 0; index < (this.#danger > 0 ? 2 : 1); index++) this.#start();
		const cancelAt = this.#danger > 0 && random.chance(0.15) ? random.below(12) : -1;
		for (let round = 0; round < 120; round++) {
			if (await processor.result("job") !== undefined) return;
			if (round === 40) this.#danger = 0;
			await machine.advance(round < 30 ? random.pick([0, 10, 500, 3_000, 30_000]) : 60_000);
			const signal = signals[round];
			if (signal !== undefined) await processor.signal("job", signal, `value of ${signal}`);
			if (round === cancelAt) await processor.cancel("job");
			if (this.#danger > 0 && random.chance(0.1)) await processor.retry("job");
		}
	}

	/** Starts a processor. A new one replaces each dead one, and each that stops. */
	#start(): void {
		const { random, machine } = this;
		const fault: Fault = () => {
			if (!random.chance(this.#danger)) return undefined;
			return random.pick(["die before", "die after", new StoreError("unavailable", "away")]);
		};
		const process = machine.process(fault);
		process.onDeath = () => {
			this.deaths++;
			this.#start();
		};
		const processor = process.processor([this.define(process)]);
		void processor.run().then(() => this.#start(), () => process.isDead || this.#start());
		if (random.chance(this.#danger * 3)) {
			const stop = () => void (process.isDead || processor.stop());
			void sleep(random.below(5_000), { clock: machine.clock }).then(stop);
		}
	}

	/** A process may die here. After that, nothing happens anymore. */
	protected async survive(process: Process): Promise<void> {
		if (!process.isDead && this.random.chance(this.#danger / 4)) process.die();
		if (process.isDead) await never();
	}

	/** Whether a step puts itself off now: once, in all processes. */
	protected putsOff(name: string): boolean {
		const isFirst = !this.#later.has(name);
		this.#later.add(name);
		return isFirst;
	}

	/** Writes a line in a transaction. */
	protected async write(process: Process, line: string, work: (tx: unknown) => Promise<unknown>): Promise<void> {
		const written = Promise.resolve(this.#writing.get(process)).then(() =>
			process.write(line, async (tx) => {
				await work(tx);
				await this.survive(process);
			})
		);
		this.#writing.set(process, written.catch(() => {}));
		// A database that is away for a moment is no failure of the step.
		await written.catch((error) => {
			throw error instanceof StoreError ? later(1_000, error) : error;
		});
	}
}

/**
 * Runs a seed in a world where nothing dies, and in one where much does. Returns what is wrong, if anything is.
 *
 * @param isFixed whether the outcome is the same for each run that is not cancelled
 */
export async function tryWorlds<W extends World>(
	open: () => Promise<Database>,
	create: (database: Database, danger: number) => W,
	danger: number,
	isFixed: (world: W) => boolean,
): Promise<string | undefined> {
	const database = await open();
	const calm = create(database, 0);
	const wild = create(database, danger);
	try {
		for (const world of [calm, wild]) {
			await world.run();
			const problem = await world.problem();
			if (problem !== undefined) return `${world === calm ? "calm" : "wild"}: ${problem}`;
		}
		const [one, other] = [await calm.outcome(), await wild.outcome()];
		const mayDiffer = !isFixed(calm) || other.includes("The job was cancelled") || other.includes("ended without");
		return one === other || mayDiffer ? undefined : `${other} instead of ${one}`;
	} finally {
		calm.machine.close();
		wild.machine.close();
		await database.close();
	}
}

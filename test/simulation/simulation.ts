// The course of any simulation: some hundred random steps, then a time without faults in which all work must end.
import type { Process } from "./process.ts";
import type { World } from "./world.ts";
import { StoreError } from "../../mod.ts";
import { cuts } from "./line.ts";

export abstract class Simulation<W extends World<P>, P extends Process, A extends string> {
	protected readonly world: W;
	#names = 0;

	constructor(world: W) {
		this.world = world;
	}

	async run(): Promise<void> {
		const { profile, clock, random } = this.world;
		for (let i = 0; i < profile.processes; i++) this.start();
		for (let step = 0; step < profile.steps && this.isRight(); step++) {
			const action = random.weighted(this.actions);
			this.#act(action);
			await clock.advance(action === "advance" ? random.pick([1, 10, 200, 1_000, 5_000, 20_000]) : 0);
			this.world.check();
		}
		if (this.isRight()) await this.calmDown();
		if (this.isRight()) await this.finish();
	}

	protected abstract readonly actions: Readonly<Record<A, number>>;
	protected abstract makeProcess(name: string): P;
	/** Performs an action that only this kind of simulation has. */
	protected abstract actSpecially(action: A, process: P): void;
	/** Ends all faults, so that all work must end. */
	protected abstract calmDown(): Promise<void>;

	/** Waits until calls that are pending after the faults end or are abandoned. */
	protected async settleDown(): Promise<void> {
		const { clock, processes } = this.world;
		this.world.calm();
		const disturbedAt = Math.max(...processes.map((process) => process.disturbedAt));
		await clock.advance(Math.max(30_000, Math.ceil(disturbedAt - clock.monotonic())));
		if (processes.length === 0) this.start();
	}

	protected isRight(): boolean {
		return this.world.failure === undefined;
	}

	protected start(): void {
		const process = this.makeProcess(`p${++this.#names}`);
		this.world.processes.push(process);
		process.work(false);
		if (!this.world.random.chance(0.2)) return;
		process.stop(true);
		process.work(false);
	}

	#act(action: A): void {
		const { random, profile, processes } = this.world;
		if (processes.length < profile.processes) this.start();
		const process = random.pick(processes);
		if (action === "kill") return process.kill();
		if (action === "advance" || process.isFrozen) return;
		switch (action as string) {
			case "cut":
				return process.cut(random.pick(cuts), this.#pickTime(process));
			case "freeze":
				return process.freeze(this.#pickTime(process));
			case "run":
				return process.work(false);
			case "drain":
				return process.work(true);
			case "stop":
				return process.stop(random.chance(0.5));
			case "jump":
				return this.world.jump(random.pick([-600_000, -20_000, -1_000, 1_000, 20_000, 600_000]));
			default:
				return this.actSpecially(action, process);
		}
	}

	/** Returns a time from a fraction of a lease to several leases. */
	#pickTime({ lease }: P): number {
		return Math.ceil(lease * this.world.random.pick([0.2, 0.6, 1, 1.5, 2, 3, 5]));
	}

	/** Handles a result that is not awaited. It may fail if the store fails, and as expected. */
	protected handle(
		process: Process,
		what: string,
		result: Promise<unknown>,
		isExpected: (error: unknown) => boolean = () => false,
	): void {
		const { trace, fail } = this.world;
		result.then(
			() => trace(`${process.name} ${what} is done`),
			(error) => {
				trace(`${process.name} ${what} has failed: ${error.message}`);
				if (!(error instanceof StoreError) && !isExpected(error)) {
					fail(`${process.name}: ${what} rejects with ${error}`);
				}
			},
		);
	}

	/** Stops all processes, and checks that nothing is left behind. */
	protected async finish(): Promise<void> {
		const { clock, ledger, processes } = this.world;
		// A process that was started during a stop begins again after the stop.
		for (let round = 0; round < 2; round++) {
			for (const process of processes) process.stop(true);
			await clock.advance(60_000);
		}
		const { operations } = ledger;
		const working = processes.find(({ isWorking }) => isWorking);
		if (working !== undefined) this.world.fail(`${working.name} does not stop`);
		if (clock.pending > 0) this.world.fail(`${clock.pending} timers are left`);
		await clock.advance(600_000);
		if (ledger.operations !== operations) this.world.fail("The store is used after everything has stopped");
	}
}

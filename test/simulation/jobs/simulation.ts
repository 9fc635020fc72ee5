// A simulation of jobs: processes add, cancel, hold, signal and delete jobs during all kinds of faults.
import type { JobRecord } from "../../../mod.ts";
import type { JobBook } from "./books.ts";
import type { JobAction } from "./profile.ts";
import type { JobWorld } from "./world.ts";
import { Simulation } from "../simulation.ts";
import { checkState } from "./outcomes.ts";
import { JobProcess } from "./process.ts";

export class JobSimulation extends Simulation<JobWorld, JobProcess, JobAction> {
	#jobs = 0;

	protected get actions(): JobWorld["profile"]["actions"] {
		return this.world.profile.actions;
	}

	protected makeProcess(name: string): JobProcess {
		return new JobProcess(this.world, name);
	}

	protected actSpecially(action: JobAction, process: JobProcess): void {
		const { random } = this.world;
		switch (action) {
			case "add":
				return this.#add(process);
			case "hint":
				return process.hint();
			case "wait":
				return process.wait(this.#pick(), random.pick([100, 5_000, Infinity]));
			case "look":
				return process.look(this.#pick());
			case "signal":
			case "cancel":
			case "hold":
			case "release":
				return process.change(action, this.#pick());
			case "delete": {
				const id = this.#pick();
				process.change(action, id);
				if (!id.startsWith("_") && random.chance(0.7)) this.#add(process, id);
			}
		}
	}

	/** Returns the id of a job, which exists in most cases. */
	#pick(): string {
		const { random, ledger } = this.world;
		const ids = [...ledger.entries.keys()];
		return ids.length > 0 && random.chance(0.9) ? random.pick(ids) : "nobody";
	}

	#add(process: JobProcess, given?: string): void {
		const { random, profile } = this.world;
		if (this.#jobs === profile.jobs) return;
		const input = ++this.#jobs;
		const id = given ?? (random.chance(0.7) ? `j${random.below(profile.jobs / 2)}` : undefined);
		const delay = random.chance(0.3) ? random.pick([1, 100, 5_000, 60_000]) : 0;
		const priority = random.chance(0.2) ? random.pick([-1, 1, 2]) : 0;
		const lane = random.chance(0.3) ? random.pick(["a", "b"]) : undefined;
		process.handle("add", process.processor.add(random.pick(process.jobs), input, { id, delay, priority, lane }));
	}

	protected async calmDown(): Promise<void> {
		const { clock } = this.world;
		await this.settleDown();
		for (let round = 0; round < 360 && this.isRight(); round++) {
			this.#help();
			await clock.advance(10_000);
			this.world.check();
			const { open } = this.world;
			if (open.length === 0) return;
			if (round > 30 && open.every((book) => this.#isWaiting(book) || this.#isBlocked(book, open))) this.#tell(open);
		}
		const [left] = this.world.open;
		if (left !== undefined) {
			this.world.fail(`${left.entry.id} is not over after an hour of calm: ${JSON.stringify(left.state)}`);
		}
	}

	/** Makes all processes work, ends hanging calls, and releases held jobs. */
	#help(): void {
		const { hanging, processes, open } = this.world;
		for (const end of hanging) end();
		hanging.clear();
		for (const process of processes) if (!process.isWorking) process.work(false);
		for (const { entry } of open) if (entry.isHeld) processes[0]!.change("release", entry.id);
	}

	/** Whether the job may wait forever because no process sends its signal. */
	#isWaiting({ rules, state, signals }: JobBook): boolean {
		const step = rules.steps[state.at];
		if (state.isBackward || step?.type !== "waitFor" || step.duration < Infinity) return false;
		return !signals.has(step.name);
	}

	/** Whether a job that may wait forever blocks the lane of this job. */
	#isBlocked({ entry }: JobBook, open: readonly JobBook[]): boolean {
		return entry.lane !== undefined && open.some((other) => other.entry.lane === entry.lane && this.#isWaiting(other));
	}

	/** Sends the awaited signals. */
	#tell(books: readonly JobBook[]): void {
		const { random, processes } = this.world;
		for (const { entry } of books) {
			const process = random.pick(processes);
			process.wait(entry.id, Infinity);
			process.change(random.chance(0.7) ? "signal" : "cancel", entry.id);
		}
	}

	protected override async finish(): Promise<void> {
		const { clock, ledger, processes, books } = this.world;
		const { processor } = processes[0]!;
		await clock.advance(160_000); // for pending waits, because a line may have been cut for five leases
		for (const process of processes) {
			if (process.waiting > 0) this.world.fail(`${process.name} waits for what is over`);
			this.#checkTotals(process);
		}
		const shown: JobRecord[] = [];
		const list = async () => {
			for await (const state of processor.list()) shown.push(state);
		};
		// It may come behind a read that was never answered, and is given up after a third of the lease.
		await Promise.all([list(), clock.advance(20_000)]);
		for (const state of shown) {
			const book = [...books.values()].find(({ entry }) => ledger.entries.get(state.id) === entry)!;
			const problem = checkState(book, state);
			if (problem !== undefined) this.world.fail(`${state.id} is shown as ${problem}`);
		}
		for (const { id } of shown) processes[0]!.look(id);
		await super.finish();
	}

	#checkTotals({ name, ended, disturbedAt, processor }: JobProcess): void {
		const shown = processor.getSnapshot();
		for (const status of ["completed", "reverted", "failed"] as const) {
			const [told, stored] = [shown[status], ended[status]];
			if (told > stored || (disturbedAt === -Infinity && told < stored)) {
				this.world.fail(`${name} shows ${told} ${status}, should be ${stored}`);
			}
		}
	}
}

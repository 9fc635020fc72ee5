// A simulated process with a processor.
import type { Job, JobStatus } from "../../../mod.ts";
import type { LogRead, Save } from "../../../src/store.ts";
import type { StoreCall } from "../../../src/testing/testing.ts";
import type { JobWorld } from "./world.ts";
import { JobNotFoundError, Processor, StoreError } from "../../../mod.ts";
import { nameOf } from "../../../src/job/version.ts";
import { Process } from "../process.ts";
import { perform } from "./calls.ts";
import { makeJob } from "./definitions.ts";

export type JobChange = "cancel" | "hold" | "release" | "delete" | "signal";

export class JobProcess extends Process {
	readonly processor: Processor;
	readonly jobs: readonly Job<number>[];
	/** The number of jobs that this process has ended, by their stored status. */
	readonly ended: Record<JobStatus, number> = { completed: 0, reverted: 0, failed: 0 };
	/** The number of pending waits for the end of a job. */
	waiting = 0;
	readonly #world: JobWorld;
	readonly #hints = new Set<() => void>();

	constructor(world: JobWorld, name: string) {
		super(world, name);
		this.#world = world;
		const { rules, crashes, retain } = world.profile;
		this.jobs = rules.map((each) =>
			makeJob(each, (...args) => perform(world, this, ...args)) as unknown as Job<number>
		);
		this.processor = new Processor({
			store: this.store,
			name: "simulated",
			worker: name,
			jobs: this.jobs,
			concurrency: this.concurrency,
			lease: this.lease,
			grace: this.grace,
			crashes,
			retain,
			wake: { subscribe: (listener) => this.#subscribe(listener) },
			onError: (error) => world.onError(this, error),
			clock: this.engineClock,
		});
	}

	get worker(): Processor {
		return this.processor;
	}

	hint(): void {
		for (const listener of [...this.#hints]) listener();
	}

	#subscribe(listener: () => void): () => void {
		this.#hints.add(listener);
		return () => void this.#hints.delete(listener);
	}

	change(change: JobChange, id: string): void {
		const { trace, clock } = this.#world;
		const { processor } = this;
		const since = clock.monotonic();
		trace(`${this.name} ${change} ${id}`);
		if (change === "signal") return this.#signal(id);
		this.handle(change, processor[change](id), () => {
			if (change === "cancel" && this.disturbedAt < since) this.#world.checkCancelled(this, id);
		});
	}

	/** Sends a signal to one or all of the waiting steps of a job. */
	#signal(id: string): void {
		const { random, ledger, profile } = this.#world;
		const kind = ledger.entries.get(id)?.kind;
		const names =
			profile.rules.find(({ name }) => name === nameOf(kind ?? ""))?.steps.filter(({ type }) => type === "waitFor") ??
				[];
		for (const { name } of names) {
			if (random.chance(0.3)) continue;
			const value = random.pick([undefined, null, `value ${random.below(1_000)}`]);
			// Meanwhile another job may have replaced this one.
			this.handle("signal", this.processor.signal(id, name, value), undefined, (error) => error instanceof TypeError);
		}
	}

	/** Waits for the end of a job. */
	wait(id: string, patience: number): void {
		const { clock } = this.#world;
		const since = clock.monotonic();
		const controller = new AbortController();
		if (patience < Infinity) this.#world.after(patience, () => controller.abort(controller), this.taskClock);
		this.waiting++;
		const waited = this.processor.wait(id, { signal: controller.signal }).finally(() => this.waiting--);
		this.#ask("is told", id, since, waited, controller);
	}

	look(id: string): void {
		const since = this.#world.clock.monotonic();
		this.#ask("reads", id, since, this.processor.result(id));
		this.handle("state", this.processor.get(id), (shown) => shown && this.#world.checkShown(this.name, shown));
		this.handle("list", this.#list());
	}

	async #list(): Promise<void> {
		const state = this.#world.random.pick([undefined, "waiting", "done"] as const);
		for await (const shown of this.processor.list({ state })) this.#world.checkShown(this.name, shown);
	}

	#ask(verb: string, id: string, since: number, asked: ReturnType<Processor["result"]>, reason?: unknown): void {
		const what = `${this.name} ${verb}`;
		const isExpected = (error: unknown) => {
			if (error instanceof JobNotFoundError) this.#world.checkMissing(what, id, since);
			return error instanceof JobNotFoundError || (error === reason && error !== undefined);
		};
		this.handle(`${verb} ${id}`, asked, (outcome) => this.#world.checkTold(what, id, since, outcome), isExpected);
	}

	/** Handles a result that is not awaited. It may fail if the store fails. */
	handle<T>(
		what: string,
		result: Promise<T>,
		onDone?: (value: T) => void,
		isExpected?: (error: unknown) => boolean,
	): void {
		const { trace, fail } = this.#world;
		result.then(
			(value) => {
				if (!this.isAlive) return;
				trace(`${this.name} ${what} is done`);
				onDone?.(value);
			},
			(error) => {
				if (!this.isAlive) return;
				trace(`${this.name} ${what} has failed: ${error?.message}`);
				if (!isExpected?.(error) && !(error instanceof StoreError)) fail(`${this.name}: ${what} rejects with ${error}`);
			},
		);
	}

	protected override onAnswered(member: StoreCall["member"], args: readonly unknown[], result: unknown): void {
		const lose = (token: string) => this.#world.onLost(this.#world.ledger.records.get(token)!);
		if (member === "save") {
			(args[1] as readonly Save[]).forEach(({ ref: { token } }, index) => {
				if (!(result as readonly boolean[])[index]) lose(token);
			});
		} else if (member === "log") {
			(args[1] as readonly LogRead[]).forEach(({ token }, index) => {
				if (token !== undefined && (result as readonly unknown[])[index] === undefined) lose(token);
			});
		}
	}
}

import fc from "../property.ts";
import { describe, expect, test } from "vitest";
import { type FailedAttempt, NameInUseError, Pool, type PoolContext, sleep } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";

/** The behavior of a task in each run. */
interface Script {
	readonly time: number;
	readonly outcome: "return" | "reject" | "throw";
	/** Whether it ends as soon as its signal aborts. */
	readonly isPolite: boolean;
	/** The number of restarts that the task requests. */
	readonly restarts: number;
	/**
	 * The option that restarts the task: the short form, or `attempts` of the engine, with which the task may also be
	 * abandoned.
	 */
	readonly options: "restart" | "attempts";
	readonly priority: number;
}

type Simple =
	| { readonly kind: "spawn"; readonly name: number; readonly script: Script }
	| { readonly kind: "run"; readonly script: Script }
	| { readonly kind: "cancel"; readonly name: number }
	| { readonly kind: "resize"; readonly max: number }
	| { readonly kind: "kill"; readonly worker: number }
	| { readonly kind: "pause" }
	| { readonly kind: "resume" };

type Command =
	| Simple
	| { readonly kind: "advance"; readonly duration: number }
	/** A subscriber runs the command at the next change. */
	| { readonly kind: "re-enter"; readonly command: Simple };

/** The behavior of the creation of a worker. */
interface Making {
	readonly time: number;
	readonly isFailing: boolean;
}

const script: fc.Arbitrary<Script> = fc.record({
	time: fc.constantFrom(0, 3, 10),
	outcome: fc.constantFrom("return", "return", "reject", "throw"),
	isPolite: fc.boolean(),
	restarts: fc.nat(2),
	options: fc.constantFrom("restart", "attempts"),
	priority: fc.integer({ min: -1, max: 1 }),
});

const simple: fc.Arbitrary<Simple> = fc.oneof<fc.WeightedArbitrary<Simple>[]>(
	{ weight: 4, arbitrary: fc.record({ kind: fc.constant("spawn" as const), name: fc.nat(5), script }) },
	{ weight: 4, arbitrary: fc.record({ kind: fc.constant("run" as const), script }) },
	{ weight: 2, arbitrary: fc.record({ kind: fc.constant("cancel" as const), name: fc.nat(5) }) },
	{ weight: 1, arbitrary: fc.record({ kind: fc.constant("resize" as const), max: fc.integer({ min: 2, max: 5 }) }) },
	{ weight: 1, arbitrary: fc.record({ kind: fc.constant("kill" as const), worker: fc.nat(10) }) },
	{ weight: 1, arbitrary: fc.constantFrom<Simple>({ kind: "pause" }, { kind: "resume" }, { kind: "resume" }) },
);

const command: fc.Arbitrary<Command> = fc.oneof<fc.WeightedArbitrary<Command>[]>(
	{ weight: 13, arbitrary: simple },
	{ weight: 4, arbitrary: fc.record({ kind: fc.constant("advance" as const), duration: fc.nat(15) }) },
	{ weight: 3, arbitrary: fc.record({ kind: fc.constant("re-enter" as const), command: simple }) },
);

const making: fc.Arbitrary<Making> = fc.record({
	time: fc.constantFrom(0, 0, 5),
	isFailing: fc.integer({ min: 0, max: 5 }).map((number) => number === 0),
});

interface Booked {
	readonly script: Script;
	starts: number;
	restarts: number;
	isRunning: boolean;
	outcome?: "resolved" | "rejected";
}

/** Drives a pool, keeps records, and fails the test if a law is broken. */
class Bench {
	readonly clock = new VirtualClock();
	readonly pool: Pool<number>;
	readonly booked: Booked[] = [];
	/** Broken laws. They are recorded, because an error in a task would only make it fail. */
	readonly #violations: string[] = [];
	readonly #live = new Map<number, { isBusy: boolean; died: () => void }>();
	readonly #makings: readonly Making[];
	#made = 0;
	#destroyed = 0;
	/** The commands for subscribers. */
	#inner: Simple[] = [];

	constructor(min: number, makings: readonly Making[]) {
		this.#makings = makings;
		this.pool = new Pool<number>({
			min,
			max: 3,
			idleTimeout: 20,
			clock: this.clock,
			createWorker: async ({ died }) => {
				const { time, isFailing } = this.#makings[this.#made++ % this.#makings.length]!;
				const id = this.#made;
				await sleep(time, { clock: this.clock });
				if (isFailing) {
					this.#destroyed++;
					throw new Error("not made");
				}
				this.#live.set(id, { isBusy: false, died: () => died(new Error("died")) });
				return id;
			},
			destroyWorker: (worker) => {
				this.#expect(this.#live.delete(worker), "destroyed once");
				this.#destroyed++;
			},
		});
		this.pool.subscribe(() => this.#reenter());
	}

	#reenter(): void {
		const command = this.#inner.shift();
		if (command === undefined) return;
		try {
			this.do(command);
		} catch (error) {
			this.#violations.push(String(error));
		}
	}

	do(command: Command): unknown {
		if (command.kind === "re-enter") this.#inner.push(command.command);
		if (command.kind === "spawn") this.#spawn(command.name, command.script);
		if (command.kind === "run") this.#book(command.script, (task, options) => this.pool.run(task, options));
		if (command.kind === "cancel") this.cancels.get(command.name)?.();
		if (command.kind === "resize") this.pool.max = command.max;
		if (command.kind === "kill") [...this.#live.values()][command.worker]?.died();
		if (command.kind === "pause") this.pool.pause();
		if (command.kind === "resume") this.pool.resume();
		return command.kind === "advance" ? this.clock.advance(command.duration) : undefined;
	}

	readonly cancels = new Map<number, () => void>();

	#spawn(name: number, script: Script): void {
		const isTaken = this.pool.tasks().has(`${name}`);
		try {
			this.#book(script, (task, options) => {
				const { result, assigned, cancel } = this.pool.spawn(`${name}`, task, options);
				this.cancels.set(name, cancel);
				assigned().catch(() => {});
				return result();
			});
			expect(isTaken).toBe(false);
		} catch (error) {
			if (!(error instanceof NameInUseError)) throw error;
			expect(isTaken).toBe(true);
		}
	}

	#book(
		script: Script,
		submit: (task: (context: PoolContext<number>) => unknown, options: object) => Promise<unknown>,
	): void {
		const booked: Booked = { script, starts: 0, restarts: 0, isRunning: false };
		const restart = () => booked.restarts < script.restarts && ++booked.restarts > 0;
		const engine = {
			...{ attempts: script.restarts + 1, backoff: 3, timeout: 5, deadline: 60, abandonAfter: 2 },
			onAttemptFailed: ({ again }: FailedAttempt) => booked.restarts += Number(again),
		};
		const options = script.options === "restart" ? { restart } : engine;
		const result = submit((context) => this.#perform(booked, context), { ...options, priority: script.priority });
		this.booked.push(booked);
		result.then(() => booked.outcome = "resolved", () => booked.outcome = "rejected");
		expect(booked.starts).toBe(0);
	}

	#perform(booked: Booked, context: PoolContext<number>): unknown {
		const { time, outcome, isPolite } = booked.script;
		this.#expect(context.attempt === booked.restarts + 1, "the attempt counts the restarts");
		this.#expect(booked.starts++ <= booked.restarts, "a run for each restart, and one more");
		this.#expect(booked.outcome === undefined, "no run after the end");
		const worker = this.#live.get(context.worker)!;
		// Each worker has one task at a time, and the number of workers never exceeds the largest `max` so far.
		this.#expect(!worker.isBusy, "one task on a worker");
		worker.isBusy = true;
		// A worker that is abandoned with its task is destroyed.
		this.#expect([...this.#live.values()].filter(({ isBusy }) => isBusy).length <= 5, "no more than max");
		const leave = () => worker.isBusy = false;
		if (outcome === "throw") {
			leave();
			throw new Error("thrown");
		}
		return sleep(time, { clock: this.clock, signal: isPolite ? context.signal : undefined }).then(() => {
			if (outcome === "reject") throw new Error("rejected");
		}).finally(leave);
	}

	#expect(isKept: boolean, law: string): void {
		if (!isKept) this.#violations.push(law);
	}

	/** @param isAbrupt stops the pool during its work */
	async end(isAbrupt: boolean): Promise<void> {
		this.#inner = [];
		const isIdle = this.pool.wait();
		if (isAbrupt) this.pool.stop();
		else this.pool.resume();
		await this.clock.runUntilIdle(5000);
		expect(await isIdle).toBe(true);
		// No task is lost: each has a result after it ran, was canceled, or got no worker.
		for (const { outcome, starts, restarts } of this.booked) {
			expect(outcome).toBeDefined();
			expect(starts).toBeLessThanOrEqual(restarts + 1);
			if (outcome === "resolved") expect(starts).toBeGreaterThan(0);
		}
		expect(this.pool.tasks().size).toBe(0);
		const stopped = this.pool.stop();
		await this.clock.runUntilIdle(5000);
		await stopped;
		expect([this.#live.size, this.pool.workers().size, this.clock.pending]).toEqual([0, 0, 0]);
		expect(this.#destroyed).toBe(this.#made);
		expect(this.#violations).toEqual([]);
	}
}

describe("Pool", () => {
	test("keeps its laws under any sequence of spawn, run, cancel, resize, pause, and workers that fail and die", async () => {
		await fc.assert(
			fc.asyncProperty(
				fc.nat(2),
				fc.array(making, { minLength: 1, maxLength: 5 }).filter((makings) =>
					makings.some(({ isFailing }) => !isFailing)
				),
				fc.array(command, { maxLength: 40 }),
				fc.boolean(),
				async (min, makings, commands, isAbrupt) => {
					const bench = new Bench(min, makings);
					for (const command of commands) await bench.do(command);
					await bench.end(isAbrupt);
				},
			),
			{ numRuns: 300 },
		);
	});
});

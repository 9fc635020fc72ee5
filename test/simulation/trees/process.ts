// A simulated process with a processor of jobs that have children. Its calls of the store fail, are late or get no answer,
// and it dies at any of them.
import type { AnyJob } from "../../../mod.ts";
import type { Fault, StoreCall } from "../../../src/testing/testing.ts";
import type { JobShape } from "./shapes.ts";
import type { TreeWorld } from "./world.ts";
import { Processor, StoreError } from "../../../mod.ts";
import { faultyStore } from "../../../src/testing/testing.ts";
import { ProcessClock } from "../process-clock.ts";
import { define } from "./definitions.ts";
import { basket } from "./stored.ts";

export class TreeProcess {
	readonly name: string;
	readonly clock: ProcessClock;
	readonly processor: Processor;
	readonly jobs: ReadonlyMap<JobShape, AnyJob>;
	isAlive = true;
	readonly #world: TreeWorld;
	readonly #lease: number;
	#cutUntil = -Infinity;
	#controller: AbortController | undefined;

	/** @param shapes the jobs that it has: perhaps not all versions */
	constructor(world: TreeWorld, name: string, shapes: readonly JobShape[]) {
		this.#world = world;
		this.name = name;
		const { random, clock, profile } = world;
		this.#lease = random.pick([3_000, 6_000, 30_000]);
		this.clock = new ProcessClock(clock);
		this.jobs = define(shapes, (called, context) => world.perform(this, called, context));
		this.processor = new Processor({
			store: faultyStore(world.store, (call) => this.#plan(call), { clock }),
			name: basket,
			worker: name,
			jobs: [...this.jobs.values()] as never,
			concurrency: random.pick([1, 2, 5]),
			lease: this.#lease,
			grace: random.pick([0, 2_000]),
			crashes: profile.crashes,
			retain: 1e10,
			onError: (error) => world.onError(this, error),
			clock: this.clock,
		});
		this.work();
	}

	/** Begins to run jobs, or goes on. */
	work(): void {
		if (this.#controller !== undefined) return;
		const controller = this.#controller = new AbortController();
		this.processor.run({ signal: controller.signal }).then(() => this.#controller = undefined, (error) => {
			this.#world.fail(`${this.name} ended with ${error}`);
		});
	}

	stop(): void {
		this.#controller?.abort(new Error("stop"));
	}

	/** Ends like SIGKILL. */
	kill(): void {
		if (!this.isAlive) return;
		this.#world.trace(`${this.name} dies`);
		this.isAlive = false;
		this.clock.stop();
		this.#world.forget(this);
	}

	/** Cuts its line to the store for up to some leases. */
	cut(): void {
		this.#cutUntil = this.#world.clock.monotonic() + this.#lease * this.#world.random.pick([0.3, 1, 3]);
	}

	heal(): void {
		this.#cutUntil = -Infinity;
	}

	#plan({ member, phase }: StoreCall): Fault | undefined {
		const { random, clock, profile, isCalm } = this.#world;
		if (!this.isAlive) return { hang: true };
		if (isCalm || member === "open") return undefined;
		if (random.chance(profile.deaths)) {
			this.#world.trace(`${this.name} is about to die ${phase} ${member}`);
			this.kill();
			return { hang: true };
		}
		if (member === "watch") return random.chance(profile.lostWakes) ? { hang: true } : undefined;
		const error = new StoreError("unavailable", "simulated");
		if (this.#cutUntil > clock.monotonic()) return { delay: random.pick([0, 50]), error };
		if (random.chance(profile.slowness)) return { delay: random.pick([1, 20, 300, 2_000]) };
		if (random.chance(profile.errors)) return { error };
		return random.chance(profile.hangs) ? { hang: true } : undefined;
	}
}

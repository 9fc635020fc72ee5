// Schedules under random policies, sleeps of the machine, failures and crashes. The instants of each schedule must follow
// one another without a gap that its policy does not allow.
import { describe, expect, test } from "vitest";
import { Basket, type BasketContext, every, memoryStore } from "../../mod.ts";
import { VirtualClock } from "../../src/testing/testing.ts";
import fc from "../property.ts";
import { SpiedStore } from "./support.ts";
import { isNode } from "../support.ts";

type Missed = "once" | "all" | "skip" | number;

interface Run {
	readonly due: number;
	readonly missed: number;
	readonly attempt: number;
	readonly at: number;
}

/** A basket whose process can die: its store then never answers, before or after the next call. */
class Process {
	readonly #spied: SpiedStore;
	readonly #basket: Basket<object, never>;

	constructor(world: World) {
		this.#spied = new SpiedStore(world.store);
		const run = (_: unknown, { due, missed, attempt }: BasketContext) => {
			world.runs.push({ due: due!, missed, attempt, at: world.clock.now() });
			if (world.fails()) throw new Error("no");
		};
		const { clock, schedule, missed } = world;
		const ping = { run, every: schedule, missed, backoff: 7_000 };
		this.#basket = new Basket({ store: this.#spied.store, clock, tasks: { ping } });
		void this.#basket.run();
	}

	stop(): Promise<void> {
		return this.#basket.stop();
	}

	/** With `isAnswerLost`, its next call still takes effect. */
	die(isAnswerLost: boolean): void {
		const never = () => new Promise(() => {});
		let left = isAnswerLost ? 1 : 0;
		this.#spied.before = () => left-- > 0 ? undefined : never();
		this.#spied.after = never;
	}
}

class World {
	readonly clock: VirtualClock = new VirtualClock({ now: 1_000_000 });
	readonly store = memoryStore({ clock: this.clock, random: () => 0.5 });
	readonly runs: Run[] = [];
	readonly schedule;
	readonly missed: Missed;
	readonly #failures: readonly boolean[];

	constructor(period: number, isCalendar: boolean, missed: Missed, failures: readonly boolean[]) {
		const next = (after: number) => (Math.floor(after / period) + 1) * period;
		this.schedule = isCalendar ? every({ text: "calendar", next }) : every(period);
		this.missed = missed;
		this.#failures = failures;
	}

	fails(): boolean {
		return this.#failures[this.runs.length % this.#failures.length] ?? false;
	}
}

const steps = fc.array(
	fc.record({
		/** How long a process runs, then what becomes of it, and how long there is none. */
		up: fc.integer({ min: 0, max: 600_000 }),
		end: fc.constantFrom("stop", "die", "lose"),
		down: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 1_200_000 })),
	}),
	{ maxLength: 6 },
);

describe("schedules under random crashes", () => {
	test.each(["once", "all", "skip", 150_000] as const)(
		"no instant is lost or runs again after its end: %s",
		async (missed) => {
			await fc.assert(
				fc.asyncProperty(
					fc.integer({ min: 5, max: 120 }),
					fc.boolean(),
					fc.array(fc.boolean(), { maxLength: 7 }),
					steps,
					async (seconds, isCalendar, failures, steps) => {
						const period = seconds * 1_000;
						const world = new World(period, isCalendar, missed, failures.every((fails) => fails) ? [] : failures);
						for (const { up, end, down } of steps) {
							const process = new Process(world);
							await world.clock.advance(up);
							if (end === "stop") {
								const stopped = process.stop();
								await world.clock.advance(0);
								await stopped;
							} else process.die(end === "lose");
							await world.clock.advance(down);
						}
						const last = new Process(world);
						// A dead process's lease ends, and all that "all" has missed is done.
						await world.clock.advance(300_000 + 2 * period);
						const { runs } = world;
						const dues = runs.filter(({ due }, index) => due !== runs[index - 1]?.due);
						expect(dues.length).toBeGreaterThan(0);
						dues.forEach(({ due, missed: count, attempt, at }, index) => {
							const before = dues[index - 1]?.due ?? due - Math.max(1, count) * period;
							const passed = (due - before) / period;
							expect(Number.isInteger(passed) && passed > 0).toBe(true);
							if (missed === "once") expect(passed).toBe(Math.max(1, count));
							if (missed === "all") expect(passed).toBe(1);
							// A process may have died between the claim and the run: then this is another attempt.
							if (attempt > 1) return;
							if (missed === "all") expect(count).toBe(at - due > 60_000 ? 1 : 0);
							if (missed === "skip") expect(at - due <= 60_000).toBe(true);
							if (typeof missed === "number") expect(at - due <= missed).toBe(true);
						});
						const end = dues.at(-1)!;
						// A tick may take a minute with its retries, and a fast schedule is always as late as it may be.
						const late = missed === "all" ? Infinity : period + 120_000 + (typeof missed === "number" ? missed : 0);
						expect(world.clock.now() - end.due).toBeLessThan(late);
						const stopped = last.stop();
						await world.clock.advance(6_000);
						await stopped;
					},
				),
				{ numRuns: isNode ? 25 : 5 }, // workerd takes a millisecond for each macrotask
			);
		},
	);
});

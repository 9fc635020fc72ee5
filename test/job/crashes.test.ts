// A process may die at any moment: at each call to the store, before or after the store has done it.
import { describe, expect, test } from "vitest";
import { type Job, job, type JobOutcome, type JobStatus } from "../../mod.ts";
import { FakeTransaction, type Fault, Machine } from "./support.ts";

/** One that has died never comes back. */
type Death = "die before" | "die after";

/** What the steps of a job did, and whether each of them was allowed to. */
class Log {
	readonly entries: string[] = [];
	/** What was run although the store had its result already. */
	readonly faults: string[] = [];
	readonly machine: Machine;

	constructor(machine: Machine) {
		this.machine = machine;
	}

	/** A step runs only while its result is not stored, a revert only while the step is not reverted. */
	async effect(text: string, id: string, at: number, isRevert: boolean): Promise<void> {
		this.entries.push(text);
		const state = await this.machine.checkpoint(id);
		const isDue = state.isBackward === isRevert && state.at === at + (isRevert ? 1 : 0);
		// A step that was claimed and turned back in memory runs its revert before that is stored only at its own failure.
		if (!isDue) this.faults.push(`${text} at ${state.at} ${state.isBackward ? "backward" : "forward"}`);
	}

	/** In which order effects happened, however often in a row. */
	get order(): string[] {
		return this.entries.filter((entry, index) => entry !== this.entries[index - 1]);
	}
}

/** Jobs that between them go every way there is. */
const scenarios: Record<string, { make(log: Log): Job; status: JobStatus; order: string[]; signals?: string[] }> = {
	"completes": { make: (log) => steps(log, ["a"], ["b"], ["c"]), status: "completed", order: ["a", "b", "c"] },
	"is tried again": { make: (log) => steps(log, ["a", 1], ["b", 2]), status: "completed", order: ["a", "b"] },
	"is reverted": {
		make: (log) => steps(log, ["a"], ["b"], ["c", 9]),
		status: "reverted",
		order: ["a", "b", "c", "-b", "-a"],
	},
	"is reverted with retries": {
		make: (log) => steps(log, ["a", 0, 2], ["b", 0, 1], ["c", 9]),
		status: "reverted",
		order: ["a", "b", "c", "-b", "-a"],
	},
	"cannot be reverted": {
		make: (log) => steps(log, ["a"], ["b", 0, 9], ["c", 9]),
		status: "failed",
		order: ["a", "b", "c", "-b"],
	},
	"sleeps and waits": {
		make: (log) => (steps(log, ["a"]).sleep("s", 5_000).waitFor("w") as unknown as Job),
		status: "completed",
		order: ["a"],
		signals: ["w"],
	},
};

function steps(log: Log, ...definitions: [name: string, failures?: number, revertFailures?: number][]): Job {
	let result: Job = job("crashing");
	definitions.forEach(([name, failures = 0, revertFailures = 0], at) => {
		result = result.step(name, {
			attempts: 3,
			revertAttempts: 3,
			run: async ({ id, attempt }) => {
				await log.effect(name, id, at, false);
				if (attempt <= failures) throw new Error(name);
				return name;
			},
			revert: async ({ id, attempt, result }) => {
				await log.effect(`-${result}`, id, at, true);
				if (attempt <= revertFailures) throw new Error(name);
			},
		}) as unknown as Job;
	});
	return result;
}

/** Lets one process after the other die at its k-th call, and then one live; tells how it ended, and whether all died. */
async function live(name: string, deaths: readonly (readonly [number, Death])[]) {
	const machine = new Machine();
	const log = new Log(machine);
	const { make, signals = [] } = scenarios[name]!;
	const definition = make(log);
	const last = machine.processor([definition]);
	const id = await last.add(definition, undefined, { id: "x" });
	for (const signal of signals) await last.signal(id, signal, "value");
	let died = 0;
	for (const [k, death] of deaths) {
		const fault: Fault = (member, count) => {
			if (count !== k || member === "open") return undefined;
			died++;
			return death;
		};
		void machine.processor([definition], {}, fault).run();
		await machine.clock.advance(60_000);
	}
	const running = machine.start(last);
	await machine.clock.advance(120_000);
	await running.stop();
	return { log, outcome: await last.result(id) as JobOutcome, hasDied: died === deaths.length, machine };
}

describe("a job", () => {
	for (const [name, { status, order }] of Object.entries(scenarios)) {
		test(`${name}, wherever its process dies: no stored step runs again, no revert is skipped`, async () => {
			for (const death of ["die before", "die after"] as const) {
				for (let k = 1;; k++) {
					const { log, outcome, hasDied } = await live(name, [[k, death]]);
					expect([k, outcome?.status, log.order, log.faults]).toEqual([k, status, order, []]);
					if (!hasDied) break;
				}
			}
		});
	}

	for (const name of ["completes", "is reverted"]) {
		test(`${name}, wherever two processes die one after the other`, async () => {
			const { status, order } = scenarios[name]!;
			for (let first = 1; first < 9; first++) {
				for (let second = 1; second < 9; second++) {
					const deaths = [[first, "die before"], [second, "die after"]] as const;
					const { log, outcome } = await live(name, deaths);
					expect([first, second, outcome?.status, log.order, log.faults]).toEqual([first, second, status, order, []]);
				}
			}
		});
	}

	test("has the effect of a step exactly once that commits its result with it", async () => {
		for (const death of ["die before", "die after"] as const) {
			for (let k = 1;; k++) {
				const machine = new Machine();
				const effects: string[] = [];
				const committing =
					(name: string) => async ({ commit }: { commit: (tx: unknown, result?: unknown) => unknown }) => {
						const tx = new FakeTransaction();
						tx.push(() => void effects.push(name));
						await commit(tx, name);
						tx.commit();
					};
				const definition = job("once")
					.step("a", { run: committing("a"), revert: committing("-a") })
					.step("b", { run: committing("b"), revert: committing("-b") })
					.step("c", {
						run: () => {
							throw new Error("c");
						},
					});
				let hasDied = false;
				const last = machine.processor([definition]);
				const id = await last.add(definition);
				const dying = machine.processor([definition], {}, (member, count) => {
					if (count !== k || member === "open") return undefined;
					hasDied = true;
					return death;
				});
				void dying.run();
				await machine.clock.advance(60_000);
				const running = machine.start(last);
				await machine.clock.advance(60_000);
				await running.stop();
				expect([k, effects, (await last.result(id))?.status]).toEqual([k, ["a", "b", "-b", "-a"], "reverted"]);
				if (!hasDied) break;
			}
		}
	});
});

describe("many processors on one store", () => {
	for (const seed of [1, 2, 3]) {
		test(`with random failures and deaths: every job ends, and its effects agree with how (seed ${seed})`, async () => {
			await storm(seed, 10, 60);
		});
	}
});

/** Each death takes one processor away and brings another one. */
async function storm(seed: number, processors: number, jobs: number): Promise<void> {
	const machine = new Machine();
	let random = seed;
	const chance = (part: number) => {
		random = (random * 1_103_515_245 + 12_345) % 2_147_483_648;
		return random / 2_147_483_648 < part;
	};
	const effects = new Map<string, string[]>();
	const names = ["a", "b", "c", "d"];
	let definition: Job = job("storm");
	for (const name of names) {
		const attempt = (text: string, id: string, failing: number) => {
			// Three of the jobs go each its own way for certain.
			const ways = { one: [], two: ["d"], three: ["d", "-b"] }[id] as string[] | undefined;
			if (ways?.includes(text) ?? chance(failing)) throw new Error(text);
			const list = effects.get(id) ?? [];
			if (list.at(-1) !== text) effects.set(id, [...list, text]);
			return text;
		};
		definition = definition.step(name, {
			attempts: 2,
			revertAttempts: 3,
			backoff: 500,
			run: ({ id }) => attempt(name, id, 0.3),
			revert: ({ id }) => attempt(`-${name}`, id, 0.5),
		}) as unknown as Job;
	}
	const start = () => {
		let isDead = false;
		const fault: Fault = () => {
			if (isDead || !chance(0.01)) return undefined;
			isDead = true;
			void Promise.resolve().then(start);
			return chance(0.5) ? "die before" : "die after";
		};
		void machine.processor([definition], { concurrency: 3, lease: 5_000 }, fault).run();
	};
	const observer = machine.processor([definition]);
	const ids: string[] = [];
	for (let index = 0; index < jobs; index++) {
		const id = ["one", "two", "three"][index];
		ids.push(await observer.add(definition, undefined, { id }));
	}
	for (let index = 0; index < processors; index++) start();
	let isOver = false;
	for (let round = 0; round < 200 && !isOver; round++) {
		await machine.clock.advance(5_000);
		isOver = (await machine.memory.counts("jobs")).done === jobs;
	}
	const ends = new Set<string>();
	for (const id of ids) {
		const outcome = (await observer.result(id))!;
		ends.add(outcome.status);
		expect(isConsistent(names, effects.get(id) ?? [], outcome)).toBe(true);
	}
	expect(ends).toEqual(new Set(["completed", "reverted", "failed"]));
}

/** Forward to some step, then backward over those whose results are stored: all of them, or down to the ones left. */
function isConsistent(names: string[], effects: string[], { status, results, unreverted }: JobOutcome): boolean {
	const done = Object.keys(results);
	const left = new Set(unreverted);
	const reverted = done.filter((name) => !left.has(name)).reverse().map((name) => `-${name}`);
	const expected = status === "completed" ? names : [...done, ...reverted];
	// A step may have had its effect, crashed, and then been given up.
	const list = effects.filter((effect) => effect.startsWith("-") || done.includes(effect));
	// And so may a revert have, that counts as not done.
	return expected.every((effect, index) => effect === list[index]) && list.length <= expected.length + 1;
}

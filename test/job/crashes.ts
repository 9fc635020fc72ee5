// Processes that die at each call of the store, before or after its effect.
import { afterAll, describe, expect, test } from "vitest";
import { type AnyJob, type Job, job, type JobOutcome, type JobStatus, type StepContext } from "../../mod.ts";
import type { OpenDatabase } from "./database.ts";
import { type Fault, type Machine, once, type Process, withMachines } from "./support.ts";

/** A dead process never returns. */
type Death = "die before" | "die after";

/** The effects of the steps of a job, with a check that each effect was allowed. */
class Log {
	readonly entries: string[] = [];
	/** Runs of steps whose result was already stored. */
	readonly faults: string[] = [];
	readonly machine: Machine;

	constructor(machine: Machine) {
		this.machine = machine;
	}

	/** Logs an effect. A step may run only while its result is not stored, a revert only while the step is not reverted. */
	async effect(text: string, id: string, at: number, isRevert: boolean): Promise<void> {
		this.entries.push(text);
		const state = await this.machine.checkpoint(id);
		const isDue = state.isBackward === isRevert && state.at === at + (isRevert ? 1 : 0);
		// Only after its own failure may a step run its revert before the change of direction is stored.
		if (!isDue) this.faults.push(`${text} at ${state.at} ${state.isBackward ? "backward" : "forward"}`);
	}

	/** The order of the effects, without repetitions. */
	get order(): string[] {
		return this.entries.filter((entry, index) => entry !== this.entries[index - 1]);
	}
}

/** Jobs that together cover every path. */
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

/**
 * Creates a job whose effects are committed together with their results.
 *
 * @param rollbacks the number of attempts of each step and revert that write their effect and then roll back
 */
function committing(process: Process, rollbacks: number): Job {
	const committed = (line: string) => async ({ attempt, commit }: StepContext<unknown, unknown, unknown>) => {
		await process.write(line, async (tx) => {
			await commit(tx, line);
			if (attempt <= rollbacks) throw new Error("rolled back");
		});
	};
	const step = (name: string) => ({ attempts: 2, run: committed(name), revert: committed(`-${name}`) });
	const fail = () => {
		throw new Error("c");
	};
	return job<undefined, unknown>("once").step("a", step("a")).step("b", step("b")).step("c", {
		run: fail,
	}) as unknown as Job;
}

/**
 * Lets one process after the other die at its k-th call. The next process survives. Returns the outcome, and whether
 * all of the others died.
 */
async function live(
	machine: Machine,
	make: (process: Process) => AnyJob,
	deaths: readonly (readonly [number, Death])[],
	signals: readonly string[] = [],
) {
	const process = machine.process();
	const definition = make(process);
	const last = process.processor([definition]);
	const { id } = await last.add(definition, undefined, { id: "x" });
	for (const signal of signals) await last.signal(id, signal, "value");
	let died = 0;
	for (const [k, death] of deaths) {
		const fault: Fault = (member, count) => {
			if (count !== k || member === "open") return undefined;
			died++;
			return death;
		};
		const dying = machine.process(fault);
		void dying.processor([make(dying)]).run();
		await machine.advance(60_000);
	}
	const running = machine.start(last);
	await machine.advance(120_000);
	await running.stop();
	const { status } = await last.result(id) as JobOutcome;
	return { status, hasDied: died === deaths.length };
}

/** Options of the tests for a store. */
export interface CrashSuiteOptions {
	/**
	 * The distance between the calls at which processes die, for a slow store. The reverted job, which makes every
	 * kind of call except for a commit, still dies before and after each call. The other jobs, which differ in their
	 * waits, die only at each `stride`-th call, with different calls for deaths before and after. @default 1
	 */
	readonly stride?: number;
}

/** @param name the name of the store in the titles */
export function testCrashes(name: string, open: OpenDatabase, { stride = 1 }: CrashSuiteOptions = {}): void {
	describe(`a job on ${name}`, () => {
		const opening = once(open);
		afterAll(() => opening.close());
		const register = (title: string, body: (make: () => Promise<Machine>) => Promise<void>) =>
			test(title, () => withMachines(opening.get, body), 60_000);

		for (const [title, { make, status, order, signals }] of Object.entries(scenarios)) {
			const every = title === "is reverted" ? 1 : stride;
			register(`${title}, wherever its process dies: no stored step runs again, no revert is skipped`, async (open) => {
				await everywhere(every, async (k, death) => {
					const machine = await open();
					const log = new Log(machine);
					const { hasDied, ...ended } = await live(machine, () => make(log), [[k, death]], signals);
					expect([k, death, ended.status, log.order, log.faults]).toEqual([k, death, status, order, []]);
					return hasDied;
				});
			});
		}

		for (const title of ["completes", "is reverted"]) {
			const { make, status, order } = scenarios[title]!;
			register(`${title}, wherever two processes die one after the other`, async (open) => {
				for (let first = 1; first < 9; first++) {
					for (let second = 1; second < 9; second++) {
						if (stride > 1 && (first + 3 * second) % 8 !== 0) continue; // each call once
						const machine = await open();
						const log = new Log(machine);
						const ended = await live(machine, () => make(log), [[first, "die before"], [second, "die after"]]);
						const seen = [first, second, ended.status, log.order, log.faults];
						expect(seen).toEqual([first, second, status, order, []]);
					}
				}
			});
		}

		for (const rollbacks of [0, 1]) {
			const title = rollbacks > 0 ? ", also if the first attempt of each rolls back" : "";
			register(
				`has the effect of a step and a revert exactly once that commits its result with it${title}`,
				async (open) => {
					await everywhere(rollbacks > 0 ? 2 * stride - 1 : Math.ceil(stride / 3), async (k, death) => {
						const machine = await open();
						const { status, hasDied } = await live(machine, (process) => committing(process, rollbacks), [[k, death]]);
						expect([k, death, await machine.lines(), status]).toEqual([k, death, ["a", "b", "-b", "-a"], "reverted"]);
						return hasDied;
					});
				},
			);
		}
	});
}

/**
 * Makes a process die before and after each call of the store until it makes no further call.
 *
 * @param stride the distance between the visited calls, which differ for deaths before and after
 */
async function everywhere(stride: number, visit: (k: number, death: Death) => Promise<boolean>): Promise<void> {
	for (const [index, death] of (["die before", "die after"] as const).entries()) {
		for (let k = 1 + index % stride; await visit(k, death); k += stride);
	}
}

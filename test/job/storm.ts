// Many processors on one store. Steps fail, hang and time out, processes die, and jobs are canceled. Each job must
// end in one of its three states, and the effects of its steps must agree with this state.
import { expect, test } from "vitest";
import { type Job, job, type JobOutcome, type RevertContext, type StepContext } from "../../mod.ts";
import { Random } from "../simulation/random.ts";
import type { Database, OpenDatabase } from "./database.ts";
import { type Fault, Machine, type Process } from "./support.ts";

/** The effect of a step or a revert. */
interface Effect {
	readonly id: string;
	readonly step: string;
	readonly isRevert: boolean;
	/** The number of the attempt among all attempts, which gives the order within a job. */
	readonly n: number;
	/** All of these fields. The result of a step is the token of its successful attempt. */
	readonly token: string;
}

const plan = ["a", "b", "nap", "c", "d"];
const steps = ["a", "b", "c", "d"];
/** This step commits its results and its reverts, so that they exist exactly once. */
const committing = "b";
const withoutRevert = "c";

interface StormOptions {
	readonly seed: number;
	readonly processors: number;
	readonly jobs: number;
}

/** The outcomes of the jobs, and the number of dead processes. */
interface StormReport {
	readonly ends: Readonly<Record<JobOutcome["status"], number>>;
	readonly deaths: number;
}

/** @param name the name of the store in the title */
export function testStorm(name: string, open: OpenDatabase, jobs = 1_000, processors = 50): void {
	const title = `${jobs} jobs on ${name}, ${processors} processors that die: each ends in one way, as its effects say`;
	test(title, async () => {
		const database = await open();
		try {
			const { ends, deaths } = await storm(database, { seed: 1, processors, jobs });
			for (const count of Object.values(ends)) expect(count).toBeGreaterThanOrEqual(jobs / 100);
			expect(deaths).toBeGreaterThan(jobs / 20);
		} finally {
			await database.close();
		}
	}, 120_000);
}

/** Resolves when all jobs have ended. Rejects if a job does not end, or has a wrong outcome. */
async function storm(database: Database, options: StormOptions): Promise<StormReport> {
	const machine = new Machine(database);
	await database.setTime?.(machine.clock.now());
	await machine.store.open();
	try {
		return await new Storm(machine, options).run();
	} finally {
		machine.close();
	}
}

class Storm {
	readonly #machine: Machine;
	readonly #options: StormOptions;
	readonly #random: Random;
	readonly #effects: string[] = [];
	/** Steps that ran too late or too early. */
	readonly #faults: string[] = [];
	#tokens = 0;
	#deaths = 0;
	/** The probability that a process dies at a call of the store. */
	#danger = 0.01;

	constructor(machine: Machine, options: StormOptions) {
		this.#machine = machine;
		this.#options = options;
		this.#random = new Random(options.seed);
	}

	async run(): Promise<StormReport> {
		const { jobs, processors } = this.#options;
		const observer = this.#machine.process();
		const definition = this.#define(observer);
		const processor = observer.processor([definition]);
		const ids: string[] = [];
		for (let index = 0; index < jobs; index++) {
			// Some jobs kill their process at each run.
			const id = index % 200 === 100 ? `poison-${index}` : `job-${index}`;
			const delay = 1_000 * this.#random.below(30);
			ids.push((await processor.add(definition, undefined, { id, delay })).id);
		}
		for (let index = 0; index < processors; index++) this.#start();
		for (let round = 0; round < 100; round++) {
			await this.#machine.advance(5_000);
			if ((await this.#machine.store.counts(this.#machine.name)).done === jobs) break;
			if (round > 40) this.#danger = 0;
			else for (let count = 0; count < 3; count++) await processor.cancel(this.#random.pick(ids));
		}
		const ends = { completed: 0, reverted: 0, failed: 0 };
		const effects = groupById([...this.#effects, ...await this.#machine.lines()]);
		for (const id of ids) {
			const outcome = await processor.result(id);
			if (outcome !== undefined) ends[outcome.status]++;
			const done = effects.get(id) ?? [];
			const problem = outcome === undefined ? "has not ended" : problemOf(outcome, done);
			const text = () => `${done.map(({ token }) => token)} ${JSON.stringify(outcome)}`;
			if (problem !== undefined) this.#faults.push(`${id}: ${problem}: ${text()}`);
		}
		expect(this.#faults).toEqual([]);
		return { ends, deaths: this.#deaths };
	}

	/** Starts a processor. A new one replaces each dead one. */
	#start(): void {
		const fault: Fault = () => {
			if (!this.#random.chance(this.#danger)) return undefined;
			return this.#random.chance(0.5) ? "die before" : "die after";
		};
		const process = this.#machine.process(fault);
		process.onDeath = () => {
			this.#deaths++;
			queueMicrotask(() => this.#start());
		};
		void process.processor([this.#define(process)], { concurrency: 3, lease: 5_000, crashes: 3 }).run();
	}

	#define(process: Process): Job {
		const options = (name: string) => ({
			attempts: 3,
			revertAttempts: 3,
			backoff: 500,
			timeout: 1_000,
			abandonAfter: 500,
			run: (context: StepContext<unknown, unknown, unknown>) => this.#act(process, name, false, context),
			...(name === withoutRevert ? {} : {
				revert: (context: RevertContext<unknown, unknown, unknown, unknown>) => this.#act(process, name, true, context),
			}),
		});
		return job<undefined, unknown>("storm").step("a", options("a")).step("b", options("b")).sleep("nap", 2_000)
			.step("c", options("c")).step("d", options("d")) as unknown as Job;
	}

	/** Performs an attempt, which succeeds, fails before or after its effect, hangs, or takes too long. */
	async #act(
		process: Process,
		step: string,
		isRevert: boolean,
		context: StepContext<unknown, unknown, unknown>,
	): Promise<string> {
		const { id, signal, commit } = context;
		const { at, isBackward } = await this.#machine.checkpoint(id);
		if (process.isDead) return await new Promise(() => {});
		if (isBackward !== isRevert || at !== plan.indexOf(step) + Number(isRevert)) {
			this.#faults.push(`${id} runs ${isRevert ? "-" : ""}${step} at ${at} ${isBackward ? "backward" : "forward"}`);
		}
		if (step === "c" && id.startsWith("poison")) process.die();
		const token = `${id} ${isRevert ? "-" : ""}${step} ${++this.#tokens}`;
		const end = this.#random.weighted({ right: 55, fails: 15, late: 15, times: 8, hangs: 7 });
		if (end === "hangs" || process.isDead) return await new Promise(() => {});
		if (end === "times") {
			await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
		}
		if (end === "fails") throw new Error("before");
		if (step === committing) {
			await process.write(token, async (tx) => {
				await commit(tx, token);
				if (end === "late") throw new Error("rolled back");
			});
			if (this.#random.chance(0.1)) throw new Error("after the commit");
			return "another result";
		}
		this.#effects.push(token);
		if (end === "late") throw new Error("after");
		return token;
	}
}

function groupById(tokens: readonly string[]): Map<string, Effect[]> {
	const effects = tokens.map((token) => {
		const [id, text, n] = token.split(" ") as [string, string, string];
		return { id, step: text.at(-1)!, isRevert: text.startsWith("-"), n: Number(n), token };
	});
	const groups = new Map<string, Effect[]>();
	for (const effect of effects.sort((a, b) => a.n - b.n)) {
		groups.set(effect.id, [...groups.get(effect.id) ?? [], effect]);
	}
	return groups;
}

/** Returns the problem of the outcome of a job with these effects, in this order. */
function problemOf({ status, error, revertError, results, unreverted }: JobOutcome, effects: readonly Effect[]) {
	const done = steps.filter((step) => step in results);
	const forward = effects.filter(({ isRevert }) => !isRevert);
	const backward = effects.filter(({ isRevert }) => isRevert);
	const revertible = done.filter((step) => step !== withoutRevert).reverse();
	const reverted = revertible.slice(0, revertible.length - unreverted.length);
	const last = (step: string) => forward.findLast((effect) => effect.step === step)?.token;
	const isInOrder = (list: readonly Effect[], order: readonly string[]) =>
		list.every(({ step }, index) => order.indexOf(step) >= order.indexOf(list[index - 1]?.step ?? step));
	const times = (list: readonly Effect[]) => list.filter(({ step }) => step === committing).length;
	const rules: Record<string, boolean> = {
		"a step is missing before one that was done": done.every((step, index) => step === steps[index]),
		"the result is not from the step's last effect": done.every((step) => results[step] === last(step)),
		"a step ran out of order": isInOrder(forward, steps),
		"a step ran before its time": forward.every(({ step }) => steps.indexOf(step) <= done.length),
		"a step ran after a revert": forward.every(({ n }) => backward.every((effect) => effect.n > n)),
		"an effect that was committed is there twice, or lost": times(forward) === Number(done.includes(committing)),
		"the same of a revert": times(backward) === Number(status !== "completed" && reverted.includes(committing)),
		"completed is not all": status !== "completed" || done.length === steps.length && backward.length === 0,
		"its errors do not fit": (status === "completed") === (error === undefined) &&
			(status === "failed") === (revertError !== undefined),
		"unreverted is not what is left": unreverted.join() === revertible.slice(reverted.length).join() &&
			(status === "failed") === (unreverted.length > 0),
		"a revert was skipped": status === "completed" ||
			reverted.every((step) => backward.some((effect) => effect.step === step)),
		"a revert ran out of order": isInOrder(backward, revertible),
		// The first remaining revert may have had its effect and then failed or crashed.
		"a revert ran before its time": backward.every(({ step }) => revertible.indexOf(step) <= reverted.length) &&
			backward.every(({ step }) => revertible.includes(step)),
	};
	return Object.keys(rules).find((rule) => !rules[rule]);
}

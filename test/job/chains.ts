// Chains of random shape with branches, whose processes die at random calls of the store and in their steps. What they do is
// a function of a seed, so that it can be compared with a run in which nothing goes wrong.
import { type Job, job, later, retryAfter, sleep, type StepContext } from "../../mod.ts";
import { Random } from "../simulation/random.ts";
import type { Database } from "./database.ts";
import type { Process } from "./support.ts";
import { tryWorlds, World } from "./world.ts";

/** How a step behaves. */
interface How {
	readonly name: string;
	readonly attempts: number;
	/** The number of attempts that fail. */
	readonly failures: number;
	readonly hint: "none" | "retryAfter" | "later";
	/** -1 for a function that returns at once. */
	readonly duration: number;
	/** Whether it writes a line in a transaction. */
	readonly commits: boolean;
	readonly revertFailures: number | undefined;
}

type Part =
	| { readonly type: "step"; readonly how: How }
	| { readonly type: "sleep"; readonly name: string; readonly duration: number }
	| { readonly type: "wait"; readonly name: string }
	| { readonly type: "all"; readonly name: string; readonly branches: readonly How[] };

class Shape {
	readonly parts: readonly Part[];
	readonly #random: Random;
	/** Of two steps that fail, either may be the reason. */
	#mayFail = true;
	#names = 0;

	constructor(seed: number) {
		this.#random = new Random(seed);
		this.parts = Array.from({ length: 1 + this.#random.below(4) }, () => this.#part());
	}

	#part(): Part {
		const random = this.#random;
		const type = random.weighted({ step: 2, sleep: 0.7, wait: 0.5, all: 4 });
		if (type === "step") return { type, how: this.#how(type) };
		const name = `${type}${++this.#names}`;
		if (type === "sleep") return { type, name, duration: random.pick([0, 5, 1_000, 60_000]) };
		if (type === "wait") return { type, name };
		return { type, name, branches: Array.from({ length: 1 + random.below(4) }, () => this.#how("branch")) };
	}

	#how(type: string): How {
		const random = this.#random;
		const attempts = random.pick([1, 1, 2, 3]);
		const isDoomed = this.#mayFail && random.chance(0.12);
		this.#mayFail &&= !isDoomed;
		return {
			name: `${type}${++this.#names}`,
			attempts,
			failures: isDoomed ? attempts : random.below(attempts),
			hint: random.pick(["none", "none", "none", "retryAfter", "later"]),
			duration: random.pick([-1, 0, 0, 10, 2_000, 40_000]),
			commits: random.chance(0.25),
			revertFailures: random.chance(0.6) ? random.pick([0, 0, 1]) : undefined,
		};
	}
}

interface Event {
	readonly what: "start" | "revert" | "reverted";
	readonly name: string;
	/** Whether its result was stored. */
	readonly isStored: boolean;
}

class ChainWorld extends World {
	readonly shape: Shape;
	readonly #events: Event[] = [];

	constructor(database: Database, seed: number, danger: number) {
		super(database, seed, danger);
		this.machine.patience = 4;
		this.shape = new Shape(seed);
	}

	protected override get signals(): readonly string[] {
		return this.shape.parts.filter((part) => part.type === "wait").map(({ name }) => name);
	}

	protected override define(process: Process): Job {
		let chain = job<undefined, unknown>("random") as unknown as Job<undefined, object, unknown, object, unknown>;
		for (const part of this.shape.parts) {
			const next = part.type === "step"
				? chain.step(part.how.name, this.#step(part.how, process))
				: part.type === "sleep"
				? chain.sleep(part.name, part.duration)
				: part.type === "wait"
				? chain.waitFor(part.name)
				: chain.all(part.name, Object.fromEntries(part.branches.map((how) => [how.name, this.#step(how, process)])));
			chain = next as unknown as typeof chain;
		}
		return chain as unknown as Job;
	}

	async #note(process: Process, what: Event["what"], step: string): Promise<void> {
		if (process.isDead) return;
		const { plan } = await this.machine.head("job");
		const log = (await this.machine.log("job")).map(({ data }) => JSON.parse(data as string));
		const isStored = log.some(({ at, isRevert = false }) => plan[at] === step && isRevert === (what !== "start"));
		this.#events.push({ what, name: step, isStored });
	}

	#step(how: How, process: Process) {
		const { name, attempts, failures, hint, duration, commits, revertFailures } = how;
		const run = async (context: StepContext<unknown, unknown, unknown>) => {
			await this.survive(process);
			await this.#note(process, "start", context.step);
			const { clock } = this.machine;
			if (duration >= 0) await sleep(duration, { clock, signal: context.signal });
			await this.survive(process);
			if (hint === "later" && this.putsOff(name)) throw later(3_000);
			const error = new Error(`${name} ${context.attempt}`);
			if (context.attempt <= failures) throw hint === "retryAfter" ? retryAfter(500, error) : error;
			if (commits) await this.write(process, name, (tx) => context.commit(tx, `${name}!`));
			return `${name}!`;
		};
		if (revertFailures === undefined) return { attempts, run };
		const revert = async (
			context: StepContext<unknown, unknown, unknown> & { readonly result: unknown },
		) => {
			await this.survive(process);
			if (context.result !== `${name}!`) throw new Error(`a wrong result of ${name}: ${String(context.result)}`);
			await this.#note(process, "revert", context.step);
			if (context.attempt <= revertFailures) throw new Error("not yet");
			if (commits) await this.write(process, `-${name}`, (tx) => context.commit(tx));
		};
		return { attempts, run, revert };
	}

	override async problem(): Promise<string | undefined> {
		const { machine } = this;
		const processor = machine.process().processor([this.define(machine.process())]);
		const outcome = await processor.result("job");
		if (outcome === undefined) return `it has not ended: ${JSON.stringify(await processor.get("job"))}`;
		const again = this.#events.find(({ isStored }) => isStored);
		if (again !== undefined) return `the ${again.what} of ${again.name} runs again after its result was stored`;
		const { plan } = await machine.head("job");
		const log: { at: number; isRevert?: true }[] = (await machine.log("job")).map(({ data }) =>
			JSON.parse(data as string)
		);
		const done = log.filter(({ isRevert }) => !isRevert).map(({ at }) => at);
		if (new Set(done).size < done.length) return "a step is stored twice";
		const hows = this.shape.parts.flatMap((part): { name: string; how?: How }[] =>
			part.type === "step"
				? [{ name: part.how.name, how: part.how }]
				: part.type === "all"
				? part.branches.map((how) => ({ name: JSON.stringify([part.name, how.name]), how }))
				: [{ name: part.name }]
		);
		if (JSON.stringify(hows.map(({ name }) => name)) !== JSON.stringify(plan)) return "another plan";
		const isRevertible = (at: number) => hows[at]!.how?.revertFailures !== undefined;
		const wanted = outcome.status === "completed" ? [] : done.filter(isRevertible).sort((one, other) => other - one);
		const reverted = log.filter(({ isRevert }) => isRevert).map(({ at }) => at);
		if (JSON.stringify(reverted) !== JSON.stringify(wanted)) {
			return `the ${outcome.status} job has reverted ${reverted} instead of ${wanted}`;
		}
		if (outcome.status === "completed" && done.length < plan.length) return "a step was left out";
		const commits = (at: number) => hows[at]!.how?.commits;
		const lines = [...done.filter(commits), ...reverted.filter(commits).map((at) => -1 - at)]
			.map((at) => at < 0 ? `-${hows[-1 - at]!.how!.name}` : hows[at]!.how!.name).sort();
		const written = (await machine.lines()).sort();
		return JSON.stringify(written) === JSON.stringify(lines) ? undefined : `${written} are written instead of ${lines}`;
	}
}

/** Returns what is wrong with the seed, if anything is. */
export async function tryChain(
	open: () => Promise<Database>,
	seed: number,
	danger: number,
): Promise<string | undefined> {
	const create = (database: Database, danger: number) => new ChainWorld(database, seed, danger);
	const problem = await tryWorlds(open, create, danger, () => true);
	return problem && `seed ${seed}, ${problem}`;
}

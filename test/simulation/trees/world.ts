// The world of processes that run jobs with children, and what must hold when a function is called.
import type { FlowStepContext, Store } from "../../../mod.ts";
import type { VirtualClock } from "../../../src/testing/testing.ts";
import type { Random } from "../random.ts";
import type { Called } from "./definitions.ts";
import type { TreeProcess } from "./process.ts";
import { branchOf } from "../../../src/job/branch-name.ts";
import { groupAt } from "../../../src/job/groups.ts";
import { partsOf } from "../../../src/job/version.ts";
import { sleep, stopNow } from "../../../mod.ts";
import { childrenProblem } from "./judge.ts";
import { type JobShape, makeShapes, placesOf } from "./shapes.ts";
import { Tracing } from "../tracing.ts";
import { childrenOf, namesOf, type Node, readNode } from "./stored.ts";

const behaviours = {
	"succeed": 8,
	"take its time": 5,
	"fail": 2,
	"fail late": 1,
	"give up": 0.5,
	"hang": 0.4,
	"die": 0,
};

export interface TreeProfile {
	readonly processes: number;
	readonly steps: number;
	readonly roots: number;
	readonly crashes: number;
	readonly deaths: number;
	readonly errors: number;
	readonly slowness: number;
	readonly hangs: number;
	readonly lostWakes: number;
	readonly behaviours: typeof behaviours;
}

/** A call of a function that has succeeded, or its token before that. */
export interface TreeCall extends Called {
	readonly id: string;
	/** That of the run of the job in which it was called. */
	readonly uid: string;
	readonly token: string;
	hasSucceeded: boolean;
}

export class TreeWorld extends Tracing {
	readonly random: Random;
	/** The store without faults. */
	readonly store: Store<never>;
	readonly profile: TreeProfile;
	readonly shapes: readonly JobShape[];
	readonly processes: TreeProcess[] = [];
	/** The calls by their tokens. */
	readonly calls: Map<string, TreeCall> = new Map();
	/** The ids of the jobs that were deleted by hand. */
	readonly deleted: Set<string> = new Set();
	isCalm = false;
	operations = 0;

	constructor(random: Random, clock: VirtualClock, store: Store<never>, onTrace?: (line: string) => void) {
		super(clock, onTrace);
		this.random = random;
		this.profile = makeProfile(random);
		this.shapes = makeShapes(random);
		// Children are then added in several parts.
		const maxAdd = random.pick([1, 2, 3, undefined]);
		this.store = { ...this.#traced(store), capabilities: { ...store.capabilities, maxAdd } };
	}

	/** Traces what happens to the tasks. */
	#traced(store: Store<never>): Store<never> {
		return {
			...store,
			turn: async (name, turn) => {
				const result = await store.turn(name, turn);
				this.operations++;
				turn.settle.forEach(({ ref, outcome: { type } }, index) => {
					this.trace(`${ref.id} is settled as ${type}: ${result.settled[index]}`);
				});
				for (const { id, crashes } of result.claims) {
					this.trace(`${id} is claimed for ${turn.lease}, crashes ${crashes}`);
				}
				return result;
			},
		};
	}

	forget(process: TreeProcess): void {
		this.processes.splice(this.processes.indexOf(process), 1);
	}

	onError({ name }: TreeProcess, error: unknown): void {
		const { message, errors = [error] } = error as AggregateError;
		this.trace(`${name} reports ${message}`);
		const isExpected = errors.every(({ name }) => name === "StoreError" || name === "ClaimLostError");
		if (!isExpected) this.fail(`${name} reports ${error}`);
	}

	/** Does what a step or its revert does. */
	async perform(
		process: TreeProcess,
		called: Called,
		{ id, signal, attempt }: Pick<FlowStepContext, "id" | "signal" | "attempt">,
	): Promise<string> {
		const { random } = this;
		const { clock } = process;
		const what = `${process.name} ${called.isRevert ? "reverts" : "runs"} ${called.step} of ${id}`;
		const node = await readNode(this.store, id);
		await this.#alive(process);
		if (signal.aborted) throw signal.reason;
		const problem = node === undefined ? this.#goneProblem() : await this.#callProblem(node, called).catch(String);
		await this.#alive(process);
		if (problem !== undefined && !signal.aborted) this.fail(`${what}, ${problem}`);
		const token = `${called.isRevert ? "-" : ""}${called.step} ${this.calls.size + 1}`;
		const call: TreeCall = { ...called, id, uid: node?.state.uid ?? "", token, hasSucceeded: false };
		this.calls.set(token, call);
		const behaviour = this.isCalm ? "succeed" : random.weighted(this.profile.behaviours);
		this.trace(`${what} begins, attempt ${attempt}: ${behaviour}`);
		const delay = random.pick([1, 300, 5_000, 20_000]);
		const error = new Error(`${token} has failed`);
		if (behaviour === "die") process.kill();
		if (behaviour === "take its time") await sleep(delay, { clock, signal: random.chance(0.7) ? signal : undefined });
		if (behaviour === "fail late") await sleep(delay, { clock });
		if (behaviour === "hang") await sleep(1_000_000, { clock, signal });
		await this.#alive(process);
		if (behaviour === "give up") throw stopNow(error);
		if (behaviour === "fail" || behaviour === "fail late") throw error;
		this.trace(`${what} has succeeded`);
		call.hasSucceeded = true;
		return token;
	}

	/** A job is gone only if somebody has deleted it, or the one above it. */
	#goneProblem(): string | undefined {
		return this.deleted.size > 0 ? undefined : "which is gone";
	}

	/** Does not resolve in a process that has died. */
	async #alive({ isAlive }: TreeProcess): Promise<void> {
		if (!isAlive) await new Promise(() => {});
	}

	/** Returns what forbids the call, as far as the store knows. */
	async #callProblem(node: Node, { shape, step, isRevert, result }: Called): Promise<string | undefined> {
		const { task, state } = node;
		const before = isRevert ? this.calls.get(result as string) : undefined;
		if (isRevert && (before?.uid !== state.uid || before.step !== step || !before.hasSucceeded)) {
			return `with the result ${result}, which is not its`;
		}
		if (state.status !== undefined) return `which is ${state.status}`;
		if (state.isBackward !== isRevert) return `which goes ${state.isBackward ? "backward" : "forward"}`;
		if (task.parent !== undefined) {
			const parent = await readNode(this.store, task.parent);
			if (parent?.state.status !== undefined && parent.task.state !== "running") {
				return `and its parent ${task.parent} is ${parent.state.status}`;
			}
		}
		if (shape.isFlow) {
			const { done, reverted } = namesOf(state.records);
			return (isRevert ? reverted : done).includes(step) ? "which is stored already" : undefined;
		}
		const at = state.plan.indexOf(step);
		if ((isRevert ? node.reverted : node.done).includes(at)) return "which is stored already";
		const isNext = () => branchOf(step) === undefined ? state.at === at : groupAt(state.plan, at).includes(state.at);
		if (isRevert ? !node.done.includes(at) : !isNext()) return `at ${state.at}, done ${node.done}`;
		// The job of an item has no children.
		if (partsOf(task.kind).itemOf !== undefined) return undefined;
		const children = await childrenOf(this.store, task.id);
		return placesOf(shape).map(({ part }, place) =>
			place === at ? undefined : childrenProblem(this, { node, children, part, place, isPassed: place < at })
		).find((problem) => problem !== undefined);
	}
}

function makeProfile(random: Random): TreeProfile {
	const sometimes = (value: number) => random.chance(0.5) ? value : 0;
	const isMerciless = random.chance(0.5);
	return {
		processes: 1 + random.below(3),
		steps: 40 + random.below(40),
		roots: 1 + random.below(5),
		crashes: random.pick([2, 10, Infinity]),
		deaths: isMerciless ? random.pick([0, 0.005, 0.02]) : 0,
		errors: sometimes(0.04),
		slowness: sometimes(0.05),
		hangs: sometimes(0.01),
		lostWakes: random.pick([0, 0, 0.2, 1]),
		behaviours: { ...behaviours, "die": isMerciless ? 0.5 : 0, "fail": random.pick([0.3, 2]) },
	};
}

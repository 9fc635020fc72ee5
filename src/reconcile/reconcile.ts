/**
 * A control loop: it asks a plan what is left to do, does it, and asks again until nothing is left.
 *
 * Use {@link reconcile} to bring something to a declared state, where what is left to do can be seen from how things are:
 * it survives being interrupted, since it looks again. Use `run` to try one task until it succeeds.
 *
 * @module
 */

import { run } from "../run/run.ts";
import { unwrap } from "../run/task.ts";
import { check, checkDelay, checkFunction, checkLimit } from "../platform/check.ts";
import { checkClock, type Clock, sleep } from "../platform/clock.ts";
import { nameOf } from "../platform/error-name.ts";
import { observe, type OnError } from "../platform/observe.ts";

/** What the functions of a plan are told. */
export interface PlanContext {
	/** Aborts when the reconcile is aborted, and when its `deadline` has passed. */
	readonly signal: AbortSignal;
}

/** Says what is left to do. */
export interface Plan {
	/** Looks how things are, and gives the tasks that are left, in order; none when all is as it should be. */
	create(context: PlanContext): readonly PlanTask[] | PromiseLike<readonly PlanTask[]>;
}

/** Something to do. A failure of one of its phases skips those after it. */
export interface PlanTask {
	/** What to call it in reports and events. */
	readonly name: string;
	/** Comes first: what must hold before, or be made ready. */
	pre?(context: PlanContext): unknown;
	/** The work. May give tasks that follow from it: they are run after `post`, before the next task of the plan. */
	perform(context: PlanContext): readonly PlanTask[] | void | PromiseLike<readonly PlanTask[] | void>;
	/** Comes last: what is to be checked or cleared away. */
	post?(context: PlanContext): unknown;
}

/** The parts of a {@link PlanTask}. */
export type PlanPhase = "pre" | "perform" | "post";

/** A failure of a task. */
export interface PlanFailure {
	/** The task. */
	readonly name: string;
	/** Where it failed. */
	readonly phase: PlanPhase;
	/** What with. */
	readonly error: unknown;
}

/** What {@link ReconcileOptions.onEvent} is told. Rounds are counted from 1. */
export type ReconcileEvent =
	| { readonly type: "round"; readonly round: number; readonly tasks: readonly string[] }
	| { readonly type: "started" | "succeeded"; readonly round: number; readonly name: string; readonly phase: PlanPhase }
	| { readonly type: "failed"; readonly round: number } & PlanFailure;

/** What a reconcile has done. */
export interface ReconcileReport {
	/** How often the plan had something to do. */
	readonly rounds: number;
	/** How many tasks were run, children and failed ones included. */
	readonly tasks: number;
	/** The failures, which were tolerated. */
	readonly failures: readonly PlanFailure[];
}

/** What {@link reconcile} can be told. */
export interface ReconcileOptions {
	/** How many tasks may fail in all; a whole number from 0, or `Infinity`. @default 5 */
	errorsToTolerate?: number | undefined;
	/** How long to wait before the plan is asked again, in milliseconds. @default 1000 */
	interval?: number | undefined;
	/** How long the whole may take, in milliseconds. @default 1_200_000 (20 minutes) */
	deadline?: number | undefined;
	/** How long to wait for a phase that does not react to an abort or the timeout, in milliseconds. @default Infinity */
	abandonAfter?: number | undefined;
	/** Ends it: the running phase's signal aborts, and nothing further starts. */
	signal?: AbortSignal | undefined;
	/** Told about each round and each phase. */
	onEvent?: ((event: ReconcileEvent) => void) | undefined;
	/** Told what `onEvent` threw. */
	onError?: OnError | undefined;
	/** Whose time it is. @default systemClock */
	clock?: Clock | undefined;
}

/**
 * Ends a reconcile at once. Thrown by a task; or made when more tasks have failed than are tolerated, with the last
 * failure as its cause.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { FatalError, reconcile } from "upkeep";
 *
 * const perform = () => {
 * 	throw new FatalError("the disk is full");
 * };
 * await assert.rejects(reconcile({ create: () => [{ name: "write", perform }] }), FatalError);
 * ```
 */
export class FatalError extends Error {
	/** What this error is called. */
	override readonly name = "FatalError";
}

/**
 * Asks `plan.create` for tasks, runs them one after the other, and asks again, until there are none.
 *
 * A task that fails is counted, and the next one runs: what it has left undone is found again in the next round.
 *
 * @param plan says what is left to do
 * @param options how patient to be
 * @returns what was done
 * @throws {FatalError} if more than `errorsToTolerate` tasks have failed, or a task threw one
 * @throws {unknown} what `plan.create` threw
 * @throws {unknown} the signal's reason, if that aborts
 * @throws {DOMException} named `TimeoutError` after `deadline`
 * @throws {TypeError | RangeError} for arguments, and tasks of the plan, of the wrong type or out of range; all of these
 * are rejections
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { reconcile } from "upkeep";
 *
 * const wanted = ["a", "b", "c"];
 * const present = new Set(["b", "x"]);
 * const report = await reconcile({
 * 	create: () => [
 * 		...[...present].filter((name) => !wanted.includes(name)).map((name) => ({
 * 			name: `remove ${name}`,
 * 			perform: () => void present.delete(name),
 * 		})),
 * 		...wanted.filter((name) => !present.has(name)).map((name) => ({
 * 			name: `add ${name}`,
 * 			perform: () => void present.add(name),
 * 		})),
 * 	],
 * }, { interval: 0 });
 * assert.deepEqual(report, { rounds: 1, tasks: 3, failures: [] });
 * assert.deepEqual([...present].sort(), wanted);
 * ```
 */
export async function reconcile(plan: Plan, options: ReconcileOptions = {}): Promise<ReconcileReport> {
	const {
		errorsToTolerate = 5,
		interval = 1000,
		deadline = 1_200_000,
		abandonAfter,
		signal,
		onEvent,
		onError,
	} = check("options", options, "object");
	check("plan.create", check("plan", plan, "object").create, "function");
	const isCount = (Number.isInteger(errorsToTolerate) || errorsToTolerate === Infinity) && errorsToTolerate >= 0;
	check("errorsToTolerate", errorsToTolerate, "number", isCount, "a whole number from 0, or Infinity");
	checkDelay("interval", interval);
	checkLimit("deadline", deadline);
	checkFunction("onEvent", onEvent);
	checkFunction("onError", onError);
	const clock = checkClock(options.clock);
	const settings = { plan, errorsToTolerate, interval, onEvent, onError, clock };
	const task = (context: PlanContext) => new Reconciliation(settings, context.signal).run();
	return await run(task, { timeout: deadline, abandonAfter, signal, clock });
}

interface Settings {
	readonly plan: Plan;
	readonly errorsToTolerate: number;
	readonly interval: number;
	readonly onEvent: ReconcileOptions["onEvent"];
	readonly onError: OnError | undefined;
	readonly clock: Clock;
}

/** One call of {@link reconcile}. */
class Reconciliation {
	readonly #settings: Settings;
	readonly #context: PlanContext;
	#round = 0;
	#tasks = 0;
	readonly #failures: PlanFailure[] = [];

	constructor(settings: Settings, signal: AbortSignal) {
		this.#settings = settings;
		this.#context = { signal };
	}

	async run(): Promise<ReconcileReport> {
		const { interval, clock } = this.#settings;
		for (let tasks = await this.#create(); tasks.length > 0; tasks = await this.#create()) {
			await this.#runAll(tasks);
			await sleep(interval, { signal: this.#context.signal, clock });
		}
		return { rounds: this.#round, tasks: this.#tasks, failures: this.#failures };
	}

	async #create(): Promise<readonly PlanTask[]> {
		this.#context.signal.throwIfAborted();
		const tasks = await this.#settings.plan.create(this.#context);
		this.#context.signal.throwIfAborted();
		checkTasks(tasks);
		if (tasks.length > 0) this.#tell({ type: "round", round: ++this.#round, tasks: tasks.map(({ name }) => name) });
		return tasks;
	}

	/** Children come before what was left of the plan: depth first, without a recursion that their depth could exhaust. */
	async #runAll(tasks: readonly PlanTask[]): Promise<void> {
		const left = [...tasks].reverse();
		for (let task = left.pop(); task !== undefined; task = left.pop()) {
			this.#tasks++;
			for (const child of [...await this.#runOne(task)].reverse()) left.push(child);
		}
	}

	/** Returns the children, if all went well. */
	async #runOne(task: PlanTask): Promise<readonly PlanTask[]> {
		const { name } = task;
		let children: readonly PlanTask[] = [];
		const perform = async () => {
			const result = await task.perform(this.#context);
			if (Array.isArray(result)) children = checkTasks(result);
		};
		const isDone = await this.#phase(name, "pre", task.pre && (() => task.pre!(this.#context))) &&
			await this.#phase(name, "perform", perform) &&
			await this.#phase(name, "post", task.post && (() => task.post!(this.#context)));
		return isDone ? children : [];
	}

	/** Whether the phase has succeeded, if there is one. */
	async #phase(name: string, phase: PlanPhase, perform: (() => unknown) | undefined): Promise<boolean> {
		if (perform === undefined) return true;
		this.#context.signal.throwIfAborted();
		this.#tell({ type: "started", round: this.#round, name, phase });
		// Whoever was told may have aborted.
		this.#context.signal.throwIfAborted();
		try {
			await perform();
		} catch (thrown) {
			this.#fail({ name, phase, error: unwrap(thrown) });
			return false;
		}
		this.#tell({ type: "succeeded", round: this.#round, name, phase });
		return true;
	}

	#fail(failure: PlanFailure): void {
		// What fails because of an abort is no failure of the task.
		this.#context.signal.throwIfAborted();
		const { error } = failure;
		this.#tell({ type: "failed", round: this.#round, ...failure });
		this.#failures.push(failure);
		// So that one of the CommonJS build is fatal to the ES module, too.
		if (nameOf(error) === "FatalError") throw error;
		if (this.#failures.length <= this.#settings.errorsToTolerate) return;
		throw new FatalError(`${this.#failures.length} tasks have failed`, { cause: error });
	}

	#tell(event: ReconcileEvent): void {
		observe(this.#settings.onError, this.#settings.onEvent, event);
	}
}

function checkTasks(tasks: readonly PlanTask[]): readonly PlanTask[] {
	if (!Array.isArray(tasks)) throw new TypeError("A plan must give an array of tasks");
	for (const task of tasks as readonly PlanTask[]) {
		check("task.name", check("task", task, "object").name, "string");
		check("task.perform", task.perform, "function");
		checkFunction("task.pre", task.pre);
		checkFunction("task.post", task.post);
	}
	return tasks;
}

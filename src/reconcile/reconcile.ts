/**
 * A control loop: it asks a plan for the remaining tasks, runs them, and asks again until none is left.
 *
 * Use {@link reconcile} to reach a declared state, if the remaining work can be computed from the current state. It
 * can be interrupted at any time, because it computes the remaining work again. Use `run` to try one task until it
 * succeeds.
 *
 * @module
 */

import { run } from "../run/run.ts";
import { unwrap } from "../run/task.ts";
import { check, checkCount, checkDelay, checkFunction, checkLimit } from "../platform/check.ts";
import { checkClock, type Clock, sleep } from "../platform/clock.ts";
import { nameOf } from "../platform/thrown.ts";
import { observe, type OnError } from "../platform/observe.ts";

/** The argument of the functions of a plan. */
export interface PlanContext {
	/** Aborts when the caller aborts, and when the `deadline` has passed. */
	readonly signal: AbortSignal;
}

/** A source of tasks for {@link reconcile}. */
export interface Plan {
	/**
	 * Compares the current state with the declared one, and returns the remaining tasks in order. Returns an empty
	 * array when the declared state is reached.
	 */
	create(context: PlanContext): readonly PlanTask[] | PromiseLike<readonly PlanTask[]>;
}

/** A task of a plan. A failure in one phase skips the later phases. */
export interface PlanTask {
	/** The name in reports and events. */
	readonly name: string;
	/** The first phase: checks or establishes what the work requires. */
	pre?(context: PlanContext): unknown;
	/** The work. It may return child tasks, which run after `post` and before the next task of the plan. */
	perform(context: PlanContext): readonly PlanTask[] | void | PromiseLike<readonly PlanTask[] | void>;
	/** The last phase: checks the result or cleans up. */
	post?(context: PlanContext): unknown;
}

/** The phases of a {@link PlanTask}. */
export type PlanPhase = "pre" | "perform" | "post";

/** A failure of a task. */
export interface PlanFailure {
	/** The name of the task. */
	readonly name: string;
	/** The phase that failed. */
	readonly phase: PlanPhase;
	/** The error. */
	readonly error: unknown;
}

/** The argument of {@link ReconcileOptions.onEvent}. Rounds are counted from 1. */
export type ReconcileEvent =
	| { readonly type: "round"; readonly round: number; readonly tasks: readonly string[] }
	| { readonly type: "started" | "succeeded"; readonly round: number; readonly name: string; readonly phase: PlanPhase }
	| { readonly type: "failed"; readonly round: number } & PlanFailure;

/** The result of {@link reconcile}. */
export interface ReconcileReport {
	/** The number of rounds in which the plan returned tasks. */
	readonly rounds: number;
	/** The number of tasks that ran, including children and failed tasks. */
	readonly tasks: number;
	/** The tolerated failures. */
	readonly failures: readonly PlanFailure[];
}

/** Options for {@link reconcile}. */
export interface ReconcileOptions {
	/** The maximum number of failed tasks; a whole number from 0, or `Infinity`. @default 5 */
	errorsToTolerate?: number | undefined;
	/** The delay between two rounds, in milliseconds. @default 1000 */
	interval?: number | undefined;
	/** The time limit of the whole call, in milliseconds. @default 1_200_000 (20 minutes) */
	deadline?: number | undefined;
	/**
	 * The maximum wait for a phase that does not react to an abort or the deadline, in milliseconds. @default Infinity
	 */
	abandonAfter?: number | undefined;
	/** Ends the call: the signal of the running phase aborts, and no further phase starts. */
	signal?: AbortSignal | undefined;
	/** Called for each round and each phase. */
	onEvent?: ((event: ReconcileEvent) => void) | undefined;
	/** Called with an error that `onEvent` threw. */
	onError?: OnError | undefined;
	/** The clock to use. @default systemClock */
	clock?: Clock | undefined;
}

/**
 * Ends {@link reconcile} at once. A task throws it if another round cannot help, for example because the disk is full:
 * any other error is counted, and the plan is asked again. `reconcile` throws it if more tasks have failed than are
 * tolerated; its cause is the last failure.
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
	/** The name of this error. */
	override readonly name = "FatalError";
}

/**
 * Asks `plan.create` for tasks, runs them one after the other, and asks again until there are none.
 *
 * If a task fails, the failure is counted and the next task runs. The next round finds what is still to be done.
 *
 * @param plan returns the remaining tasks
 * @param options limits, delays and hooks
 * @returns a report of the work
 * @throws {FatalError} if more than `errorsToTolerate` tasks have failed, or a task threw one
 * @throws {unknown} the error that `plan.create` threw
 * @throws {unknown} the signal's reason, if it aborts
 * @throws {DOMException} named `TimeoutError` after `deadline`
 * @throws {TypeError | RangeError} for arguments, and tasks of the plan, of the wrong type or out of range; all of
 * these are rejections
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
	checkCount("errorsToTolerate", errorsToTolerate, 0);
	checkDelay("interval", interval);
	checkLimit("deadline", deadline);
	checkFunction("onEvent", onEvent);
	checkFunction("onError", onError);
	const clock = checkClock(options.clock);
	const settings = { plan, errorsToTolerate, interval, onEvent, onError, clock };
	const task = ({ signal }: PlanContext) => work(settings, { signal });
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

/** The work of one call of {@link reconcile}. */
async function work(settings: Settings, context: PlanContext): Promise<ReconcileReport> {
	const { plan, errorsToTolerate, interval, onEvent, onError, clock } = settings;
	const { signal } = context;
	const failures: PlanFailure[] = [];
	let round = 0;
	let count = 0;

	const tell = (event: ReconcileEvent) => observe(onError, onEvent, event);

	const fail = (failure: PlanFailure) => {
		// An error caused by an abort is not a failure of the task.
		signal.throwIfAborted();
		const { error } = failure;
		tell({ type: "failed", round, ...failure });
		failures.push(failure);
		// Compared by name, so that an error of the CommonJS build also ends the ES module.
		if (nameOf(error) === "FatalError") throw error;
		if (failures.length <= errorsToTolerate) return;
		const text = `${failures.length} tasks have failed, and "errorsToTolerate" is ${errorsToTolerate}`;
		throw new FatalError(text, { cause: error });
	};

	/** Runs the phases of a task. Returns its children if all phases succeeded. */
	const perform = async (task: PlanTask): Promise<readonly PlanTask[]> => {
		const { name } = task;
		let children: readonly PlanTask[] = [];
		for (const phase of ["pre", "perform", "post"] as const) {
			if (task[phase] === undefined) continue;
			signal.throwIfAborted();
			tell({ type: "started", round, name, phase });
			// `onEvent` may have aborted.
			signal.throwIfAborted();
			try {
				const result = await task[phase](context);
				if (phase === "perform" && Array.isArray(result)) children = checkTasks(result);
			} catch (thrown) {
				fail({ name, phase, error: unwrap(thrown) });
				return [];
			}
			tell({ type: "succeeded", round, name, phase });
		}
		return children;
	};

	for (;;) {
		signal.throwIfAborted();
		const tasks = await plan.create(context);
		signal.throwIfAborted();
		checkTasks(tasks);
		if (tasks.length === 0) return { rounds: round, tasks: count, failures };
		tell({ type: "round", round: ++round, tasks: tasks.map(({ name }) => name) });
		// Children run before the rest of the plan: depth first, but without recursion, so that deep trees cannot overflow
		// the stack.
		const left = [...tasks].reverse();
		for (let task = left.pop(); task !== undefined; task = left.pop()) {
			count++;
			for (const child of [...await perform(task)].reverse()) left.push(child);
		}
		await sleep(interval, { signal, clock });
	}
}

function checkTasks(tasks: readonly PlanTask[]): readonly PlanTask[] {
	if (!Array.isArray(tasks)) throw new TypeError("A plan must return an array of tasks");
	for (const task of tasks as readonly PlanTask[]) {
		check("task.name", check("task", task, "object").name, "string");
		check("task.perform", task.perform, "function");
		checkFunction("task.pre", task.pre);
		checkFunction("task.post", task.post);
	}
	return tasks;
}

/**
 * Waits for the end of a task, in any process.
 *
 * @module
 */

import type { TaskFailure } from "./codec.ts";
import type { BasketSettings } from "./options.ts";
import type { Endings } from "./waiting.ts";
import { isTransient } from "./calls.ts";
import { getTask } from "./reading.ts";
import { checkedSignal } from "../platform/check.ts";
import { checkName } from "../platform/name.ts";
import { report } from "../platform/observe.ts";
import type { WaitOptions } from "../platform/waiters.ts";

/** The end of a task, as {@link Basket.wait} returns it. */
export interface TaskResult {
	/** Whether the task has succeeded. */
	readonly state: "done" | "dead";
	/**
	 * What its function has returned, as its codec decodes it; `undefined` for a dead task, and for a task that
	 * `complete` has completed.
	 */
	readonly result: unknown;
	/** The error of a dead task. */
	readonly error: TaskFailure | undefined;
}

/**
 * No task has this id: it was never added, it was deleted, or it has ended and was not kept.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { Basket, memoryStore, TaskNotFoundError } from "upkeep";
 *
 * const basket = new Basket({ store: memoryStore(), tasks: {} });
 * await assert.rejects(basket.wait("nothing"), (error) => error instanceof TaskNotFoundError && error.id === "nothing");
 * ```
 */
export class TaskNotFoundError extends Error {
	/** The name of this error. */
	override readonly name = "TaskNotFoundError";
	/** The requested id. */
	readonly id: string;

	/**
	 * Created by a basket.
	 *
	 * @param id the requested id
	 */
	constructor(id: string) {
		const reasons = "it was never added, it was deleted, or it has ended and `retain` did not keep it";
		super(`There is no task ${JSON.stringify(id)}: ${reasons}`);
		this.id = id;
	}
}

/** The interface of a wait to its basket. */
export interface WaitingOwner<Tx> {
	readonly settings: BasketSettings<Tx>;
	readonly endings: Endings<TaskResult>;
	/** Whether this process has a claim on the task, whose end may be stored before it is known here. */
	holds(id: string): boolean;
	open(): Promise<void>;
}

/** See `Basket.wait`. */
export async function waitForTask<Tx>(engine: WaitingOwner<Tx>, id: string, options: WaitOptions): Promise<TaskResult> {
	const signal = checkedSignal(options);
	checkName("id", id);
	let told: TaskResult | undefined;
	return await engine.endings.wait(id, signal, async (ended) => {
		told = ended ?? told;
		try {
			const task = await getTask(engine, id);
			if (task === undefined && (told !== undefined || engine.holds(id))) return told;
			if (task === undefined) throw new TaskNotFoundError(id);
			const { state, result, error } = task;
			// A task that was replaced while it ran is waiting again.
			if (state !== "done" && state !== "dead") return undefined;
			return { state, result, error: state === "dead" ? error : undefined };
		} catch (error) {
			if (!isTransient(error)) throw error;
			report(engine.settings.onError, error);
		}
	});
}

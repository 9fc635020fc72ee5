/**
 * One attempt of a step of a durable function, or of its revert.
 *
 * @module
 */

import { Attempting, type Place, type Position } from "./attempting.ts";
import type { RunnerSettings } from "../run/options.ts";
import type { TaskContext } from "../run/task.ts";

export class FlowAttempt<C> extends Attempting {
	readonly #more: Omit<C, keyof TaskContext>;
	readonly #call: (context: C) => unknown;

	/** @param more what the context has besides that of a task */
	constructor(
		position: Position,
		place: Place,
		settings: RunnerSettings,
		more: Omit<C, keyof TaskContext>,
		call: (context: C) => unknown,
	) {
		super(position, place, settings);
		this.#more = more;
		this.#call = call;
	}

	protected override call(context: TaskContext): unknown {
		return this.#call(Object.assign(context, this.#more) as C);
	}
}

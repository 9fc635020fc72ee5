/**
 * What has become of the tasks: counted, and told to whoever wants to know. Only what is so is told as such; what nobody knows
 * is told as unknown.
 *
 * @module
 */

import type { ClaimedTask } from "./claimed-task.ts";
import type { Ending } from "./ending.ts";
import type { BasketSettings, TaskSettled } from "./options.ts";
import { released } from "./ending.ts";
import { ClaimLostError } from "./context.ts";
import { observe, report } from "../platform/observe.ts";

/** A claim that ends, and how. */
export interface Ended<Tx> {
	readonly task: ClaimedTask<Tx>;
	ending: Ending;
	/** Why it is unknown whether it was stored. */
	doubt?: unknown;
	/** Its ending could not be stored, and has become that reason. */
	isBuried?: boolean;
	/** Told by an answer that came late. */
	isStored?: boolean;
	/** It was told that nobody knows. */
	isToldUnknown?: boolean;
}

/** What a worker has done since it was made. */
export interface WorkerTotals {
	/** Tasks that were done. */
	succeeded: number;
	/** Attempts that failed and are tried again. */
	failed: number;
	/** Tasks that were given up. */
	dead: number;
}

export class Outcomes<Tx> {
	readonly totals: WorkerTotals = { succeeded: 0, failed: 0, dead: 0 };
	readonly #settings: BasketSettings<Tx>;

	constructor(settings: BasketSettings<Tx>) {
		this.#settings = settings;
	}

	/** The store has answered which of them it has settled. */
	settled(ended: readonly Ended<Tx>[], settled: readonly boolean[]): void {
		const errors: ClaimLostError[] = [];
		ended.forEach((one, index) => {
			const { task, ending, doubt, isStored } = one;
			if (settled[index] || isStored) return this.tell(task, ending);
			const isUnknown = one.isToldUnknown = doubt !== undefined;
			if (!isUnknown || ending !== released) {
				errors.push(new ClaimLostError(task.id, isUnknown ? { isUnknown, cause: doubt } : {}));
			}
		});
		// If the database is gone, so are all of them.
		const error = errors.length > 1 ? new AggregateError(errors, `${errors.length} claims are lost`) : errors[0];
		if (error !== undefined) report(this.#settings.onError, error);
	}

	/** It is stored how a run has ended. */
	tell(task: ClaimedTask<Tx>, { outcome: { type }, error, delay, onStored }: Ending): void {
		if (task.attempt === 0) return; // given back before it has begun
		const outcome = type === "release" ? "released" : type as TaskSettled["outcome"];
		if (outcome === "done") this.totals.succeeded++;
		else if (outcome === "retry") this.totals.failed++;
		else if (outcome === "dead") this.totals.dead++;
		const { onSettled, onError } = this.#settings;
		observe(onError, onStored);
		observe(onError, onSettled, { id: task.id, kind: task.kind, outcome, attempt: task.attempt, error, delay });
	}
}

/**
 * Counts and reports the outcomes of tasks. Only certain outcomes are reported as such; others are reported as
 * unknown.
 *
 * @module
 */

import type { ClaimedTask } from "./claimed-task.ts";
import type { Ending } from "./ending.ts";
import type { BasketSettings } from "./options.ts";
import type { Settlement } from "./store.ts";
import { ClaimLostError } from "./context.ts";
import { withLapse } from "./history.ts";
import { observe, report } from "../platform/observe.ts";

/** A claim and its end. */
export interface Ended<Tx> {
	readonly task: ClaimedTask<Tx>;
	ending: Ending;
	/** The reason why it is unknown whether the end was stored. */
	doubt?: unknown;
	/** Whether its ending could not be stored, so that it becomes dead with that reason. */
	isBuried?: boolean;
	/** Whether the end was stored, from a late answer. */
	isStored?: boolean;
	/** Whether it was reported as unknown. */
	isToldUnknown?: boolean;
}

/** The totals of a worker since its creation. */
export interface WorkerTotals {
	/** The number of done tasks. */
	succeeded: number;
	/** The number of failed attempts that are retried. */
	failed: number;
	/** The number of tasks that became dead. */
	dead: number;
}

export class Outcomes<Tx> {
	readonly totals: WorkerTotals = { succeeded: 0, failed: 0, dead: 0 };
	readonly #settings: BasketSettings<Tx>;

	constructor(settings: BasketSettings<Tx>) {
		this.#settings = settings;
	}

	/** The store has reported which ends it has stored. */
	settled(ended: readonly Ended<Tx>[], settled: readonly boolean[]): void {
		const errors: ClaimLostError[] = [];
		ended.forEach((one, index) => {
			const { task, ending, doubt, isStored } = one;
			if (settled[index] || isStored) return this.tell(task, ending);
			const isUnknown = one.isToldUnknown = doubt !== undefined;
			if (!isUnknown || ending.told !== "released") {
				errors.push(new ClaimLostError(task.id, isUnknown ? { isUnknown, cause: doubt } : {}));
			}
			this.#settings.observing?.tell(this.#settings, "lost", task);
		});
		// If the database is gone, all claims are lost.
		const error = errors.length > 1 ? new AggregateError(errors, `${errors.length} claims are lost`) : errors[0];
		if (error !== undefined) report(this.#settings.onError, error);
	}

	/** A call that was given up has stored these ends nevertheless. */
	late(ended: readonly Ended<Tx>[], settled: readonly boolean[]): void {
		ended.forEach((one, index) => {
			if (!settled[index]) return;
			one.isStored = true;
			if (one.isToldUnknown) this.tell(one.task, one.ending);
		});
	}

	/** The end of a run is stored. */
	tell(task: ClaimedTask<Tx>, ending: Ending): void {
		const { outcome: { type }, error, delay, told, onStored } = ending;
		if (task.attempt === 0) return; // released before it began
		const outcome = told ?? (type === "release" ? "later" : type);
		if (outcome === "done") this.totals.succeeded++;
		else if (outcome === "retry") this.totals.failed++;
		else if (outcome === "dead") this.totals.dead++;
		const { onSettled, onEnd, onError, observing } = this.#settings;
		observe(onError, onStored);
		if (type === "done" || type === "dead") onEnd?.(task, ending);
		observing?.end(this.#settings, task, { outcome, took: ending.took ?? 0, error });
		observe(onError, onSettled, { id: task.id, kind: task.kind, outcome, attempt: task.attempt, error, delay });
	}
}

/** What the store is told of it. */
export function settlementOf<Tx>({ task, ending }: Ended<Tx>): Settlement {
	return { ref: task.claim, outcome: withLapse(task.claim, ending.outcome), log: ending.log };
}

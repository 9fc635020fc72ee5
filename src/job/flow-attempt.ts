/**
 * One attempt of a step of a durable function, or of its revert.
 *
 * @module
 */

import type { Place } from "./attempting.ts";
import { type Commit, type CommitPosition, CommittingAttempt } from "./committing.ts";
import type { FlowStepContext } from "./flow.ts";
import type { FlowRecord, StoredAttempt } from "./state.ts";
import type { RunnerSettings } from "../run/options.ts";
import type { TaskContext } from "../run/task.ts";

/** What an attempt does. */
export interface FlowWork<C> {
	/** What the context has besides that of a task. */
	readonly more: Omit<C, keyof TaskContext | "commit">;
	/** The function of the user. */
	readonly call: (context: C) => unknown;
	/** Validates a result. */
	readonly check: (result: unknown) => unknown;
	/** What is stored of it. */
	readonly record: (result: unknown, attempt: StoredAttempt) => FlowRecord;
}

export class FlowAttempt<Tx, C extends FlowStepContext<Tx>> extends CommittingAttempt<Tx, FlowRecord> {
	readonly #work: FlowWork<C>;

	constructor(position: CommitPosition<Tx, FlowRecord>, place: Place, settings: RunnerSettings, work: FlowWork<C>) {
		super(position, place, String(place.at), settings);
		this.#work = work;
	}

	protected override invoke(attempt: TaskContext, commit: Commit<Tx>): unknown {
		return this.#work.call(Object.assign(attempt, this.#work.more, { commit }) as unknown as C);
	}

	protected override check(result: unknown): unknown {
		return this.#work.check(result);
	}

	protected override entryOf(result: unknown): FlowRecord {
		return this.#work.record(result, this.record());
	}
}

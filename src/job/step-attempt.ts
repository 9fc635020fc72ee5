/**
 * One attempt of a step of a chain, or of its revert.
 *
 * @module
 */

import { decodeMeta, isThenable } from "../basket/engine.ts";
import type { Place } from "./attempting.ts";
import { type Commit, type CommitPosition, CommittingAttempt } from "./committing.ts";
import type { RevertContext } from "./context.ts";
import { resultOf } from "./groups.ts";
import type { JobCheckpoint, JobEntry, JobResults, PreparedStep } from "./state.ts";
import { validate } from "../platform/standard-schema.ts";
import type { TaskContext } from "../run/task.ts";
import { entryOf } from "./transitions.ts";

/** The position of a job during an attempt. */
export interface JobPosition<Tx> extends CommitPosition<Tx, JobEntry> {
	readonly state: JobCheckpoint;
}

/** The step of an attempt. */
export interface StepPlace extends Place {
	readonly at: number;
}

/** Steps with more results before them share these, see `keepResult`. */
const mostCopied = 100;

export class StepAttempt<Tx> extends CommittingAttempt<Tx, JobEntry> {
	readonly #position: JobPosition<Tx>;
	readonly #step: PreparedStep;
	readonly #at: number;
	/** The state at the start of the attempt. */
	readonly #state: JobCheckpoint;

	constructor(position: JobPosition<Tx>, step: PreparedStep, place: StepPlace) {
		super(position, place, step.definition.name, place.isBackward ? step.revertSettings : step.settings);
		this.#position = position;
		this.#step = step;
		this.#at = place.at;
		this.#state = position.state;
	}

	protected override invoke(attempt: TaskContext, commit: Commit<Tx>): unknown {
		const { definition: { name, options } } = this.#step;
		const { uid, input, results, version, error, isBackward } = this.#state;
		const context = Object.assign(attempt, {
			id: this.#position.task.id,
			step: name,
			input,
			results: viewOf(results, this.#state.logged),
			meta: decodeMeta(this.#position.task.claim.meta),
			version,
			idempotencyKey: `${uid}/${name}${isBackward ? "/revert" : ""}`,
			result: resultOf(results, name),
			error,
			commit,
		}) as RevertContext<unknown, unknown, unknown, unknown>;
		if (isBackward) return options.revert!(context);
		const value = options.run!(context);
		return isThenable(value) ? value.then((value) => this.check(value)) : this.check(value);
	}

	protected override check(value: unknown): unknown {
		const { schema } = this.#step.definition.options;
		return schema === undefined || this.#state.isBackward ? value : validate(schema, value);
	}

	protected override entryOf(result: unknown): JobEntry {
		const { state, task } = this.#position;
		return entryOf(state, this.#at, result, this.record(), task.claim.crashes);
	}
}

/** A copy of the results; of many, the results themselves: to copy them for each step would cost more and more. */
function viewOf(results: JobResults, count: number): JobResults {
	return count > mostCopied ? results : { ...results };
}

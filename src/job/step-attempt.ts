/**
 * One attempt of a step or of its revert: calls the function, which may store its result in its own transaction.
 *
 * @module
 */

import { checkTx, isThenable, synchronous } from "../basket/engine.ts";
import { type Data, fingerprint } from "../basket/store.ts";
import { Attempting, failed, type Place, type Position } from "./attempting.ts";
import type { RevertContext } from "./context.ts";
import type { JobOwner } from "./owner.ts";
import { resultOf } from "./groups.ts";
import type { ReadLog } from "./log.ts";
import type { JobCheckpoint, JobEntry, JobResults, PreparedStep } from "./state.ts";
import { Execution, resume, type RunStep, step as takeStep } from "../run/execution.ts";
import { validate } from "../platform/standard-schema.ts";
import type { TaskContext } from "../run/task.ts";
import { entryOf } from "./transitions.ts";

/** The position of a job during an attempt. */
export interface JobPosition<Tx> extends Position {
	readonly owner: JobOwner<Tx>;
	readonly state: JobCheckpoint;
	readonly readLog: ReadLog;
	encode(entry: JobEntry): Data | PromiseLike<Data>;
	/** Resolves when nothing is on its way into the log; `undefined` if nothing is. */
	settle(): Promise<void> | undefined;
	/** While a transaction is open, nothing else may be appended to the log. Returns the function that ends this. */
	openCommit(): () => void;
	/** Throws if the claim was lost. */
	throwIfLost(isOurs: boolean): void;
}

/** The step of an attempt. */
export interface StepPlace extends Place {
	readonly at: number;
}

/** An entry of the log that the attempt itself has stored, and its encoded form. */
export interface Commitment {
	readonly entry: JobEntry;
	readonly data: Data;
}

/** Steps with more results before them share these, see {@link keepResult}. */
const mostCopied = 100;

export class StepAttempt<Tx> extends Attempting {
	readonly #position: JobPosition<Tx>;
	readonly #step: PreparedStep;
	readonly #place: StepPlace;
	/** The state at the start of the attempt. */
	readonly #state: JobCheckpoint;
	/** Set during the attempt. */
	#context: TaskContext | undefined;
	/** What its transaction will store behind the entries before it. */
	#commitment: Commitment & { readonly after: number } | undefined;
	#endCommit: (() => void) | undefined;

	constructor(position: JobPosition<Tx>, step: PreparedStep, place: StepPlace) {
		super(position, place, place.isBackward ? step.revertSettings : step.settings);
		this.#position = position;
		this.#step = step;
		this.#place = place;
		this.#state = position.state;
	}

	/**
	 * Calls the function. If it resolves with a {@link Commitment}, the function itself has stored it, whatever it did
	 * afterwards.
	 */
	async run(signal: AbortSignal): Promise<RunStep<unknown> | Commitment> {
		const step = await this.take(signal);
		this.#context = undefined;
		const { task } = this.#position;
		if (this.#commitment === undefined || task.isOver) return step;
		task.endCommit();
		if (await this.#isCommitted(this.#commitment)) return this.#commitment;
		return step.ok ? await this.#uncommitted() : step;
	}

	/** The result of the attempt is in the state. */
	end(): void {
		this.#endCommit?.();
		this.#endCommit = undefined;
	}

	protected override call(attempt: TaskContext): unknown {
		const { definition: { name, options } } = this.#step;
		const { uid, input, results, version, error, isBackward } = this.#state;
		this.#context = attempt;
		const context = Object.assign(attempt, {
			id: this.#position.task.id,
			step: name,
			input,
			results: viewOf(results, this.#state.logged),
			version,
			idempotencyKey: `${uid}/${name}${isBackward ? "/revert" : ""}`,
			result: resultOf(results, name),
			error,
			commit: (tx: Tx, result?: unknown) => this.#commit(attempt, tx, result),
		}) as RevertContext<unknown, unknown, unknown, unknown>;
		if (isBackward) return options.revert!(context);
		const value = options.run!(context);
		return isThenable(value) ? value.then((value) => this.#check(value)) : this.#check(value);
	}

	/** Validates a result with the schema of the step. */
	#check(value: unknown): unknown {
		const { schema } = this.#step.definition.options;
		return schema === undefined || this.#state.isBackward ? value : validate(schema, value);
	}

	/** Appends the result to the log in the caller's transaction. It is synchronous until the store is called. */
	async #commit(attempt: TaskContext, tx: Tx, result: unknown): Promise<unknown> {
		const position = this.#position;
		const { owner: { store, name }, task } = position;
		position.throwIfLost(!task.isOver);
		// An abandoned attempt is too late.
		if (attempt !== this.#context) throw new DOMException("The attempt is over", "InvalidStateError");
		checkTx(tx);
		const checked = this.#check(result);
		const valid = isThenable(checked) ? await synchronous(checked, tx) : checked;
		const entry = entryOf(position.state, this.#place.at, valid, this.record(), task.claim.crashes);
		const encoded = position.encode(entry);
		const data = isThenable(encoded) ? await synchronous(encoded, tx) : encoded;
		// Called again, because its transaction was rolled back and is tried again.
		this.end();
		// Only if another branch is done just now.
		for (let busy = position.settle(); busy !== undefined; busy = position.settle()) await busy;
		if (attempt !== this.#context) throw new DOMException("The attempt is over", "InvalidStateError");
		const { logged: after } = position.state;
		this.#endCommit = position.openCommit();
		// Its lease is not renewed meanwhile, because the renewal could wait for the transaction.
		task.beginCommit();
		this.#commitment = { entry, data, after };
		try {
			const save = { ref: task.claim, log: { after, entries: [data] } };
			const [isSaved] = await task.calls.track(() => store.save(name, [save], tx), Infinity);
			position.throwIfLost(isSaved!);
			return valid;
		} catch (error) {
			task.endCommit();
			this.end();
			this.#commitment = undefined;
			throw error;
		}
	}

	async #isCommitted({ data, after }: Commitment & { readonly after: number }): Promise<boolean> {
		const { readLog, task } = this.#position;
		const [stored] = await readLog({ id: task.id, after, limit: 1 }) ?? [];
		if (stored === undefined || fingerprint(stored.data) !== fingerprint(data)) return false;
		task.saved(undefined, after + 1);
		return true;
	}

	/** The function has returned, but its transaction was not committed: the attempt has failed. */
	#uncommitted(): Promise<RunStep<unknown>> {
		const { settings, previousError, lastDelay } = this.execution;
		const error = new Error("The transaction given to commit() was not committed");
		const execution = new Execution<unknown>(() => Promise.reject(error), settings);
		resume(execution, this.#place.attempts, previousError, lastDelay, 0);
		return takeStep(execution).catch(failed);
	}
}

/** A copy of the results; of many, the results themselves: to copy them for each step would cost more and more. */
function viewOf(results: JobResults, count: number): JobResults {
	return count > mostCopied ? results : { ...results };
}

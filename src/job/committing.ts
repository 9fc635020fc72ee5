/**
 * An attempt whose function may store its result in its own transaction.
 *
 * @module
 */

import { checkTx, isThenable, synchronous } from "../basket/engine.ts";
import { type Data, fingerprint } from "../basket/store.ts";
import { Attempting, failed, type Place, type Position } from "./attempting.ts";
import type { ReadLog } from "./log.ts";
import type { LogGate } from "./log-gate.ts";
import type { JobOwner } from "./owner.ts";
import { Execution, resume, type RunStep, step as takeStep } from "../run/execution.ts";
import type { RunnerSettings } from "../run/options.ts";
import type { TaskContext } from "../run/task.ts";

/** The position of a job during an attempt. */
export interface CommitPosition<Tx, E> extends Position {
	readonly owner: JobOwner<Tx>;
	readonly state: { readonly logged: number };
	readonly gate: LogGate;
	readonly readLog: ReadLog;
	encode(entry: E): Data | PromiseLike<Data>;
	/** Throws if the claim was lost. */
	throwIfLost(isOurs: boolean): void;
	/** Resolves when nothing is on its way into the log; `undefined` if nothing is. */
	settle(): Promise<void> | undefined;
}

/** An entry of the log that the attempt itself has stored, and its encoded form. */
export interface Commitment<E> {
	readonly entry: E;
	readonly data: Data;
}

export type Commit<Tx> = (tx: Tx, result?: unknown) => Promise<unknown>;

export abstract class CommittingAttempt<Tx, E> extends Attempting {
	readonly #position: CommitPosition<Tx, E>;
	readonly #place: Place;
	/** Set during the attempt. */
	#context: TaskContext | undefined;
	/** What its transaction will store behind the entries before it. */
	#commitment: Commitment<E> & { readonly after: number } | undefined;
	#open: (() => void) | undefined;

	constructor(position: CommitPosition<Tx, E>, place: Place, step: string, settings: RunnerSettings) {
		super(position, place, step, settings);
		this.#position = position;
		this.#place = place;
	}

	/** Calls the function of the step with its context. */
	protected abstract invoke(attempt: TaskContext, commit: Commit<Tx>): unknown;
	/** Validates a result. */
	protected abstract check(result: unknown): unknown;
	/** The entry of the log for a valid result. */
	protected abstract entryOf(result: unknown): E;

	/**
	 * Calls the function. If it resolves with a {@link Commitment}, the function itself has stored it, whatever it did
	 * afterwards. Rejects if it is not known whether that is so. Nothing else is appended to the log before {@link end}.
	 */
	async run(signal: AbortSignal): Promise<RunStep<unknown> | Commitment<E>> {
		try {
			const step = await this.take(signal);
			this.#context = undefined;
			const { task } = this.#position;
			if (this.#commitment === undefined || task.isOver) return step;
			task.endCommit();
			if (await this.#isCommitted(this.#commitment)) return this.#commitment;
			return step.ok ? await this.#uncommitted() : step;
		} catch (reason) {
			this.#position.gate.broken ??= { reason };
			throw reason;
		}
	}

	/** The result of the attempt is in the state. */
	end(): void {
		this.#open?.();
		this.#open = undefined;
	}

	protected override call(attempt: TaskContext): unknown {
		this.#context = attempt;
		return this.invoke(attempt, (tx, result) => this.#commit(attempt, tx, result));
	}

	/** Appends the result to the log in the caller's transaction. It is synchronous until the store is called. */
	async #commit(attempt: TaskContext, tx: Tx, result: unknown): Promise<unknown> {
		const position = this.#position;
		const { owner: { store, name }, task, gate } = position;
		position.throwIfLost(!task.isOver);
		this.#checkCurrent(attempt);
		checkTx(tx);
		const checked = this.check(result);
		const valid = isThenable(checked) ? await synchronous(checked, tx) : checked;
		const entry = this.entryOf(valid);
		const encoded = position.encode(entry);
		const data = isThenable(encoded) ? await synchronous(encoded, tx) : encoded;
		// Called again, because its transaction was rolled back and is tried again.
		this.end();
		// Only if another step of the job is done just now.
		for (let busy = position.settle(); busy !== undefined; busy = position.settle()) await busy;
		this.#checkCurrent(attempt);
		this.#open = gate.close();
		// Its lease is not renewed meanwhile, because the renewal could wait for the transaction.
		task.beginCommit();
		const { logged: after } = position.state;
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

	/** An abandoned attempt is too late. */
	#checkCurrent(attempt: TaskContext): void {
		if (attempt !== this.#context) throw new DOMException("The attempt is over", "InvalidStateError");
	}

	async #isCommitted({ data, after }: Commitment<E> & { readonly after: number }): Promise<boolean> {
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

/**
 * The context of a task of a basket.
 *
 * @module
 */

import type { TaskContext } from "../run/task.ts";
import { check } from "../platform/check.ts";
import { cut } from "./codec.ts";
import type { TaskMeta } from "./meta.ts";

/**
 * The second argument of a task of a basket. It can be destructured (`{ save, signal }`), but a copy
 * (`{ ...context }`) is empty, because its properties are getters on the prototype.
 *
 * The signal aborts at the timeout and when the basket's run is aborted. It aborts with a `ClaimLostError` when
 * another worker has taken over the task, when the task was deleted, or when its lease may have expired because the
 * store was not reachable. Then nothing that this run does is stored anymore.
 *
 * @typeParam P the payload that `save` takes
 * @typeParam Tx the transactions of the store; without them, neither `complete` nor `save` takes one
 */
export interface BasketContext<P = never, Tx = never> extends TaskContext {
	/** The id of the task. */
	readonly id: string;
	/** The kind of the task. */
	readonly kind: string;
	/** The time at which it was added, in milliseconds since 1970 on the store's clock. */
	readonly addedAt: number;
	/** The lane of the task, if any. */
	readonly lane: string | undefined;
	/** The texts that were given as `meta` when it was added. */
	readonly meta: TaskMeta;
	/** The number of consecutive crashed runs right before this one. */
	readonly crashes: number;
	/**
	 * The instant for which a task of a schedule runs, in milliseconds since 1970 on the store's clock: the same for each
	 * attempt. For a schedule that was made due by `retry`, the time of the claim. `undefined` for other tasks.
	 */
	readonly due: number | undefined;
	/**
	 * How many missed instants a task of a schedule stands for: 0 if it is on time, and for other tasks. With `"once"`,
	 * the instants up to `due`; of a schedule that is not an interval, at most 1,000 at a time are counted.
	 */
	readonly missed: number;
	/**
	 * Stores a new payload now, for the next attempt in any process. Without this call, changes to the payload are
	 * stored only when an attempt fails.
	 *
	 * Rejects with a `ClaimLostError` if the task was taken over, with an error of the codec, and with a `StoreError`.
	 * With `tx`, the payload is stored if that transaction commits. The next tick of a schedule begins with the payload
	 * that was scheduled.
	 */
	readonly save: (payload: P, options?: { tx?: Tx | undefined }) => Promise<void>;
	/**
	 * Marks the task as done inside your own transaction, so that its effect and its completion are committed
	 * together: exactly once, even across crashes. Call it before the commit. If the transaction does not commit, the
	 * run counts as failed. If it commits, later errors of the task have no effect. A second call in one transaction
	 * does nothing.
	 *
	 * If `tx` is a connection, a basket cannot distinguish its transactions. So a call in a later transaction on the same
	 * connection, while the lease lasts, may count as such a second call, even if the earlier transaction was committed,
	 * or if it was rolled back and the task has been deleted since. Use another connection if you try a transaction again.
	 *
	 * If the basket cannot ask the store before the lease may have expired whether the transaction was committed,
	 * `onSettled` is not called, and `onError` is called with a `ClaimLostError` that `isUnknown`. If the task is
	 * deleted between this call and the end of the run, it may be reported as done, because a basket cannot
	 * distinguish a deletion from a commit.
	 *
	 * Rejects with a `ClaimLostError` if the task was taken over: then roll the transaction back. Rejects with a
	 * TypeError for a task of a schedule, because its next instant is stored only when it ends.
	 */
	readonly complete: (tx: Tx) => Promise<void>;
	/**
	 * Reports progress, which `list` shows; it is stored within about a second. `progress` must be finite. The first
	 * 1,000 characters of the description are kept.
	 *
	 * Throws a TypeError or RangeError for invalid arguments.
	 */
	report(progress: number, description?: string): void;
}

/** The progress of a task. */
export interface TaskProgress {
	/** The reported value, in any unit. */
	readonly value: number;
	/** The description, if any. */
	readonly description: string | undefined;
}

/** Converts reported progress to text. */
export function encodeProgress(value: number, description: string | undefined): string {
	check("progress", value, "number", Number.isFinite(value), "a finite number");
	if (description !== undefined) check("description", description, "string");
	return JSON.stringify({ value, description: description && cut(description, 1_000) });
}

/** Decodes the result of {@link encodeProgress}. Returns `undefined` if the text is damaged. */
export function decodeProgress(text: string | undefined): TaskProgress | undefined {
	if (text === undefined) return undefined;
	try {
		const { value, description } = JSON.parse(text);
		const isProgress = typeof value === "number" && typeof (description ?? "") === "string";
		return isProgress ? { value, description } : undefined;
	} catch {
		return undefined;
	}
}

/**
 * Another worker has taken over a task, the task was deleted, or its lease ended while the store was not reachable.
 *
 * It is also the reason of the signal of such a task.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { ClaimLostError } from "upkeep";
 *
 * const error = new ClaimLostError("order-1");
 * assert.equal(error.id, "order-1");
 * ```
 */
export class ClaimLostError extends Error {
	/** The name of this error. */
	override readonly name = "ClaimLostError";
	/** The id of the task. */
	readonly id: string;

	/** Whether the outcome is unknown: the result of this run may have been stored nevertheless. */
	readonly isUnknown: boolean;

	/**
	 * Created by a basket.
	 *
	 * @param id the id of the task
	 * @param options whether the outcome is unknown, and the cause
	 */
	constructor(id: string, options: { isUnknown?: boolean | undefined; cause?: unknown } = {}) {
		const { isUnknown = false } = options;
		const text = isUnknown
			? "it is not known whether what this run did about it is stored"
			: "what this run does about it is not stored any more";
		super(`The claim on the task ${JSON.stringify(id)} is lost: ${text}`, options);
		this.id = id;
		this.isUnknown = isUnknown;
	}
}

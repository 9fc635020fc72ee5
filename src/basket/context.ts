/**
 * What a task of a basket is told, and can tell.
 *
 * @module
 */

import type { TaskContext } from "../run/task.ts";
import { check } from "../platform/check.ts";
import { cut } from "./codec.ts";

/**
 * What a task of a basket is told. Its methods may be taken out of the context (`{ save, signal }`), but a copy of it
 * (`{ ...context }`) is empty, since its properties are read only when they are asked for.
 *
 * The signal aborts at the timeout, when the basket's run is aborted, and with a `ClaimLostError` when the task was taken
 * over by somebody else, was deleted, or its lease may be over because the store could not be reached: then nothing that this
 * run does is stored any more.
 *
 * @typeParam P the payload that `save` takes
 * @typeParam Tx the transactions of the store; without them, neither `complete` nor `save` takes one
 */
export interface BasketContext<P = never, Tx = never> extends TaskContext {
	/** The task's id. */
	readonly id: string;
	/** The task's kind. */
	readonly kind: string;
	/** When it was added: milliseconds since 1970, on the store's clock. */
	readonly addedAt: number;
	/** The lane that it stands in. */
	readonly lane: string | undefined;
	/** How many runs in a row have crashed, right before this one. */
	readonly crashes: number;
	/**
	 * Stores a new payload now, for the next attempt, wherever that is. Without this the payload is stored as the task left it,
	 * but only when an attempt fails.
	 *
	 * Rejects with a `ClaimLostError` if the task was taken over, with what the codec throws, and with a `StoreError`. Inside
	 * `tx` the payload is stored if that commits.
	 */
	readonly save: (payload: P, options?: { tx?: Tx | undefined }) => Promise<void>;
	/**
	 * Marks the task as done inside your own transaction, so that what it did and that it is done are committed together:
	 * exactly once, whatever dies. To be called before the commit. If the transaction does not commit, the run counts as failed;
	 * if it commits, nothing that the task throws afterwards changes anything. A second call in one transaction does nothing.
	 *
	 * If the store cannot be asked before the lease may be over whether the transaction was committed, nothing is told to
	 * `onSettled`, and a `ClaimLostError` that `isUnknown` goes to `onError`. A task that somebody else deletes between this call
	 * and the end of the run may be told as done: a basket cannot tell a deletion from a commit.
	 *
	 * Rejects with a `ClaimLostError` if the task was taken over: then roll the transaction back.
	 */
	readonly complete: (tx: Tx) => Promise<void>;
	/**
	 * Shows in `list` how far the task is; stored within a second or so. `progress` must be finite. Of the description the first
	 * 1,000 characters are kept.
	 *
	 * Throws a TypeError or RangeError for anything else.
	 */
	report(progress: number, description?: string): void;
}

/** How far a task is. */
export interface TaskProgress {
	/** What it reported, in a unit of its own. */
	readonly value: number;
	/** In words. */
	readonly description: string | undefined;
}

/** Makes text of what a task reports. */
export function encodeProgress(value: number, description: string | undefined): string {
	check("progress", value, "number", Number.isFinite(value), "a finite number");
	if (description !== undefined) check("description", description, "string");
	return JSON.stringify({ value, description: description && cut(description, 1_000) });
}

/** Reads what {@link encodeProgress} made; nothing of what somebody has edited so that it cannot be read. */
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
 * A task was taken over by another worker, was deleted, or its lease has ended while the store could not be reached.
 *
 * The reason of the signal of a task that this has happened to.
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
	/** The task. */
	readonly id: string;

	/** Whether what this run has done may have been stored nevertheless: then nobody here knows. */
	readonly isUnknown: boolean;

	/**
	 * Made by a basket.
	 *
	 * @param id the task
	 * @param options whether it is unknown what was stored, and why
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

/**
 * The end of a claim as table columns, for all SQL stores.
 *
 * Two parts of the meaning of an outcome depend on the row, so only SQL can express them: a task that is to be held after its run
 * becomes held instead of waiting, and a task with more messages than were seen is due at once. Each store has these two in the
 * statement that writes an {@link Ending}. A done task without retention has no ending: the store removes it.
 *
 * @module
 */

import type { Data, Outcome, Ref, Settlement } from "../../basket/store.ts";
import * as State from "./state.ts";

/** The values that a settlement writes; `undefined` leaves a column unchanged. */
export interface Ending {
	readonly state: number;
	/**
	 * The time until the task is due, in milliseconds; `null` if only a message makes it due. For a done or dead task, its
	 * retention; `null` if it is never removed.
	 */
	readonly delay: number | null;
	readonly attempts?: number | undefined;
	readonly crashes?: number | undefined;
	readonly error?: string | undefined;
	readonly backoff?: boolean | undefined;
	/** Messages up to this number are removed. */
	readonly seen?: number | undefined;
	readonly payload?: Data | undefined;
	/** Of a done task. */
	readonly result?: Data | undefined;
	readonly history?: string | undefined;
}

/** The end of a claim that leaves its task in the table. */
export function endingOf(outcome: Outcome): Ending {
	const { type } = outcome;
	if (type === "done") return { ...outcome, state: State.done, delay: retention(outcome.retain ?? 0) };
	// A delay says that the task has run, so that it has not crashed.
	if (type === "release" && outcome.delay === undefined) return { ...outcome, state: State.waiting, delay: 0 };
	if (type === "release") return { ...outcome, state: State.waiting, delay: outcome.delay!, crashes: 0 };
	if (type === "later") return { ...outcome, state: State.waiting, attempts: 0, crashes: 0 };
	if (type === "dead") return { ...outcome, state: State.dead, delay: retention(outcome.retain) };
	return { ...outcome, state: outcome.hold ? State.held : State.waiting, crashes: 0 };
}

function retention(retain = Infinity): number | null {
	return retain < Infinity ? retain : null;
}

/** Whether the task is removed, as most tasks are. */
export function isRemoval({ outcome }: Settlement): boolean {
	return outcome.type === "done" && !((outcome.retain ?? 0) > 0);
}

/** Whether the store created the id of the task, and the task was claimed once, according to the claim. */
export function isPlain({ id, token }: Ref): boolean {
	return `_${token}` === `${id}.1`;
}

/** The number of the task, which its token begins with. */
export function seqOf({ token }: Ref): number {
	return Number.parseInt(token);
}

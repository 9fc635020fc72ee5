/**
 * The proof of a claim: what a settlement must know of it.
 *
 * @module
 */

import type { Ref } from "../../basket/store.ts";
import * as State from "../sql/state.ts";
import type { Tables } from "./tables.ts";

/** SQL for the result of {@link proofOf} for the claim of a task. It differs after another claim or a restart. */
export const madeProof: string = "seq || '.' || claims || ' ' || coalesce(id, '_' || seq)";

/** SQL for the task of the basket ?2 whose claim has the proof ?1. */
export function isRef(): string {
	return `seq = CAST(?1 AS INTEGER) AND ${madeProof} = ?1 AND basket = ?2 AND ${State.isClaimed}`;
}

/** SQL for whether a task has a log. Other numbers were written by hand. */
export function hasLog(): string {
	return `log BETWEEN 1 AND ${State.never}`;
}

/** SQL for the `extra` of a removed task. One column, because each one costs time. */
export function shownExtra(): string {
	return `CASE WHEN ${hasLog()} THEN log WHEN posted <> 0 THEN 0 END AS extra`;
}

/** SQL for the number of the last entry in the log of a task; `NULL` if there is none. */
export function lastEntry({ log }: Tables): string {
	return `iif(log IS NULL, NULL, (SELECT max(n) FROM ${log} WHERE task = log AND n BETWEEN 1 AND ${State.never}))`;
}

/** SQL for the columns of a removed task. */
export function shownGone(): string {
	return `seq, ${madeProof} AS proof, lane, ${shownExtra()}`;
}

/** SQL for the columns of a task that stays. */
export const shownEnded: string = "seq, lane, posted <> 0 AS isPosted";

/** The proof of a claim. It begins with the number of the task. */
export function proofOf({ id, token }: Ref): string {
	return `${token} ${id}`;
}

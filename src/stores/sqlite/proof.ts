/**
 * The proof of a claim: what a settlement must know of it.
 *
 * @module
 */

import type { Ref } from "../../basket/store.ts";
import * as State from "../sql/state.ts";

/** SQL for the result of {@link proofOf} for the claim of a task. It differs after another claim or a restart. */
export const madeProof: string = "seq || '.' || claims || ' ' || coalesce(id, '_' || seq)";

/** SQL for the task of the basket ?2 whose claim has the proof ?1. */
export function isRef(): string {
	return `seq = CAST(?1 AS INTEGER) AND ${madeProof} = ?1 AND basket = ?2 AND ${State.isClaimed}`;
}

/** SQL for the columns of a removed or ended task. */
export function shownGone(): string {
	return `seq, ${madeProof} AS proof, lane, posted <> 0 AS isPosted`;
}

/** The proof of a claim. It begins with the number of the task. */
export function proofOf({ id, token }: Ref): string {
	return `${token} ${id}`;
}

/**
 * Settlements as arguments of the functions in the database.
 *
 * @module
 */

import type { Outcome, Ref, Settlement } from "../../basket/store.ts";
import { duration, encode, refOf } from "./data.ts";

/** Whether the task is only removed, the store created its id, and it was claimed once. */
export function isPlain({ ref, outcome }: Settlement): boolean {
	const seq = seqOf(ref);
	return isRemoval(outcome) && ref.id === `_${seq}` && ref.token === `${seq}.1`;
}

function isRemoval(outcome: Outcome): boolean {
	return outcome.type === "done" && !((outcome.retain ?? 0) > 0);
}

export function seqOf({ token }: Ref): number {
	return Number.parseInt(token);
}

/** The values that the function writes; absent ones stay unchanged. */
export function endingOf({ ref, outcome }: Settlement): Record<string, unknown> {
	const v = outcome.payload === undefined ? undefined : encode(outcome.payload);
	const base = { ...refOf(ref), v };
	if (outcome.type === "release") return { ...base, t: 0, d: 0 };
	if (outcome.type === "done") return { ...base, t: isRemoval(outcome) ? -1 : 7, d: duration(outcome.retain ?? 0) };
	if (outcome.type === "later") {
		const d = outcome.delay === null ? null : duration(outcome.delay);
		return { ...base, t: 0, d, a: 0, c: 0, m: outcome.seen, k: outcome.backoff };
	}
	const { attempts: a, error } = outcome;
	const failed = { ...base, a, e: encode(error) };
	if (outcome.type === "dead") return { ...failed, t: 6, d: null };
	return { ...failed, t: outcome.hold ? 4 : 0, d: duration(outcome.delay), c: 0, k: outcome.backoff };
}

/**
 * The end of a claim as table columns.
 *
 * @module
 */

import type { Outcome } from "../../basket/store.ts";
import { after } from "./data.ts";
import { never } from "./schema.ts";
import * as State from "./state.ts";

/** The values that a settlement writes; `undefined` leaves a column unchanged. */
export interface Ending {
	readonly state: number;
	readonly due: number;
	readonly attempts?: number | undefined;
	readonly crashes?: number | undefined;
	readonly error?: string | undefined;
	readonly backoff?: boolean | undefined;
	readonly seen?: number | undefined;
}

/** The end of a claim that leaves its task in the table. */
export function endingOf(outcome: Outcome, now: number): Ending {
	if (outcome.type === "done") return { state: State.done, due: after(now, outcome.retain ?? 0) };
	if (outcome.type === "release") return { state: State.waiting, due: now };
	if (outcome.type === "later") {
		const { backoff } = outcome;
		const due = outcome.delay === null ? never : after(now, outcome.delay);
		return { state: State.waiting, due, attempts: 0, crashes: 0, seen: outcome.seen, backoff };
	}
	const { attempts, error } = outcome;
	if (outcome.type === "dead") return { state: State.dead, due: never, attempts, error };
	const { backoff } = outcome;
	const state = outcome.hold ? State.held : State.waiting;
	return { state, due: after(now, outcome.delay), attempts, error, crashes: 0, backoff };
}

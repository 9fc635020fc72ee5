/**
 * How a run of a task has ended.
 *
 * @module
 */

import type { LogPart, Outcome } from "./store.ts";
import { encodeFailure } from "./codec.ts";
import type { Execution, RunStep } from "../run/execution.ts";

/** A failed attempt. */
type Again = Extract<RunStep<unknown>, { readonly ok: false }>;

/** The end of a run: what is stored and what is reported. */
export interface Ending {
	readonly outcome: Outcome;
	readonly error: unknown;
	readonly delay: number;
	/** What is appended to the log of the task. */
	readonly log?: LogPart | undefined;
	/** How it has ended, if its outcome does not tell. */
	readonly told?: "done" | "dead" | "released" | undefined;
	/** How long the function took, in milliseconds, if it is observed. */
	readonly took?: number | undefined;
	/** What the function has returned. */
	readonly value?: unknown;
	/** Called once this is stored. */
	readonly onStored?: (() => void) | undefined;
}

/** An ending that is no failure. */
export function endingWith(outcome: Outcome, onStored?: () => void, log?: LogPart): Ending {
	return { outcome, error: undefined, delay: 0, onStored, log };
}

/** The end of an attempt that was the last one. */
export function deadEnding(attempts: number, error: unknown, retain: number = Infinity): Ending {
	const kept = retain < Infinity ? { retain } : {};
	return { outcome: { type: "dead", attempts, error: encodeFailure(error), ...kept }, error, delay: 0 };
}

/** The end of a released claim. */
export const released: Ending = { outcome: { type: "release" }, error: undefined, delay: 0, told: "released" };

/**
 * The end of an attempt after which another one follows.
 *
 * @param attempts the attempts including this one
 * @param mayShut whether its kind has a limit, all of whose tasks it may hold back
 */
export function againEnding(
	{ error, delay, later }: Again,
	{ lastDelay, hint }: Pick<Execution<unknown>, "lastDelay" | "hint">,
	attempts: number,
	mayShut: boolean,
): Ending {
	const isKeyShut = mayShut && hint?.limit;
	if (later) return { outcome: { type: "release", delay, isKeyShut }, error: undefined, delay };
	const backoff = hint?.delay === undefined;
	const stored = encodeFailure(error, lastDelay);
	return { outcome: { type: "retry", delay, attempts, error: stored, backoff, isKeyShut }, error, delay };
}

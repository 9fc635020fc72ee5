/**
 * How a run of a task has ended.
 *
 * @module
 */

import type { Outcome } from "./store.ts";
import { encodeFailure } from "./codec.ts";

/** The end of a run: what is stored and what is reported. */
export interface Ending {
	readonly outcome: Outcome;
	readonly error: unknown;
	readonly delay: number;
	/** How it has ended, if the outcome is that of a schedule, which goes on. */
	readonly told?: "done" | "dead" | undefined;
	/** What the function has returned. */
	readonly value?: unknown;
	/** Called once this is stored. */
	readonly onStored?: (() => void) | undefined;
}

/** An ending that is no failure. */
export function endingWith(outcome: Outcome, onStored?: () => void): Ending {
	return { outcome, error: undefined, delay: 0, onStored };
}

/** The end of an attempt that was the last one. */
export function deadEnding(attempts: number, error: unknown, retain: number = Infinity): Ending {
	const kept = retain < Infinity ? { retain } : {};
	return { outcome: { type: "dead", attempts, error: encodeFailure(error), ...kept }, error, delay: 0 };
}

/** The end of a released claim. */
export const released: Ending = /* @__PURE__ */ endingWith({ type: "release" });

/**
 * How a run of a task has ended.
 *
 * @module
 */

import type { Outcome } from "./store.ts";

/** The end of a run: what is stored and what is reported. */
export interface Ending {
	readonly outcome: Outcome;
	readonly error: unknown;
	readonly delay: number;
	/** Called once this is stored. */
	readonly onStored?: (() => void) | undefined;
}

/** An ending that is no failure. */
export function endingWith(outcome: Outcome, onStored?: () => void): Ending {
	return { outcome, error: undefined, delay: 0, onStored };
}

/** The end of a released claim. */
export const released: Ending = /* @__PURE__ */ endingWith({ type: "release" });

/**
 * How a run of a task has ended.
 *
 * @module
 */

import type { Outcome } from "./store.ts";

/** What is stored of the end of a run, and what is told. */
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

/** How a claim ends that is given back. */
export const released: Ending = /* @__PURE__ */ endingWith({ type: "release" });

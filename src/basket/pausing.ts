/**
 * The options of a stored pause.
 *
 * @module
 */

import { check, refuse } from "../platform/check.ts";

/**
 * Options for {@link Basket.pause} and {@link Basket.resume} in the store: no process begins a paused task until a
 * resume with the same options, and the pause outlives the processes. Running tasks continue. `drain` ends as if paused
 * tasks were not due. A pause of all kinds and one of a kind are independent.
 */
export interface StoredPause {
	/** The pause is kept in the store, for all processes. */
	stored: true;
	/** Only tasks of this kind. Default: all kinds. */
	kind?: string | undefined;
}

/** Checks the options: a pause of this object only has none. */
export function checkStored(options: StoredPause): StoredPause {
	const { stored } = check("options", options, "object");
	if (stored !== true) refuse("stored", stored, "true");
	return options;
}

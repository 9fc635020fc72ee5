/**
 * An attempt that an observer is told of.
 *
 * @module
 */

import type { ObservedAttempt } from "../run/observer.ts";

/** An attempt that has begun, or will begin together with others. */
export interface Watched {
	readonly attempt: ObservedAttempt;
	/** The start of its function, on the monotonic clock. */
	begunAt: number | undefined;
	/** Whether its observer was told that its claim is lost. */
	isLost?: boolean;
	/** Calls the function of these attempts, of which this is the first. */
	begin<T>(batch: readonly Watched[], call: () => T): T;
	/** How long its task has been due, in milliseconds. */
	waited(): number;
}

/**
 * What a job needs of the task that was claimed for it.
 *
 * @module
 */

import type { Claim, Data } from "./store.ts";

/** A claim, as the job sees it that runs under it. */
export interface JobClaim {
	readonly id: string;
	readonly kind: string;
	/** The current one: it may be renewed by a new one. */
	readonly claim: Claim;
	/** Of the run. */
	readonly signal: AbortSignal;
	/** Whether nothing is written about this claim any more. */
	readonly isOver: boolean;
	/** Waits for calls of the store, but not without end; nor does the basket when it stops. */
	readonly calls: {
		track<T>(ask: () => Promise<T>, limit?: number): Promise<T>;
	};
	/** Something was posted to the job: called with each renewal of the lease, for as long as it is there. */
	onPosted: (() => void) | undefined;
	/** A transaction is to store what the run has done: until it is over, the lease is not renewed in the way of others. */
	beginCommit(): void;
	/** The transaction is over, or there is none. */
	endCommit(): void;
	/** Tells what the run itself has stored. */
	saved(data: Data): void;
	/** The claim is somebody else's. */
	lose(): void;
}

/**
 * The interface of a job to its claimed task.
 *
 * @module
 */

import type { Claim, Data } from "./store.ts";

/** A claim, as the job that runs under it sees it. */
export interface JobClaim {
	readonly id: string;
	readonly kind: string;
	/** The current claim. A renewed claim replaces it. */
	readonly claim: Claim;
	/** The signal of the run. */
	readonly signal: AbortSignal;
	/** Whether nothing is written about this claim anymore. */
	readonly isOver: boolean;
	/** Waits for calls to the store with a time limit, which also limits the stop of the basket. */
	readonly calls: {
		track<T>(ask: () => Promise<T>, limit?: number): Promise<T>;
	};
	/** Called at each renewal of the lease while messages are in the inbox of the job. */
	onPosted: (() => void) | undefined;
	/** Whether that has happened, perhaps before the job began to run. */
	readonly isPosted: boolean;
	/** A transaction will store the result of the run. Until it ends, the lease is not renewed in the usual way. */
	beginCommit(): void;
	/** The transaction has ended, or there is none. */
	endCommit(): void;
	/** Records what the run itself has stored: the payload, if it was changed, and the number of log entries. */
	saved(data: Data | undefined, logged?: number): void;
	/** Another worker has the claim. */
	lose(): void;
}

/**
 * What a claimed task needs of the claims of its worker, and the other way round.
 *
 * @module
 */

import type { Calls } from "./calls.ts";
import type { BasketSettings } from "./options.ts";
import type { Claim } from "./store.ts";
import type { Watched } from "./observing.ts";

/** The interface of a claimed task to its basket. */
export interface ClaimOwner<Tx> {
	readonly settings: BasketSettings<Tx>;
	readonly calls: Calls;
	/** Whether the function of a task is being called synchronously. */
	isCalling: boolean;
	/** Ends the claims whose leases may have expired. */
	expire(): void;
	/** Renews leases, and calls {@link Leased.renewed}. */
	extend(tasks: readonly Leased[], limit: number): Promise<readonly LeaseState[]>;
	/** Progress was reported and should be saved soon. */
	onProgress(): void;
}

/** The answer of the store to a renewal. */
export type LeaseState = "ok" | "lost" | "posted";

/** A claim that can be renewed. */
export interface Leased {
	readonly id: string;
	readonly kind: string;
	/** The number of its attempt; 0 if that has not begun. */
	readonly attempt: number;
	/** Its attempt, once an observer is told of it. */
	readonly watched?: Watched | undefined;
	/** The current claim. A renewed claim replaces it. */
	readonly claim: Claim;
	/** The store has answered whether the claim is still there. */
	renewed(state: LeaseState, endsAt: number): void;
}

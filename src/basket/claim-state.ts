/**
 * The states of a claim, and of the run under it.
 *
 * ```text
 *   claimed ──(run)──► running ──(the run ends)──► ended ──(settled)──► over
 *                       │   ▲
 *    (a transaction is  │   │ (it is not committed)
 *   to end the claim)   ▼   │
 *                     completing ──(the claim is gone)──► completed ──(told)──► over
 *                       │
 *                       │ (the lease may be over)
 *                       ▼
 *                     overdue ──(it is not committed)──► late ──(given back)──► over
 *
 *   claimed, running ──(the lease may be over)──► expired ──(given back)──► over
 *   completing, overdue ──(lost, abandoned)──► doubtful
 *   any other one ──(lost, abandoned)──► over
 * ```
 *
 * In the states `expired`, `doubtful` and `over`, the claim can only be released, and nothing else is written. A run
 * continues only until it reacts to its signal. The state of a task that is being completed is not `over` when its
 * lease ends: its transaction may still commit, so the store is asked when the run has ended. In the state
 * `doubtful`, the outcome is unknown here.
 *
 * @module
 */

import { type Claim, fingerprint } from "./store.ts";

type State =
	| "claimed"
	| "running"
	| "completing"
	| "overdue"
	| "late"
	| "completed"
	| "ended"
	| "expired"
	| "doubtful"
	| "over";

const active: readonly State[] = ["claimed", "running", "completing"];
const expired: readonly State[] = ["expired", "overdue", "late"];
const over: readonly State[] = ["expired", "doubtful", "over"];
const completing: readonly State[] = ["completing", "overdue", "completed", "doubtful"];

/** The state of a claim. Each transition is a method. */
export class ClaimState {
	#state: State = "claimed";

	/** Whether the run continues under a claim that ends with the lease. */
	get mayExpire(): boolean {
		return active.includes(this.#state);
	}

	/** Whether the lease may have expired before the run ended. */
	get isExpired(): boolean {
		return expired.includes(this.#state);
	}

	/** Whether nothing is written about this claim anymore, except its release. */
	get isOver(): boolean {
		return over.includes(this.#state);
	}

	/** Whether a transaction is to end the claim: its commit ends it. */
	get isCompleting(): boolean {
		return completing.includes(this.#state);
	}

	/** Whether the transaction was certainly committed. */
	get isCompleted(): boolean {
		return this.#state === "completed";
	}

	/** Whether the run has ended and must be settled. */
	get hasEnded(): boolean {
		return this.#state === "ended";
	}

	/** The run begins. */
	begin(): void {
		this.#state = "running";
	}

	/** The run has ended. */
	end(): void {
		if (this.mayExpire) this.#state = "ended";
	}

	/** A transaction will end the claim, or store the result of the run. */
	beginCommit(): void {
		if (this.#state === "running") this.#state = "completing";
	}

	/** There is no such transaction, or it has ended without ending the claim. */
	endCommit(): void {
		if (this.#state === "completing") this.#state = "running";
		else if (this.#state === "overdue") this.#state = "late";
		else if (this.#state === "doubtful") this.#state = "over";
	}

	/** The transaction was committed in time. */
	commit(): void {
		this.#state = "completed";
	}

	/** The lease may have expired. */
	expire(): void {
		this.#state = this.#state === "completing" ? "overdue" : "expired";
	}

	/** Nothing is written about the claim from now on: it is settled, lost or abandoned. */
	close(): void {
		this.#state = this.isCompleting && !this.isCompleted ? "doubtful" : "over";
	}
}

/** Whether a claim follows another one without a change of the task in between. */
export function isNext(
	{ addedAt: since, attempts: tried, crashes: crashed, payload: stored, logged: length }: Claim,
	{ addedAt, attempts, crashes, payload, logged = 0 }: Claim,
): boolean {
	const isRight = attempts === tried + 1 && crashes === crashed + 1 && addedAt === since && logged === length;
	return isRight && fingerprint(payload) === fingerprint(stored);
}

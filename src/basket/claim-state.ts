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
 * With `expired`, `doubtful` and `over` nothing is written about the claim any more, but that it is given back; a run goes on
 * only until it heeds its signal. A task that is being completed is not over with its lease: its transaction may be
 * committed all the same, so that the store is asked when the run has ended. What it has come to in the state `doubtful`,
 * nobody here knows.
 *
 * @module
 */

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

/** Where a claim is. Each transition is a method. */
export class ClaimState {
	#state: State = "claimed";

	/** Whether the run goes on under a claim that ends with the lease. */
	get mayExpire(): boolean {
		return active.includes(this.#state);
	}

	/** Whether the lease may have been over before the run has ended. */
	get isExpired(): boolean {
		return expired.includes(this.#state);
	}

	/** Whether nothing is written about this claim any more, but that it is given back. */
	get isOver(): boolean {
		return over.includes(this.#state);
	}

	/** Whether a transaction is to end the claim: who commits that, ends it. */
	get isCompleting(): boolean {
		return completing.includes(this.#state);
	}

	/** Whether it is certain that the transaction was committed. */
	get isCompleted(): boolean {
		return this.#state === "completed";
	}

	/** Whether the run has come to an end, which is to be settled. */
	get hasEnded(): boolean {
		return this.#state === "ended";
	}

	/** A run begins. */
	begin(): void {
		this.#state = "running";
	}

	/** The run has ended. */
	end(): void {
		if (this.mayExpire) this.#state = "ended";
	}

	/** A transaction is to end the claim, or to store what the run has done. */
	beginCommit(): void {
		if (this.#state === "running") this.#state = "completing";
	}

	/** There is no such transaction, or it is over without ending the claim. */
	endCommit(): void {
		if (this.#state === "completing") this.#state = "running";
		else if (this.#state === "overdue") this.#state = "late";
		else if (this.#state === "doubtful") this.#state = "over";
	}

	/** The transaction was committed in time. */
	commit(): void {
		this.#state = "completed";
	}

	/** The lease may be over. */
	expire(): void {
		this.#state = this.#state === "completing" ? "overdue" : "expired";
	}

	/** Nothing is written about the claim from here on: it is settled, lost or abandoned. */
	close(): void {
		this.#state = this.isCompleting && !this.isCompleted ? "doubtful" : "over";
	}
}

/**
 * The gate of a basket in memory, whose limit holds for tasks of all kinds.
 *
 * @module
 */

import type { BasketLimit } from "./claim.ts";
import { admitsIn, admitted, type BasketStarts, moved, noStarts, started } from "./admission.ts";
import { hasLease, type Task } from "./memory-task.ts";

export class BasketGate {
	running: ReadonlySet<Task> = new Set();
	#starts: BasketStarts = noStarts;
	/** Whether a turn has found no place. */
	#isWanted = false;

	/** The instant from which the gate is as good as a new one. */
	get goneAt(): number {
		return this.#starts.next;
	}

	/** The number of tasks that may start. */
	admit(limit: BasketLimit, now: number): number {
		this.#starts = moved(this.#starts, now);
		return admitted(limit, this.#starts, this.running.size, now);
	}

	/**
	 * Counts the starts of a turn.
	 *
	 * @param dueIn the time until a task is due
	 * @returns the time until one may start, and whether others may have one to start now
	 */
	close(limit: BasketLimit, count: number, dueIn: number, now: number): { nextIn: number; isFreed: boolean } {
		const { running } = this;
		this.#starts = started(limit, this.#starts, count, now);
		const isFull = running.size >= limit.atOnce;
		const isFreed = !isFull && this.#isWanted;
		this.#isWanted = isFull && (this.#isWanted || dueIn < Infinity);
		let leaseEnd = Infinity;
		for (const task of running) if (hasLease(task)) leaseEnd = Math.min(leaseEnd, task.at);
		return { isFreed, nextIn: Math.max(dueIn, admitsIn(limit, this.#starts, running.size, leaseEnd, now)) };
	}
}

/**
 * The lanes of one basket in memory: lists of tasks, of which each knows its neighbors.
 *
 * @module
 */

import type { Task } from "./memory-task.ts";

export class MemoryLanes {
	/** The last task of each lane. */
	readonly #last = new Map<string, Task>();

	/** The number of lanes that have tasks. */
	get size(): number {
		return this.#last.size;
	}

	/** Puts a task at the end of its lane, if it has one. */
	enter(task: Task): void {
		const { lane } = task;
		if (lane === undefined) return;
		task.previous = this.#last.get(lane);
		if (task.previous !== undefined) task.previous.next = task;
		this.#last.set(lane, task);
	}

	/** Removes a task from its lane. Returns the next one. */
	leave(task: Task): Task | undefined {
		const { lane, previous, next } = task;
		if (lane === undefined) return undefined;
		if (previous !== undefined) previous.next = next;
		if (next !== undefined) next.previous = previous;
		else if (previous !== undefined) this.#last.set(lane, previous);
		else this.#last.delete(lane);
		task.previous = task.next = undefined;
		return next;
	}
}

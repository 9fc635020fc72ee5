/**
 * The tasks of one basket in memory, in the order in which they were added.
 *
 * @module
 */

import type { ListQuery } from "./store.ts";
import { orderOf, stateOf, type Task } from "./memory-task.ts";

export class TaskLog {
	#tasks: Task[] = [];

	/** The number of tasks, including removed ones. */
	get size(): number {
		return this.#tasks.length;
	}

	add(task: Task): void {
		this.#tasks.push(task);
	}

	/** Forgets removed tasks. */
	compact(isThere: (task: Task) => boolean): void {
		this.#tasks = this.#tasks.filter(isThere);
	}

	/** The tasks that a query selects, of those that are there. */
	list(query: ListQuery, isThere: (task: Task) => boolean): Task[] {
		const { state, kind, lane, prefix = "", after, limit, isReverse = false } = query;
		const isWanted = (task: Task) =>
			(state ?? stateOf(task)) === stateOf(task) && (kind ?? task.kind) === task.kind &&
			(lane ?? task.lane) === task.lane && task.id.startsWith(prefix) && isThere(task);
		const order = orderOf(after);
		const end = after === undefined ? this.#tasks.length : this.#behind(order - 1);
		const found: Task[] = [];
		for (let index = isReverse ? end - 1 : this.#behind(order); found.length < limit; index += isReverse ? -1 : 1) {
			const task = this.#tasks[index];
			if (task === undefined) break;
			if (isWanted(task)) found.push(task);
		}
		return found;
	}

	/** The index of the first task that was added after this order. */
	#behind(order: number): number {
		let least = 0;
		for (let most = this.#tasks.length; least < most;) {
			const middle = (least + most) >> 1;
			if (this.#tasks[middle]!.order <= order) least = middle + 1;
			else most = middle;
		}
		return least;
	}
}

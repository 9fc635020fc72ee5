/**
 * The tasks of one basket in memory, by their ids and in the order in which they were added.
 *
 * @module
 */

import type { Counts, ListQuery } from "./store.ts";
import { isOfKind } from "./variants.ts";
import { isOver, orderOf, stateOf, type Task } from "./memory-task.ts";

/** The number of expired tasks that a turn without settlements removes. */
export const leastExpired = 100;

/** All tasks of a basket, of which lists show those that are no children; or the children of one task. */
export class TaskIndex {
	readonly #byId = new Map<string, Task>();
	/** All tasks in the order added. Removed tasks stay until they are the majority. */
	#inOrder: Task[] = [];

	get size(): number {
		return this.#byId.size;
	}

	get(id: string): Task | undefined {
		return this.#byId.get(id);
	}

	values(): Iterable<Task> {
		return this.#byId.values();
	}

	/** @param isListed whether lists show it */
	add(task: Task, isListed = true): void {
		this.#byId.set(task.id, task);
		if (isListed) this.#inOrder.push(task);
	}

	remove({ id }: Task): void {
		this.#byId.delete(id);
		if (this.#inOrder.length > 2 * this.size + 100) this.#inOrder = this.#inOrder.filter((task) => this.#isThere(task));
	}

	counts(now: number): Counts {
		const counts = { waiting: 0, running: 0, held: 0, dead: 0, done: 0 };
		for (const task of this.values()) counts[stateOf(task)] += isGone(task, now) ? 0 : 1;
		return counts;
	}

	/** The tasks that a query selects. */
	list(query: ListQuery, now: number): Task[] {
		const { state, kind, lane, prefix = "", after, limit, isReverse = false } = query;
		const isWanted = (task: Task) =>
			(state ?? stateOf(task)) === stateOf(task) && (kind === undefined || isOfKind(task.kind, kind)) &&
			(lane ?? task.lane) === task.lane && task.id.startsWith(prefix) && this.#isThere(task) && !isGone(task, now);
		const order = orderOf(after);
		const end = after === undefined ? this.#inOrder.length : this.#behind(order - 1);
		const found: Task[] = [];
		for (let index = isReverse ? end - 1 : this.#behind(order); found.length < limit; index += isReverse ? -1 : 1) {
			const task = this.#inOrder[index];
			if (task === undefined) break;
			if (isWanted(task)) found.push(task);
		}
		return found;
	}

	#isThere(task: Task): boolean {
		return this.get(task.id) === task;
	}

	/** The index of the first task that was added after this order. */
	#behind(order: number): number {
		let least = 0;
		for (let most = this.#inOrder.length; least < most;) {
			const middle = (least + most) >> 1;
			if (this.#inOrder[middle]!.order <= order) least = middle + 1;
			else most = middle;
		}
		return least;
	}
}

/** Whether the retention of a task has ended: then nobody may see it, even if no turn has removed it. */
export function isGone(task: Task, now: number): boolean {
	return isOver(task) && task.at <= now;
}

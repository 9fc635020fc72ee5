/**
 * The queue of tasks that wait for a worker: the highest priority first, then in the order of arrival.
 *
 * It has one linked list for each priority in use, and a heap of these lists: adding, taking and removing cost O(1)
 * within a priority, and O(log n) in the number of different priorities.
 *
 * @module
 */

import { Heap, type Placed } from "../platform/heap.ts";

/** An item of the queue. The fields belong to the queue. */
export class Waiting {
	/** The neighbors in the list, which is circular and begins with its lane. Absent while the item does not wait. */
	before: Waiting | undefined;
	after: Waiting | undefined;
}

/** The items of one priority. */
class Lane extends Waiting implements Placed {
	/** The negative priority: a heap puts the least first. */
	declare readonly at: number;
	readonly order = 0;
	position = -1;

	constructor(priority: number) {
		super();
		this.at = -priority;
		this.before = this.after = this;
	}
}

/** The queue. An item can be in at most one queue. */
export class PoolQueue<T extends Waiting> {
	readonly #lanes = new Map<number, Lane>();
	readonly #heap = new Heap<Lane>();
	/** The number of waiting items. */
	size: number = 0;

	/** The next item, if any. */
	get first(): T | undefined {
		const { head } = this.#heap;
		return head?.after === head ? undefined : head!.after as T;
	}

	/** Adds an item behind the others of this priority. */
	add(item: T, priority: number): void {
		const lane = this.#lanes.get(priority) ?? this.#open(priority);
		item.after = lane;
		item.before = lane.before!;
		lane.before = item.before.after = item;
		this.size++;
	}

	/** Removes an item from any position. */
	remove(item: T): void {
		const { before, after } = item;
		if (before === undefined) return;
		before.after = after;
		after!.before = before;
		item.before = item.after = undefined;
		this.size--;
		// The last list is kept, because most pools have one priority and are often empty.
		if (before === after && this.#lanes.size > 1) this.#close(before as Lane);
	}

	#open(priority: number): Lane {
		const { head } = this.#heap;
		if (head !== undefined && this.size === 0) this.#close(head);
		const lane = new Lane(priority);
		this.#lanes.set(priority, lane);
		this.#heap.put(lane);
		return lane;
	}

	#close(lane: Lane): void {
		this.#lanes.delete(-lane.at);
		this.#heap.remove(lane);
	}
}

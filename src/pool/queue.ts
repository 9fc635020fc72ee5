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
	/** The list in which it waits, if any. */
	lane: Lane | undefined;
	before: Waiting | undefined;
	after: Waiting | undefined;
}

/** The items of one priority. */
class Lane implements Placed {
	/** The negative priority: a heap puts the least first. */
	declare readonly at: number;
	readonly order = 0;
	position = -1;
	first: Waiting | undefined;
	last: Waiting | undefined;

	constructor(priority: number) {
		this.at = -priority;
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
		return this.#heap.head?.first as T | undefined;
	}

	/** Adds an item behind the others of this priority. */
	add(item: T, priority: number): void {
		const lane = this.#lanes.get(priority) ?? this.#open(priority);
		item.lane = lane;
		item.before = lane.last;
		if (lane.last === undefined) lane.first = item;
		else lane.last.after = item;
		lane.last = item;
		this.size++;
	}

	/** Removes an item from any position. */
	remove(item: T): void {
		const { lane, before, after } = item;
		if (lane === undefined) return;
		if (before === undefined) lane.first = after;
		else before.after = after;
		if (after === undefined) lane.last = before;
		else after.before = before;
		item.lane = item.before = item.after = undefined;
		this.size--;
		// The last list is kept, because most pools have one priority and are often empty.
		if (lane.first === undefined && this.#lanes.size > 1) this.#close(lane);
	}

	#open(priority: number): Lane {
		const { head } = this.#heap;
		if (head !== undefined && head.first === undefined) this.#close(head);
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

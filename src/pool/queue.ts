/**
 * What waits for a worker: highest priority first, then first come, first served.
 *
 * One linked list for each priority that somebody waits with, and a heap of these lists: adding, taking and removing cost
 * O(1) within a priority, and O(log n) in the number of different priorities.
 *
 * @module
 */

import { Timer, TimerQueue } from "../platform/timer-queue.ts";

/** Something that can wait. The fields are the queue's own. */
export class Waiting {
	/** Where it waits, if it does. */
	lane: Lane | undefined;
	before: Waiting | undefined;
	after: Waiting | undefined;
}

/** Those of one priority. A timer, because a queue of timers serves as the heap: the highest priority is "due" first. */
class Lane extends Timer {
	readonly priority: number;
	first: Waiting | undefined;
	last: Waiting | undefined;

	constructor(priority: number) {
		super();
		this.priority = priority;
	}

	fire(): void {}
}

/** The queue. Each item waits in at most one. */
export class PoolQueue<T extends Waiting> {
	readonly #lanes = new Map<number, Lane>();
	readonly #heap = new TimerQueue();
	/** How many wait. */
	size: number = 0;

	/** The next one, if there is one. */
	get first(): T | undefined {
		return (this.#heap.head as Lane | undefined)?.first as T | undefined;
	}

	/** Adds at the end of those with this priority. */
	add(item: T, priority: number): void {
		const lane = this.#lanes.get(priority) ?? this.#open(priority);
		item.lane = lane;
		item.before = lane.last;
		if (lane.last === undefined) lane.first = item;
		else lane.last.after = item;
		lane.last = item;
		this.size++;
	}

	/** Removes one that waits, wherever it stands. */
	remove(item: T): void {
		const { lane, before, after } = item;
		if (lane === undefined) return;
		if (before === undefined) lane.first = after;
		else before.after = after;
		if (after === undefined) lane.last = before;
		else after.before = before;
		item.lane = item.before = item.after = undefined;
		this.size--;
		// The last one stays: most pools have one priority, and are often empty.
		if (lane.first === undefined && this.#lanes.size > 1) this.#close(lane);
	}

	#open(priority: number): Lane {
		const head = this.#heap.head as Lane | undefined;
		if (head !== undefined && head.first === undefined) this.#close(head);
		const lane = new Lane(priority);
		this.#lanes.set(priority, lane);
		this.#heap.set(lane, -priority);
		return lane;
	}

	#close(lane: Lane): void {
		this.#lanes.delete(lane.priority);
		this.#heap.clear(lane);
	}
}

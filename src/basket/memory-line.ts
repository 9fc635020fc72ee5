/**
 * Tasks in memory, in the order of claims.
 *
 * @module
 */

import { Heap, type Placed } from "../platform/heap.ts";

/** What the order of claims depends on. */
export interface Queued extends Placed {
	readonly priority: number;
}

/** Tasks by priority, so that the first one that is due is found at once. */
export class Line<T extends Queued> {
	readonly #heaps = new Map<number, Heap<T>>();

	get isEmpty(): boolean {
		for (const { size } of this.#heaps.values()) if (size > 0) return false;
		return true;
	}

	/** The instant at which the first task is due. */
	get dueAt(): number {
		let least = Infinity;
		for (const { head } of this.#heaps.values()) least = Math.min(least, head?.at ?? Infinity);
		return least;
	}

	/** The first task that is due, in the order of claims. */
	first(now: number): T | undefined {
		let first: T | undefined;
		for (const { head } of this.#heaps.values()) {
			if (head !== undefined && head.at <= now) first = earlier(first, head);
		}
		return first;
	}

	heapOf(priority: number): Heap<T> {
		let heap = this.#heaps.get(priority);
		if (heap === undefined) this.#heaps.set(priority, heap = new Heap());
		return heap;
	}
}

/** The one of two tasks that a claim takes before the other, if both are due. */
export function earlier<T extends Queued>(a: T | undefined, b: T | undefined): T | undefined {
	if (a === undefined || b === undefined) return a ?? b;
	if (a.priority !== b.priority) return a.priority > b.priority ? a : b;
	return a.at < b.at || (a.at === b.at && a.order < b.order) ? a : b;
}

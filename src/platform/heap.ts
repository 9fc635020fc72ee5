/**
 * A binary heap whose items know their position, so that any of them can be removed.
 *
 * @module
 */

/**
 * An item of a {@link Heap}. Only the heap writes `position`. After a change of another field, the item must be put
 * again.
 */
export interface Placed {
	/** The instant by which items are sorted. */
	at: number;
	/** The order of items with the same instant; unique. */
	order: number;
	/** The index in the heap; -1 if the item is in no heap. */
	position: number;
}

/** A heap of items sorted by instant, then by order. Adding and removing cost O(log n). */
export class Heap<T extends Placed> {
	readonly #items: T[] = [];

	/** The number of items. */
	get size(): number {
		return this.#items.length;
	}

	/** The first item, if any. */
	get head(): T | undefined {
		return this.#items[0];
	}

	/** Adds an item that is in no other heap, or moves it to its new position. */
	put(item: T): void {
		this.#place(item, item.position < 0 ? this.#items.length : item.position);
	}

	/** Removes an item. Does nothing if it is in no heap. */
	remove(item: T): void {
		const { position } = item;
		if (position < 0) return;
		item.position = -1;
		const last = this.#items.pop()!;
		if (last !== item) this.#place(last, position);
	}

	/** Puts an item into a free place, after moving others up or down if necessary. */
	#place(item: T, free: number): void {
		const items = this.#items;
		let other: T | undefined;
		while (free > 0 && isBefore(item, other = items[(free - 1) >> 1]!)) free = this.#move(other, free);
		while ((other = this.#firstBelow(free)) && isBefore(other, item)) free = this.#move(other, free);
		this.#move(item, free);
	}

	#firstBelow(position: number): T | undefined {
		const left = this.#items[2 * position + 1];
		const right = this.#items[2 * position + 2];
		return right !== undefined && isBefore(right, left!) ? right : left;
	}

	/** Returns the index that became free. */
	#move(item: T, to: number): number {
		const from = item.position;
		this.#items[to] = item;
		item.position = to;
		return from;
	}
}

function isBefore(a: Placed, b: Placed): boolean {
	return a.at < b.at || (a.at === b.at && a.order < b.order);
}

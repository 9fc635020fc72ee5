/**
 * A binary heap whose items know where they stand, so that any of them can be taken out.
 *
 * @module
 */

/** What a {@link Heap} can keep. Only the heap writes `position`; after a change of the other two it has to be put again. */
export interface Placed {
	/** The instant that decides. */
	at: number;
	/** Decides between items of the same instant: no two have the same. */
	order: number;
	/** Where it stands in its heap; -1 when it is in none. */
	position: number;
}

/** Items by instant, the earliest first, then by order. Adding and removing cost O(log n). */
export class Heap<T extends Placed> {
	readonly #items: T[] = [];

	/** How many items there are. */
	get size(): number {
		return this.#items.length;
	}

	/** The first item, if there is one. */
	get head(): T | undefined {
		return this.#items[0];
	}

	/** Adds an item that is in no other heap, or moves it to where it belongs now. */
	put(item: T): void {
		this.#place(item, item.position < 0 ? this.#items.length : item.position);
	}

	/** Removes an item; harmless if it is in no heap. */
	remove(item: T): void {
		const { position } = item;
		if (position < 0) return;
		item.position = -1;
		const last = this.#items.pop()!;
		if (last !== item) this.#place(last, position);
	}

	/** Puts an item into a free place, or the place that becomes free when others move up or down to there. */
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

	/** Returns the place that has become free. */
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

// A map whose keys are in order.
export class Sorted<V> {
	readonly #entries: [string, V][] = [];

	get size(): number {
		return this.#entries.length;
	}

	get(key: string): V | undefined {
		const found = this.#entries[this.#placeOf(key)];
		return found?.[0] === key ? found[1] : undefined;
	}

	list(start: string, end: string, limit: number, reverse: boolean): (readonly [string, V])[] {
		const [from, to] = [this.#placeOf(start), this.#placeOf(end)];
		if (reverse) return this.#entries.slice(Math.max(from, to - limit), to).reverse();
		return this.#entries.slice(from, Math.min(to, from + limit));
	}

	set(key: string, value: V): void {
		const place = this.#placeOf(key);
		this.#entries.splice(place, this.#entries[place]?.[0] === key ? 1 : 0, [key, value]);
	}

	delete(key: string): void {
		const place = this.#placeOf(key);
		if (this.#entries[place]?.[0] === key) this.#entries.splice(place, 1);
	}

	#placeOf(key: string): number {
		let least = 0;
		for (let most = this.#entries.length; least < most;) {
			const middle = (least + most) >> 1;
			if (this.#entries[middle]![0] < key) least = middle + 1;
			else most = middle;
		}
		return least;
	}
}

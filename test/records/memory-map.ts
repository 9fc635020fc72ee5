// The least ordered map with transactions: a sorted array, one transaction at a time.
import type { Clock, StoreCapabilities } from "../../mod.ts";
import type { MapEntry, MapTransaction, OrderedMap } from "../../src/records/records.ts";

const capabilities: StoreCapabilities = { durable: false, shared: false, tx: false, clock: "machine" };

export class MemoryMap implements OrderedMap {
	readonly capabilities: StoreCapabilities = capabilities;
	readonly clock: Clock;
	readonly entries: [string, unknown][] = [];
	readonly #watchers = new Map<string, Set<() => void>>();
	#undo: (() => void)[] = [];
	#woken: string | undefined;

	constructor(clock: Clock) {
		this.clock = clock;
	}

	async open(): Promise<void> {}

	async transaction<R>(
		work: (map: MapTransaction, attempt: number) => R | Promise<R>,
		{ tx }: { tx?: never },
	): Promise<R> {
		if (tx !== undefined) throw new TypeError("There are no transactions");
		this.#undo = [];
		this.#woken = undefined;
		try {
			const result = work(this, 0);
			if (result instanceof Promise) throw new Error("A work that waits");
			const woken = this.#woken;
			if (woken !== undefined) queueMicrotask(() => this.#watchers.get(woken)?.forEach((wake) => wake()));
			return result;
		} catch (error) {
			for (const undo of this.#undo.reverse()) undo();
			throw error;
		}
	}

	get(keys: readonly string[]): unknown[] {
		return keys.map((key) => this.#find(key)?.[1]);
	}

	list({ start, end, limit = Infinity, reverse = false }: { start: string; end: string; limit?: number | undefined; reverse?: boolean | undefined }): MapEntry[] {
		const [from, to] = [this.#placeOf(start), this.#placeOf(end)];
		if (reverse) return this.entries.slice(Math.max(from, to - limit), to).reverse();
		return this.entries.slice(from, Math.min(to, from + limit));
	}

	set(key: string, value: unknown): void {
		const place = this.#placeOf(key);
		const found = this.entries[place];
		if (found?.[0] === key) {
			const before = found[1];
			found[1] = value;
			this.#undo.push(() => this.set(key, before));
		} else {
			this.entries.splice(place, 0, [key, value]);
			this.#undo.push(() => this.delete(key));
		}
	}

	delete(key: string): void {
		const place = this.#placeOf(key);
		if (this.entries[place]?.[0] !== key) return;
		const [[, before]] = this.entries.splice(place, 1) as [[string, unknown]];
		this.#undo.push(() => this.set(key, before));
	}

	wake(basket: string): void {
		this.#woken = basket;
	}

	watch(basket: string, wake: () => void): () => void {
		const watchers = this.#watchers.get(basket) ?? new Set();
		this.#watchers.set(basket, watchers.add(wake));
		return () => watchers.delete(wake);
	}

	#find(key: string): [string, unknown] | undefined {
		const found = this.entries[this.#placeOf(key)];
		return found?.[0] === key ? found : undefined;
	}

	#placeOf(key: string): number {
		let least = 0;
		for (let most = this.entries.length; least < most;) {
			const middle = (least + most) >> 1;
			if (this.entries[middle]![0] < key) least = middle + 1;
			else most = middle;
		}
		return least;
	}
}

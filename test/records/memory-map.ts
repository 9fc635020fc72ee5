// A minimal ordered map with transactions: a sorted array, and one transaction at a time.
import type { Clock } from "../../mod.ts";
import type { StoreCapabilities } from "../../src/store.ts";
import type { WakeReason } from "../../src/basket/store.ts";
import type { MapEntry, MapRange, MapTransaction, OrderedMap } from "../../src/records/records.ts";
import { Sorted } from "./sorted.ts";

const capabilities: StoreCapabilities = { durable: false, shared: false, tx: false, clock: "machine" };

export class MemoryMap implements OrderedMap {
	readonly capabilities: StoreCapabilities = capabilities;
	readonly clock: Clock;
	readonly entries: Sorted<unknown> = new Sorted();
	readonly #watchers = new Map<string, Set<(reason?: WakeReason) => void>>();
	#undo: (() => void)[] = [];
	#woken: readonly [string, WakeReason | undefined] | undefined;

	constructor(clock: Clock) {
		this.clock = clock;
	}

	async open(): Promise<void> {}

	async transaction<R>(
		work: (map: MapTransaction, attempt: number) => R | Promise<R>,
	): Promise<R> {
		this.#undo = [];
		this.#woken = undefined;
		try {
			const result = work(this, 0);
			if (result instanceof Promise) throw new Error("A work that waits");
			const [woken = "", reason] = this.#woken ?? [];
			if (this.#woken) queueMicrotask(() => this.#watchers.get(woken)?.forEach((wake) => wake(reason)));
			return result;
		} catch (error) {
			for (const undo of this.#undo.reverse()) undo();
			throw error;
		}
	}

	get(keys: readonly string[]): unknown[] {
		return keys.map((key) => this.entries.get(key));
	}

	list({ start, end, limit = Infinity, reverse = false }: MapRange): readonly MapEntry[] {
		return this.entries.list(start, end, limit, reverse);
	}

	set(key: string, value: unknown): void {
		this.#noteFor(key);
		this.entries.set(key, value);
	}

	delete(key: string): void {
		this.#noteFor(key);
		this.entries.delete(key);
	}

	wake(basket: string, reason: WakeReason | undefined): void {
		this.#woken = [basket, reason];
	}

	watch(basket: string, wake: (reason?: WakeReason) => void): () => void {
		const watchers = this.#watchers.get(basket) ?? new Set();
		this.#watchers.set(basket, watchers.add(wake));
		return () => watchers.delete(wake);
	}

	#noteFor(key: string): void {
		const before = this.entries.get(key);
		this.#undo.push(() => before === undefined ? this.entries.delete(key) : this.entries.set(key, before));
	}
}

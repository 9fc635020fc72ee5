// An asynchronous ordered map with concurrent transactions. It rolls back a transaction that conflicts with an
// earlier commit.
import type { Clock } from "../../mod.ts";
import type { StoreCapabilities } from "../../src/store.ts";
import type { WakeReason } from "../../src/basket/store.ts";
import type { MapEntry, MapRange, MapTransaction, OrderedMap, TransactOptions } from "../../src/records/records.ts";
import { Sorted } from "./sorted.ts";

/** A transaction of the caller: a list of changes that are invisible before the commit. */
export class Changes {
	readonly drafts = new Map<OptimisticMap, Draft>();

	commit(): boolean {
		return [...this.drafts].every(([map, draft]) => map.commit(draft));
	}
}

interface Value {
	readonly value: unknown;
	readonly version: number;
}

export class OptimisticMap implements OrderedMap<Changes> {
	readonly capabilities: StoreCapabilities = { durable: false, shared: true, tx: true, clock: "machine" };
	readonly isOptimistic = true;
	readonly isSparse = true;
	readonly inline = 4;
	readonly perCommit: number = 9;
	readonly clock: Clock;
	readonly values: Sorted<Value> = new Sorted();
	readonly #watchers = new Map<string, Set<(reason?: WakeReason) => void>>();
	#version = 0;

	constructor(clock: Clock) {
		this.clock = clock;
	}

	async open(): Promise<void> {}

	async transaction<R>(
		work: (map: MapTransaction, attempt: number) => R | Promise<R>,
		{ basket, tx }: TransactOptions<Changes> & { basket: string },
	): Promise<R> {
		if (tx !== undefined) {
			const draft = tx.drafts.get(this) ?? new Draft(this, true);
			tx.drafts.set(this, draft);
			draft.basket = basket;
			return await draft.inTurn(() => work(draft, 0));
		}
		for (let attempt = 0;; attempt++) {
			const draft = new Draft(this, false);
			draft.basket = basket;
			const result = await work(draft, attempt);
			if (this.commit(draft)) return result;
		}
	}

	commit({ seen, written, isFailed, isAwake, reason, basket }: Draft): boolean {
		if (isFailed) return false;
		for (const [key, version] of seen) if ((this.values.get(key)?.version ?? 0) !== version) return false;
		this.#version++;
		for (const [key, value] of written) {
			if (value === undefined) this.values.delete(key);
			else this.values.set(key, { value, version: this.#version });
		}
		if (isAwake) queueMicrotask(() => this.#watchers.get(basket)?.forEach((wake) => wake(reason)));
		return true;
	}

	wake(_basket: string, reason: WakeReason | undefined, map: MapTransaction): void {
		(map as Draft).isAwake = true;
		(map as Draft).reason = reason;
	}

	watch(basket: string, wake: (reason?: WakeReason) => void): () => void {
		const watchers = this.#watchers.get(basket) ?? new Set();
		this.#watchers.set(basket, watchers.add(wake));
		return () => watchers.delete(wake);
	}
}

class Draft implements MapTransaction {
	readonly #map: OptimisticMap;
	readonly #got = new Map<string, number>();
	#turn: Promise<unknown> = Promise.resolve();
	#isBusy = false;
	/** The versions of the keys on which the commit depends. */
	readonly seen = new Map<string, number>();
	readonly written = new Map<string, unknown>();
	readonly fail?: () => void;
	readonly hasSet?: (key: string) => boolean;
	isFailed = false;
	isAwake = false;
	reason: WakeReason | undefined;
	basket = "";

	constructor(map: OptimisticMap, isBlind: boolean) {
		this.#map = map;
		if (!isBlind) return;
		this.fail = () => this.isFailed = true;
		this.hasSet = (key) => this.written.get(key) !== undefined;
	}

	async get(keys: readonly string[]): Promise<unknown[]> {
		await undefined;
		return keys.map((key) => {
			const found = this.#map.values.get(key);
			if (!this.#got.has(key)) this.#got.set(key, found?.version ?? 0);
			return this.written.has(key) ? this.written.get(key) : found?.value;
		});
	}

	async list({ start, end, limit = Infinity, reverse = false }: MapRange): Promise<MapEntry[]> {
		await undefined;
		const own = [...this.written].filter(([key]) => key >= start && key < end);
		const stored = this.#map.values.list(start, end, limit + own.length, reverse);
		const all = new Map<string, unknown>(stored.map(([key, { value }]) => [key, value]));
		for (const [key, value] of own) all.set(key, value);
		const found = [...all].filter(([, value]) => value !== undefined).sort(([a], [b]) => (a < b) === reverse ? 1 : -1);
		return found.slice(0, limit);
	}

	set(key: string, value: unknown): void {
		this.written.set(key, value);
	}

	delete(key: string): void {
		this.written.set(key, undefined);
	}

	check(key: string): void {
		// If this transaction has not read the key, the key must not exist at the commit.
		if (!this.seen.has(key)) this.seen.set(key, this.#got.get(key) ?? 0);
	}

	/** Runs operations one after the other, the first immediately. */
	inTurn<R>(work: () => R | Promise<R>): Promise<R> {
		const done = this.#isBusy ? this.#turn.then(work) : Promise.resolve(work());
		this.#isBusy = true;
		const turn = this.#turn = done.then(() => {}, () => {}).then(() => {
			if (this.#turn === turn) this.#isBusy = false;
		});
		return done;
	}
}

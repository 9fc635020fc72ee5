/**
 * One shared operation per key.
 *
 * @module
 */

import {
	Intermittent,
	type IntermittentOptions,
	type IntermittentSnapshot,
	type IntermittentStarted,
} from "./intermittent.ts";
import { abortError } from "../platform/abort-error.ts";
import { check, checkedSignal, checkSignal } from "../platform/check.ts";
import { Snapshot, type Subscribable } from "../platform/snapshot.ts";
import type { StopOptions } from "../platform/waiters.ts";

/**
 * An {@link Intermittent} for each key. The operations of different keys are independent. The map keeps a key only
 * while its operation is not idle.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { IntermittentMap } from "upkeep";
 *
 * const log: string[] = [];
 * const rooms = new IntermittentMap((room: string) => {
 * 	log.push(`join ${room}`);
 * 	return () => void log.push(`leave ${room}`);
 * });
 * const controller = new AbortController();
 * await rooms.attach("lobby", controller.signal);
 * assert.equal(rooms.size, 1);
 * controller.abort();
 * assert.equal(rooms.size, 0);
 * assert.deepEqual(log, ["join lobby", "leave lobby"]);
 * ```
 */
export class IntermittentMap<K, V = void>
	implements Subscribable<ReadonlyMap<K, IntermittentSnapshot>>, AsyncDisposable {
	readonly #start: (key: K, signal: AbortSignal) => IntermittentStarted<V> | PromiseLike<IntermittentStarted<V>>;
	readonly #options: IntermittentOptions;
	readonly #entries = new Map<K, Intermittent<V>>();
	readonly #snapshot: Snapshot<ReadonlyMap<K, IntermittentSnapshot>>;
	/** How many calls of {@link stop} are telling operations to stop. */
	#stopping = 0;
	/** The latest call of {@link stop}. */
	#latest: { readonly reason: unknown } | undefined;
	/** The last snapshot. */
	#seen: ReadonlyMap<K, IntermittentSnapshot> = new Map();

	/** See {@link Subscribable.subscribe}. */
	declare readonly subscribe: (listener: () => void) => () => void;
	/** See {@link Subscribable.getSnapshot}: the keys whose operations are not idle. */
	declare readonly getSnapshot: () => ReadonlyMap<K, IntermittentSnapshot>;

	/**
	 * Creates a map in which every operation is idle.
	 *
	 * @param start starts the operation of a key
	 * @param options the options of each {@link Intermittent}
	 * @throws {TypeError | RangeError} for arguments of the wrong type or out of range
	 */
	constructor(
		start: (key: K, signal: AbortSignal) => IntermittentStarted<V> | PromiseLike<IntermittentStarted<V>>,
		options: IntermittentOptions = {},
	) {
		this.#start = check("start", start, "function");
		this.#options = { ...check("options", options, "object") };
		this.#make(undefined as K); // checks the options
		// Compared on each read, because callbacks may read the snapshot before subscribers are notified.
		this.getSnapshot = () => {
			const entries = [...this.#entries].map(([key, entry]) => [key, entry.getSnapshot()] as const);
			const isSame = ([key, snapshot]: (typeof entries)[number]) => this.#seen.get(key) === snapshot;
			if (entries.length !== this.#seen.size || !entries.every(isSame)) this.#seen = new Map(entries);
			return this.#seen;
		};
		this.#snapshot = new Snapshot(this.getSnapshot, this.#options.onError);
		this.subscribe = this.#snapshot.subscribe;
	}

	/** The number of operations that are not idle. */
	get size(): number {
		return this.#entries.size;
	}

	/** The state of the operation of `key`, and its number of listeners. */
	get(key: K): IntermittentSnapshot {
		return this.#entries.get(key)?.getSnapshot() ?? { state: "idle", listeners: 0 };
	}

	/** Listens to the operation of `key`; see {@link Intermittent.attach}. */
	async attach(key: K, signal: AbortSignal): Promise<V> {
		checkSignal(signal);
		if (this.#stopping > 0) {
			// A subscriber that hears of the stop of one key may attach to another key, which is still to be stopped.
			const latest = this.#latest;
			await undefined;
			if (latest !== this.#latest) throw this.#latest!.reason;
		}
		signal.throwIfAborted();
		return await (this.#entries.get(key) ?? this.#add(key)).attach(signal);
	}

	/**
	 * Stops the operations of all keys: see {@link Intermittent.stop}. An attach starts the operation of its key
	 * again.
	 *
	 * @param options why, and how long to wait
	 * @returns a promise that resolves when all of them have stopped
	 * @throws {unknown} (as a rejection) the signal's reason, if it aborts first; the operations continue to stop
	 * @throws {TypeError} (as a rejection) for options of the wrong type
	 */
	async stop(options: StopOptions = {}): Promise<void> {
		const signal = checkedSignal(options);
		const { reason = abortError("The operations were stopped") } = options;
		this.#latest = { reason };
		this.#stopping++;
		const stops = [...this.#entries.values()].map((entry) => entry.stop({ reason, signal }));
		this.#stopping--;
		await Promise.all(stops);
	}

	/** The same as {@link stop}. */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	#add(key: K): Intermittent<V> {
		const entry = this.#make(key);
		this.#entries.set(key, entry);
		entry.subscribe(() => {
			// Checked, because a subscriber may have attached meanwhile and created the next entry.
			if (entry.state === "idle" && this.#entries.get(key) === entry) this.#entries.delete(key);
			this.#snapshot.changed();
		});
		return entry;
	}

	#make(key: K): Intermittent<V> {
		return new Intermittent((signal) => this.#start(key, signal), this.#options);
	}
}

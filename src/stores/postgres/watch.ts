/**
 * Notices that somebody has changed the database.
 *
 * @module
 */

import { systemClock } from "../../platform/clock.ts";
import { observe, type OnError, report } from "../../platform/observe.ts";
import { CallbackTimer } from "../../platform/timer-queue.ts";
import type { Listen } from "./driver.ts";
import { toStoreError } from "./errors.ts";

interface Watcher {
	readonly wake: () => void;
	readonly onError: OnError;
}

export class Watch {
	readonly #listen: Listen | undefined;
	readonly #channel: string;
	readonly #interval: number;
	readonly #watchers = new Map<string, Set<Watcher>>();
	readonly #timer = new CallbackTimer(() => this.#poll(), true);
	#stop: Promise<(() => unknown) | undefined> | undefined;

	constructor(listen: Listen | undefined, channel: string, interval: number) {
		this.#listen = listen;
		this.#channel = channel;
		this.#interval = interval;
	}

	add(basket: string, wake: () => void, onError: OnError): () => void {
		const watcher = { wake, onError };
		const watchers = this.#watchers.get(basket) ?? new Set();
		if (this.#watchers.size === 0) this.#begin();
		this.#watchers.set(basket, watchers.add(watcher));
		return () => this.#remove(basket, watcher);
	}

	#remove(basket: string, watcher: Watcher): void {
		const watchers = this.#watchers.get(basket);
		if (watchers?.delete(watcher) && watchers.size === 0) this.#watchers.delete(basket);
		if (this.#watchers.size > 0) return;
		systemClock.clear(this.#timer);
		void this.#stop?.then((stop) => stop?.());
		this.#stop = undefined;
	}

	#begin(): void {
		if (this.#listen === undefined) return this.#poll();
		this.#stop = this.#listen(this.#channel, (payload) => this.#hear(payload), (error) => this.#fail(error)).catch(
			(error) => {
				this.#fail(error);
				return undefined;
			},
		);
	}

	#hear(payload: string): void {
		for (const [basket, watchers] of [...this.#watchers]) {
			if (basket.startsWith(payload)) { for (const { wake, onError } of [...watchers]) observe(onError, wake); }
		}
	}

	#poll(): void {
		systemClock.set(this.#timer, this.#interval);
		this.#hear("");
	}

	#fail(error: unknown): void {
		for (const { onError } of [...this.#watchers.values()].flatMap((watchers) => [...watchers])) {
			report(onError, toStoreError(error));
		}
	}
}

/**
 * Notifies watchers, here and in other tabs, that tasks may be due.
 *
 * @module
 */

import type { WakeReason } from "../../basket/store.ts";
import { observe, type OnError } from "../../platform/observe.ts";

interface Watcher {
	basket: string;
	wake: (reason?: WakeReason) => void;
	onError: OnError;
}

/** Servers, where IndexedDB is emulated, have this method. */
type Channel = BroadcastChannel & { unref?(): void };

/**
 * The watchers of one store, and the channel to those of other tabs. The channel is open while there are watchers,
 * except in a page that is kept for its back button.
 */
export class Wakes {
	readonly #name: string;
	readonly #watchers: Set<Watcher> = new Set();
	#channel: Channel | undefined;

	constructor(name: string) {
		this.#name = name;
	}

	/** Calls `wake` at each hint about a basket. */
	watch(basket: string, wake: (reason?: WakeReason) => void, onError: OnError): () => void {
		const watcher: Watcher = { basket, wake, onError };
		this.#watchers.add(watcher);
		if (this.#watchers.size === 1) this.#open();
		return () => {
			this.#watchers.delete(watcher);
			if (this.#watchers.size === 0) this.hide();
		};
	}

	/** Whether a basket has watchers. */
	has(basket: string): boolean {
		return [...this.#watchers].some((watcher) => watcher.basket === basket);
	}

	/** Reports that tasks of a basket may be due. */
	send(basket: string, reason?: WakeReason): void {
		this.#wake(basket, reason);
		this.#guarded(() => {
			const channel = this.#channel ?? connect(this.#name);
			channel?.postMessage({ basket, reason });
			if (channel !== this.#channel) channel!.close();
		});
	}

	/** Ends all watches. */
	end(): void {
		this.#watchers.clear();
		this.hide();
	}

	/** The page may be kept for its back button now: an open channel would cost it that place. */
	hide(): void {
		this.#channel?.close();
		this.#channel = undefined;
	}

	/** A page that returns from the back/forward cache has missed earlier messages. */
	show(): void {
		if (this.#watchers.size > 0) this.#open();
		for (const { wake, onError } of this.#watchers) observe(onError, wake, "claims");
	}

	#open(): void {
		this.#guarded(() => {
			const channel = this.#channel ??= connect(this.#name);
			if (channel !== undefined) channel.onmessage = ({ data }) => this.#wake(data?.basket, data?.reason);
		});
	}

	#wake(to: unknown, reason?: WakeReason): void {
		for (const { basket, wake, onError } of this.#watchers) if (basket === to) observe(onError, wake, reason);
	}

	/** A sandboxed frame may refuse a channel. */
	#guarded(action: () => void): void {
		try {
			action();
		} catch (error) {
			for (const { onError } of this.#watchers) observe(undefined, onError, error);
		}
	}
}

function connect(name: string): Channel | undefined {
	const { BroadcastChannel } = globalThis;
	const channel: Channel | undefined = BroadcastChannel && new BroadcastChannel(`upkeep:${name}`);
	channel?.unref?.();
	return channel;
}

/**
 * Tells those who watch, here and in other tabs, that there may be something to do.
 *
 * @module
 */

import type { WakeReason } from "../../basket/store.ts";
import { observe, type OnError } from "../../platform/observe.ts";
import { isPage } from "../../platform/page.ts";

interface Watcher {
	basket: string;
	wake: (reason?: WakeReason) => void;
	onError: OnError;
}

/** Servers, where IndexedDB is stood in for, have the method. */
type Channel = BroadcastChannel & { unref?(): void };

/**
 * The watchers of one store, and the channel to those of others. The channel is open while somebody watches, except in a
 * page that is kept for its back button: an open one would cost it that place.
 */
export class Wakes {
	readonly #name: string;
	readonly #watchers: Set<Watcher> = new Set();
	#channel: Channel | undefined;

	constructor(name: string) {
		this.#name = name;
	}

	/** Calls `wake` for each hint about a basket. */
	watch(basket: string, wake: (reason?: WakeReason) => void, onError: OnError): () => void {
		const watcher: Watcher = { basket, wake, onError };
		this.#watchers.add(watcher);
		if (this.#watchers.size === 1) this.#begin();
		return () => {
			if (this.#watchers.delete(watcher) && this.#watchers.size === 0) this.end();
		};
	}

	/** Whether anybody watches a basket. */
	has(basket: string): boolean {
		return [...this.#watchers].some((watcher) => watcher.basket === basket);
	}

	/** There may be something to do in a basket. */
	send(basket: string, reason?: WakeReason): void {
		this.#wake(basket, reason);
		this.#guarded(() => {
			const channel = this.#channel ?? connect(this.#name);
			channel?.postMessage({ basket, reason });
			if (channel !== this.#channel) channel!.close();
		});
	}

	/** Ends all watching. */
	end(): void {
		this.#watchers.clear();
		this.#close();
		if (!isPage()) return;
		removeEventListener("pagehide", this.#close);
		removeEventListener("pageshow", this.#reopen);
	}

	#begin(): void {
		this.#open();
		if (!isPage()) return;
		addEventListener("pagehide", this.#close);
		addEventListener("pageshow", this.#reopen);
	}

	#open(): void {
		this.#guarded(() => {
			const channel = this.#channel ??= connect(this.#name);
			if (channel !== undefined) channel.onmessage = ({ data }) => this.#wake(data?.basket, data?.reason);
		});
	}

	readonly #close = (): void => {
		this.#channel?.close();
		this.#channel = undefined;
	};

	/** A page that was kept for its back button has missed what was said in the meantime. */
	readonly #reopen = (event: PageTransitionEvent): void => {
		if (!event.persisted) return;
		this.#open();
		for (const { wake, onError } of this.#watchers) observe(onError, wake, "claims");
	};

	#wake(to: unknown, reason?: WakeReason): void {
		for (const { basket, wake, onError } of this.#watchers) if (basket === to) observe(onError, wake, reason);
	}

	/** A sandboxed frame may not be allowed a channel. */
	#guarded(action: () => void): void {
		try {
			action();
		} catch (error) {
			for (const { onError } of this.#watchers) observe(undefined, onError, error);
		}
	}
}

function connect(name: string): Channel | undefined {
	if (typeof BroadcastChannel !== "function") return undefined;
	const channel: Channel = new BroadcastChannel(`upkeep:${name}`);
	channel.unref?.();
	return channel;
}

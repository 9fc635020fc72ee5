/**
 * A fallback for browsers without storage.
 *
 * @module
 */

import type { Store } from "../../basket/store.ts";
import { check, checkFunction, checkMethods } from "../../platform/check.ts";
import { observe, type OnError } from "../../platform/observe.ts";
import { codeOf } from "../../platform/store-error.ts";

/** Options for {@link withFallback}. */
export interface FallbackOptions {
	/** Called with the error because of which the fallback is used. */
	onFallback?: OnError | undefined;
}

/**
 * A store that is `store`, or `fallback` if the browser has no storage for this page: in some private modes, in a
 * sandboxed frame, with a full disk or without IndexedDB. The first `open()` decides that, by whether the store
 * rejects with a `StoreError` whose code is `"unavailable"` or `"full"`. Tasks that were stored before stay where
 * they are. Whatever is in a `memoryStore()` is gone with the page.
 *
 * `capabilities` are those of the store in use: read `durable` after `open()`.
 *
 * @param store the store that should be used
 * @param fallback the store that takes over
 * @param options hooks
 * @throws {TypeError} for arguments of the wrong type
 *
 * @example
 * ```ts browser
 * import assert from "node:assert/strict";
 * import { memoryStore } from "upkeep";
 * import { indexedDBStore, withFallback } from "upkeep/stores/indexeddb";
 *
 * const store = withFallback(indexedDBStore("outbox"), memoryStore(), { onFallback: (error) => console.warn(error) });
 * await store.open();
 * assert.equal(store.capabilities.durable, true); // there is storage here
 * ```
 */
export function withFallback<Tx>(
	store: Store<Tx>,
	fallback: Store<never>,
	options: FallbackOptions = {},
): Store<Tx> {
	for (const [name, value] of Object.entries({ store, fallback })) {
		checkMethods(name, value as Store, "open");
	}
	const { onFallback } = check("options", options, "object");
	checkFunction("onFallback", onFallback);
	let chosen = store;
	let decision: Promise<void> | undefined;

	const decide = async (): Promise<void> => {
		try {
			await store.open();
		} catch (error) {
			if (!isWant(error)) {
				decision = undefined;
				throw error;
			}
			chosen = fallback as Store<unknown>;
			observe(undefined, onFallback, error);
		}
	};

	const own: Partial<Store> = {
		// The same object before and after the choice of the store.
		capabilities: new Proxy(store.capabilities, {
			// A basket asks this one before the choice: both must be able to.
			get: (_, name) =>
				Reflect.get((name === "clones" && store.capabilities.clones ? fallback : chosen).capabilities, name),
		}),
		open: async () => {
			await (decision ??= decide());
			await chosen.open();
		},
		watch: (...args) => chosen.watch?.(...args) ?? (() => {}),
		close: async () => {
			await store.close?.();
			await fallback.close?.();
		},
	};
	return new Proxy(store, {
		get(_, name) {
			// Without a `then`, which an `await` would call.
			if (!(name in store)) return undefined;
			return Reflect.get(own, name) ?? ((...args: unknown[]) => Reflect.get(chosen, name).apply(chosen, args));
		},
	});
}

function isWant(error: unknown): boolean {
	return codeOf(error) === "unavailable" || codeOf(error) === "full";
}

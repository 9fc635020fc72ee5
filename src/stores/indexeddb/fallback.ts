/**
 * Another store where the browser has none.
 *
 * @module
 */

import type { Store } from "../../basket/store.ts";
import { observe, type OnError } from "../../platform/observe.ts";
import { StoreError } from "../../platform/store-error.ts";

/** A store that is `first`, or `fallback` if `first` cannot be opened for want of storage. That is decided once. */
export function withFallback(
	first: Store<IDBTransaction>,
	fallback: Store<IDBTransaction>,
	onFallback: OnError | undefined,
): Store<IDBTransaction> {
	let chosen = first;
	let decision: Promise<void> | undefined;

	const decide = async (): Promise<void> => {
		try {
			await first.open();
		} catch (error) {
			if (!isWant(error)) {
				decision = undefined;
				throw error;
			}
			chosen = fallback;
			observe(undefined, onFallback, error);
		}
	};

	const own: Partial<Store<IDBTransaction>> = {
		// The same object before and after the decision.
		capabilities: new Proxy(first.capabilities, { get: (_, name) => Reflect.get(chosen.capabilities, name) }),
		open: async () => {
			await (decision ??= decide());
			await chosen.open();
		},
		watch: (...args) => chosen.watch?.(...args) ?? (() => {}),
		close: async () => {
			await first.close?.();
			await fallback.close?.();
		},
	};
	return new Proxy(first, {
		get(_, name) {
			// Not a `then` for whoever awaits it.
			if (!(name in first)) return undefined;
			return Reflect.get(own, name) ?? ((...args: unknown[]) => Reflect.get(chosen, name).apply(chosen, args));
		},
	});
}

function isWant(error: unknown): boolean {
	return error instanceof StoreError && (error.code === "unavailable" || error.code === "full");
}

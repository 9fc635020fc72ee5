/**
 * Another store where the browser has none.
 *
 * @module
 */

import type { Store, StoreCapabilities } from "../../basket/store.ts";
import { observe, type OnError } from "../../platform/observe.ts";
import { StoreError } from "../../platform/store-error.ts";

/** The members that are passed on as they are. */
const members = [
	"add",
	"turn",
	"complete",
	"extend",
	"save",
	"get",
	"list",
	"counts",
	"delete",
	"change",
	"hasten",
	"post",
] as const;

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

	const store: Partial<Record<keyof Store, unknown>> = {
		capabilities: capabilitiesOf(() => chosen),
		open: async () => {
			await (decision ??= decide());
			await chosen.open();
		},
		watch: (...args: Parameters<NonNullable<Store["watch"]>>) => chosen.watch?.(...args) ?? (() => {}),
		close: async () => {
			await first.close?.();
			await fallback.close?.();
		},
	};
	for (const member of members) {
		store[member] = (...args: never[]) => (chosen[member] as (...args: never[]) => unknown)(...args);
	}
	return store as unknown as Store<IDBTransaction>;
}

function isWant(error: unknown): boolean {
	return error instanceof StoreError && (error.code === "unavailable" || error.code === "full");
}

function capabilitiesOf(chosen: () => Store<IDBTransaction>): StoreCapabilities {
	return {
		get durable() {
			return chosen().capabilities.durable;
		},
		get shared() {
			return chosen().capabilities.shared;
		},
		get tx() {
			return chosen().capabilities.tx;
		},
		get clock() {
			return chosen().capabilities.clock;
		},
		get maxPayload() {
			return chosen().capabilities.maxPayload;
		},
		get maxAdd() {
			return chosen().capabilities.maxAdd;
		},
		get maxAddBytes() {
			return chosen().capabilities.maxAddBytes;
		},
	};
}

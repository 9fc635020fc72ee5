/**
 * Opens a store once for all callers.
 *
 * @module
 */

import type { BasketSettings } from "./options.ts";

export class Opening {
	readonly #settings: Pick<BasketSettings<never>, "clock" | "lease" | "store">;
	#promise: Promise<void> | undefined;
	#resolve!: () => void;
	#reject!: (error: unknown) => void;
	/** The earliest time of another call: a call that is never answered must not be the last one. */
	#againAt = -Infinity;

	constructor(settings: Pick<BasketSettings<never>, "clock" | "lease" | "store">) {
		this.#settings = settings;
	}

	/** Resolves when the store is open. All callers share the first answer. */
	wait(): Promise<void> {
		this.#promise ??= new Promise((resolve, reject) => {
			this.#resolve = resolve;
			this.#reject = reject;
		});
		const promise = this.#promise;
		const { clock, lease } = this.#settings;
		if (this.#againAt <= clock.monotonic()) {
			this.#againAt = clock.monotonic() + lease / 3;
			void this.#open();
		}
		return promise;
	}

	async #open(): Promise<void> {
		try {
			await this.#settings.store.open();
			this.#againAt = Infinity;
			this.#resolve();
			this.#promise = Promise.resolve(); // another call may have failed meanwhile
		} catch (error) {
			if (this.#againAt === Infinity) return;
			this.#againAt = -Infinity;
			this.#promise = undefined;
			this.#reject(error);
		}
	}
}

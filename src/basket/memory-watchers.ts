/**
 * The watchers of a basket in memory.
 *
 * @module
 */

import type { WakeReason } from "./store.ts";

export class MemoryWatchers extends Set<(reason?: WakeReason) => void> {
	#isStirred = false;
	#reason: WakeReason | undefined;

	/** Wakes the watchers soon, once for all changes until then. */
	stir(reason?: WakeReason): void {
		if (this.size === 0) return;
		this.#reason ??= reason;
		if (this.#isStirred) return;
		this.#isStirred = true;
		queueMicrotask(() => {
			const told = this.#reason;
			this.#reason = undefined;
			this.#isStirred = false;
			for (const watcher of [...this]) watcher(told);
		});
	}
}

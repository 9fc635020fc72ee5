/**
 * What a tick of a schedule needs of its claim and its store.
 *
 * @module
 */

import type { ClaimOwner } from "./claim-owner.ts";
import type { Claim, Data } from "./store.ts";
import type { TickHost } from "../schedule/ticks.ts";

/** A claimed task of a schedule. */
export interface TickTask {
	readonly claim: Claim;
	/** The present on the store's clock, or a little before it. */
	now(): number;
	/** The payload was stored. */
	saved(data: Data): void;
	lose(): void;
}

/** Calls that fail are reported, and leave the tick to a later claim. */
export function tickHostOf<Tx>({ settings, calls }: ClaimOwner<Tx>, task: TickTask): TickHost {
	const { store, name } = settings;
	return {
		claim: task.claim,
		now: () => task.now(),
		async decide(payload) {
			const [isSaved] = await calls.reach(() => store.save(name, [{ ref: task.claim, payload }])) ?? [];
			if (isSaved !== undefined) task.saved(payload);
			if (isSaved === false) task.lose();
			return isSaved === true;
		},
		add: async (task) => await calls.reach(() => store.add(name, [task])) !== undefined,
		get: (id) => calls.reach(async () => ({ task: await store.get(name, id) })),
	};
}

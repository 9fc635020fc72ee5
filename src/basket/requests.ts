/**
 * What a worker asks its store for, and the limits that hold for it.
 *
 * @module
 */

import type { BasketSettings } from "./options.ts";
import type { ClaimRequest, KindLimit, LaneRun } from "./store.ts";

/** The requests of a worker, for its kinds. */
export class Requests {
	/** The limits of the kinds. */
	readonly limits: readonly KindLimit[];
	/**
	 * All kinds; the kinds whose tasks survive a crash before they run; and the kinds of which more tasks may be
	 * claimed than run at once: not those of batches, which fill their calls instead, and none with a limit, also of the
	 * basket, which would take places from other workers.
	 */
	readonly #lists: readonly (readonly string[])[];

	constructor({ kinds, limit: overall }: Pick<BasketSettings<never>, "kinds" | "limit">) {
		this.#lists = [1, 3, Infinity].map((least) =>
			[...kinds.keys()].filter((kind) => {
				const { batch, limit, settings: { attempts } } = kinds.get(kind)!;
				return attempts >= least && !((batch ?? limit ?? overall) !== undefined && least === Infinity);
			})
		);
		this.limits = [...kinds].flatMap(([kind, { limit }]) => limit === undefined ? [] : { kind, ...limit.bounds });
	}

	/** Whether the requests are for all kinds. */
	isForAll(requests: readonly ClaimRequest[]): boolean {
		return requests[0]?.kinds === this.#lists[0];
	}

	/** Runs of the kinds of which more tasks may be claimed than run at once. */
	runs(most: number): LaneRun[] | undefined {
		return most > 2 ? this.#lists[2]!.map((kind) => ({ kind, most })) : undefined;
	}

	/**
	 * The requests for some tasks.
	 *
	 * @param counts the number of tasks of any kind, and the additional ones of the other lists. A task with one or two
	 * attempts must not lose one to a crash caused by another task before it begins: it is claimed alone and begins first.
	 */
	of(counts: readonly number[]): ClaimRequest[] {
		const requests: { kinds: readonly string[]; limit: number }[] = [];
		counts.forEach((limit, index) => {
			const kinds = this.#lists[index]!;
			const last = requests.at(-1);
			// Each list is a part of the one before.
			if (last?.kinds.length === kinds.length) last.limit += limit;
			else if (kinds.length > 0 && limit > 0) requests.push({ kinds, limit });
		});
		return requests;
	}
}
